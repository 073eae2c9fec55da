"""Does the model fit these rows? Replicated rows beside them, priors against posteriors, codes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ppl_gen.core import bare
from ppl_gen.diagnostics.choosing.codes import elbo_terms
from ppl_gen.diagnostics.criticism.replications import Array, arrays_of, drawn_rows
from ppl_gen.diagnostics.criticism.statistics import mean, sd, zeros
from ppl_gen.diagnostics.trees.masks import kept
from ppl_gen.diagnostics.trust.along import Along, inputs_of
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.diagnostics.trust.prior_checks import prior_checks
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.isolation import isolated

REPLICATES = 200
PAIRS = 50  # of these, drawn twice from the same parameters
SATURATED = 0.45  # a share of the parameters beyond which hardly a row is left to tell scatter
FAR = 5.0  # sds of the replicates beyond which, and beyond all of them, data are not what the model expects
COLUMNS = 60  # at most, of a variable
CLIPPED, LOPSIDED = 3.0, 2.5  # robust sds that rows are drawn in to; and sds of the skewness left then


def data_checks(case: Case) -> Iterator[Check]:
    """Codes that say nothing, parameters that their prior does not expect, rows that the model does not."""
    yield from _codes(case)
    with isolated(case.seed):
        yield from prior_checks(case)
        yield from _rows(case)


def _codes(case: Case) -> Iterator[Check]:
    if case.posterior.parameters or case.posterior.point:
        return
    try:
        found = elbo_terms(case.posterior, draws=2, seed=case.seed, **case.given)
    except (Unanswerable, DataError):
        return
    active, size = int(found.active.sum()), len(found.active)
    shown = f"{active} of {size} dimensions are active"
    if active:
        yield Check("codes", "ok" if active == size else "note", shown, value=active, limit=1.0)
        return
    fix = "anneal the KL (beta=lambda done: min(1, 5 * done)), give free_bits, or take a simpler decoder"
    yield fault("collapsed code", "codes", shown, fix, value=0.0, limit=1.0)


# Rows and replicates ----------------------------------------------------------------------------------------


def _rows(case: Case) -> Iterator[Check]:
    """Latents of rows are drawn anew: those that the rows themselves have shaped lie too near them."""
    data, values = case.data, arrays_of(case.data)
    parameters = case.posterior.draw(REPLICATES, case.seed)
    few = {key: v[:PAIRS] for key, v in parameters.items()}
    drawn = list(drawn_rows(case.posterior, data, parameters, case.seed, REPLICATES, each=True))
    again = list(drawn_rows(case.posterior, data, few, case.seed + 1, PAIRS, each=True))
    along = inputs_of({name: values[name] for name in data.inputs}, data.n)
    for name in (name for name in data.observed if data.sites[name].local):
        fn, site = bare(case.runs[0].p[name]["fn"]), data.sites[name]
        y, y_rep = values[name], np.stack([one[name] for one in drawn], 1)  # (n, …) and (n, replicates, …)
        if _kind(fn) == "finite" and fn.event_dim == 0 and site.levels > 2:
            assert site.values is not None
            codes = site.values.numpy(force=True)
            y, y_rep = (np.where(np.isnan(v[..., None]), np.nan, v[..., None] == codes) for v in (y, y_rep))
        twin = np.stack([one[name] for one in again], 1)
        # Not of categories; and a guide far wider than the posterior is no reason to expect less of the rows.
        trusted = case.known_rows and (case.quality is None or case.quality.trusted)
        share = _share(y_rep, twin) if trusted and twin.shape[2:] == y_rep.shape[2:] else 0.0
        y, y_rep = unmasked(case.runs[0].p[name], y, y_rep)
        yield compared(name, fn, y, y_rep, along, share)


@np.errstate(all="ignore")
def _share(y_rep: Array, twin: Array) -> float:
    """Of the variance of replicates, how much is by their parameters: the covariance of two of one draw."""
    one = y_rep[:, : twin.shape[1]]
    both = (one - one.mean(1, keepdims=True)) * (twin - twin.mean(1, keepdims=True))
    shares = np.nanmean(both, axis=(0, 1)) / np.nanmean(one.var(1) + twin.var(1), axis=0) * 2
    return float(np.nan_to_num(shares).max())


def unmasked(site: Any, y: Array, y_rep: Array) -> tuple[Array, Array]:
    """Rows (n, …) and their replicates (n, replicates, …), nan where a mask leaves cells out."""
    cells = kept(site)
    if cells is None:
        return y, y_rep
    counts = np.broadcast_to(cells.numpy(force=True), y.shape)
    return np.where(counts, y, np.nan), np.where(counts[:, None], y_rep, np.nan)


def _kind(fn: Any) -> str:
    if fn.has_enumerate_support and not isinstance(fn, torch.distributions.Binomial):
        return "finite"  # names, not numbers
    return "count" if getattr(fn.support, "is_discrete", False) else "real"


def _statistics(kind: str, y: Array, centre: Array) -> dict[str, Array]:
    """Name -> numbers (sets, columns); ``y`` (n, sets, columns), ``centre`` (n, 1, columns) is expected."""
    r = y - centre
    found = {"mean": mean(r)}
    spread = np.maximum(sd(r), 1e-150)
    z = (r - mean(r)) / spread
    if y.shape[-1] > 1:
        filled = np.nan_to_num(z).swapaxes(0, 1)
        i, j = np.triu_indices(y.shape[-1], 1)
        found["columns"] = (filled.mT @ filled / len(y))[..., i, j]
    if kind == "finite":
        return found
    found |= {"scale": np.log(spread), "skew": mean(z**3), "tail": np.log(mean(z**4))}
    if kind == "count":
        some = np.where(y > 0, y, np.nan)
        found["dispersion"] = np.log(sd(some) ** 2 / mean(some) + 1e-9)
        found["zeros"] = zeros(y)
    if len(y) > 20:
        found["neighbours"] = mean(z[1:] * z[:-1])
    return found


NAMED = {
    "along": "mean off along an input",
    "scatter": "uneven scatter",
    "scale": "wrong scale",
    "mean": "wrong location",
    "neighbours": "dependent rows",
    "columns": "dependent columns",
    "tail": "heavy tails",
    "skew": "skewed",
    "zeros": "too many zeros",
}
BELOW = {"tail": "light tails", "zeros": "too few zeros"}  # the names of what lies below
FIXES = {
    "wrong scale": "let the scale be learned, or correct it; are the data in the units of the prior?",
    "variance for sd": "pyro's Normal takes a standard deviation: pass variance.sqrt()",
    "wrong location": "give the model an intercept or the missing input, and priors room to reach the data",
    "mean off along an input": "give the model that input, its square or product, or a mean that can bend",
    "uneven scatter": "let the scale depend on that input, or take a logarithm of the data",
    "overdispersed": "take a negative binomial, a beta-binomial, or a mixture",
    "too many zeros": "take a mixture with a component at zero (zero-inflated)",
    "too few zeros": "were zeros left out of the data? then take a density without them",
    "dependent rows": "model what rows share: a group, a time, a random walk",
    "dependent columns": "let columns depend on one another: a full covariance, a mixture, or hidden factors",
    "heavy tails": "take a Student t, or look at the outlying rows",
    "light tails": "look at a histogram: two heaps ask for a mixture, sharp ends for a bounded density",
    "skewed": "take a logarithm of the data, or a skewed density",
}
UNLOGGED = {  # of data that have no logarithm
    "uneven scatter": "let the scale depend on that input",
    "skewed": "take a skewed density, such as SkewLogistic or AsymmetricLaplace",
}


@np.errstate(all="ignore")
def compared(
    name: str, fn: Any, y: Array, y_rep: Array, along: Along | None = None, share: float = 0.0
) -> Check:
    """Statistics of rows (n, …), whose density is ``fn``, beside those of replicates (n, replicates, …).

    Residuals are held ``along`` the inputs as well, where there are any. Of ``share`` see `_fitted`.
    """
    kind, y_rep = _kind(fn), y_rep.reshape(*y_rep.shape[:2], -1)[..., :COLUMNS]
    y = y.reshape(len(y), 1, -1)[..., :COLUMNS]
    centre = y_rep.mean(1, keepdims=True)
    spread = np.nan_to_num(y_rep.std(1, keepdims=True), nan=1.0)  # of 200 rare events perhaps none
    spread = np.maximum(spread, 0.05 * np.sqrt((spread**2).mean(0))).clip(1e-150)
    drawn, own = (_statistics(kind, v, centre) for v in (y_rep, y))
    if along is not None:
        for rows, statistics in ((y_rep, drawn), (y, own)):
            statistics |= along.statistics((rows - centre) / spread, scatter=kind == "real")
    if "scale" in drawn:
        drawn["scale"] = _fitted(drawn["scale"], share)
    seen = {what: numbers[0] for what, numbers in own.items()}
    found: dict[str, tuple[float, int]] = {}
    for what, here in seen.items():
        others = drawn[what]
        z = (here - others.mean(0)) / np.maximum(others.std(0, ddof=1), 1e-9)
        usual = np.nan_to_num((others - others.mean(0)) / np.maximum(others.std(0, ddof=1), 1e-9))
        z = np.nan_to_num(np.where((z > usual.max()) | (z < usual.min()), z, 0.0))  # of all columns together
        place = int(abs(z).argmax()) if z.size else 0
        if z.size and abs(z[place]) > FAR:
            found[what] = float(z[place]), place
    dispersed = found.pop("dispersion", (0.0, 0))[0]
    if kind == "count" and found.get("scale", (0.0, 0))[0] > 0:  # zeros alone, or the other counts as well?
        what = "zeros" if "zeros" in found and dispersed <= 0 else "scale"
        found = {what: found[what]}
    if "zeros" in found and seen["zeros"][found["zeros"][1]] == 0:  # not one, which makes scatter small too
        found = {"zeros": found["zeros"]}
    if "scale" in found and found["scale"][0] < 0 and "tail" in found:
        found.pop("tail")
    if "tail" in found and "scale" in found and abs(found["tail"][0]) > abs(found["scale"][0]):
        found.pop("scale")
    if "skew" in found and found.get("tail", (0.0, 0))[0] > 0:  # one outlying row makes both large
        found.pop("tail" if _lopsided(y - centre, y_rep - centre, *found["skew"]) else "skew")
    if not found:
        tests = sum(v.size for v in seen.values())
        return Check(
            f"rows: {name}", "ok", f"{tests:,} statistics within {FAR:g} sds of replicates", limit=FAR
        )
    what = _first(found)
    far, place = found[what]
    called, more = BELOW.get(what, NAMED[what]) if far < 0 else NAMED[what], ""
    if what == "scale":
        sd, usual = math.exp(seen[what][place]), math.exp(drawn[what][:, place].mean())
        sd = math.sqrt(max(sd**2 - usual**2 / y_rep.shape[1], 1e-300))  # the centre, their mean, scatters too
        called, more = _scale(kind, sd, usual, len(y)), f": sd {sd:.3g}, expected {usual:.3g}"
    column = f"{name}[{place}]" if y.shape[-1] > 1 and what != "columns" else name
    side = "above" if far > 0 else "below"
    fix = FIXES[called] if np.nanmin(y) > 0 else UNLOGGED.get(called, FIXES[called])
    if what in ("along", "scatter"):
        assert along is not None
        column, words = along.words(name, what, place, far, y.shape[-1])
        numbers: dict[str, Any] = {"value": far, "error": 1.0, "limit": FAR}
        shown = f"{words}: {abs(far):.1f} sds of replicates"
        return fault(called, f"rows: {name}", shown, fix, where=column, **numbers)
    shown = f"{what} of {column} lies {abs(far):.1f} sds of replicates {side}{more}"
    numbers = {"value": far, "error": 1.0, "limit": FAR}
    return fault(called, f"rows: {name}", shown, fix, where=column, **numbers)


def _lopsided(r: Array, r_rep: Array, far: float, place: int) -> bool:
    """Whether residuals are as skewed as they look, ``far`` sds of replicates, in one column also without
    outlying rows: these are drawn in to some robust sds (winsorised; Huber and Ronchetti 2009, ch. 1).
    """
    both = np.concatenate([r, r_rep], 1)[..., place]
    both = both - np.nanmedian(both, 0)
    both = np.clip(both / (1.4826 * np.nanmedian(abs(both), 0)), -CLIPPED, CLIPPED)
    own, *others = mean(((both - mean(both)) / sd(both)) ** 3)
    return not math.copysign(1, far) * (own - np.mean(others)) < LOPSIDED * np.std(others)


def _fitted(log_sd: Array, share: float) -> Array:
    """The log sds of replicates about their mean, as they were if the parameters had been fitted to them.

    Of a variance S + V, where V is by the uncertain parameters, rows that were fitted show S - V, of which
    fewer degrees of freedom are left: n (S - V) / S of n (as n - p of n in a regression, where V = S p / n).
    """
    share = min(max(share, 0.0), SATURATED)
    left = (1 - 2 * share) / (1 - share)
    return log_sd.mean(0) + 0.5 * np.log(1 - 2 * share) + (log_sd - log_sd.mean(0)) / left**0.5


def _first(found: dict[str, tuple[float, int]]) -> str:
    """Causes before what follows from them: rows scatter where the mean misses an input."""
    order = [what for what in NAMED if what in found]
    far = {what: abs(z) for what, (z, _) in found.items()}
    if order[0] == "along" and far.get("neighbours", 0.0) > far["along"]:
        order = ["neighbours"]
    if order[0] in ("along", "scale", "scatter", "neighbours"):
        return order[0]
    return max(far, key=lambda what: far[what])


def _scale(kind: str, own: float, usual: float, n: int) -> str:
    """A finer name for rows that scatter too much or too little, where the numbers fit one."""
    if kind == "count":
        return "overdispersed" if own > usual else "wrong scale"
    error = 2 / (2 * n) ** 0.5  # of the logarithm of a squared sd
    near = 0.03 + max(1.5 * error, min(3 * error, abs(math.log(usual / own)) / 6))
    for other in (own**2, own**0.5, own**-2):
        known = abs(math.log(usual / other)) < near
        if known and abs(math.log(usual / own)) > 2 * near:
            return "variance for sd"
    return "wrong scale"
