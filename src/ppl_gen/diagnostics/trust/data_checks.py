"""Does the model fit these rows? Replicated rows beside them, priors against posteriors, codes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.distributions import biject_to

from ppl_gen.core import bare, is_local
from ppl_gen.diagnostics.choosing.codes import elbo_terms
from ppl_gen.diagnostics.criticism.replications import Array, arrays_of, replications
from ppl_gen.diagnostics.criticism.statistics import mean, sd, zeros
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.isolation import isolated

REPLICATES = 200
FAR = 5.0  # sds of the replicates beyond which, and beyond all of them, data are not what the model expects
REACH = 3.24  # sds, of the farthest of 1,000 Normal draws
PULL = 1.0  # posterior sds
COLUMNS = 60  # at most, of a variable


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


def prior_checks(case: Case) -> Iterator[Check]:
    """Is the posterior mean of a parameter where its prior, given the others, puts it?

    Over the data that the prior expects, its variance is the prior's less the posterior's (the law of total
    variance): a sharp prior draws the mean near, and what it expects nearer still. Named is what lies out so
    far, beyond all draws of a prior, which may be skewed, and was drawn back by more than a posterior sd: a
    prior that the data overrule does no harm.
    """
    q, worst = case.runs, (0.0, "")
    latents = [n for n, s in q[0].p.items() if n in q[0].q and not is_local(s)]
    if case.posterior.point or not latents or case.posterior.yesterday is not None:
        return
    for name in latents:
        fn = q[0].p[name]["fn"]
        if fn.has_enumerate_support or getattr(fn.support, "is_discrete", False):
            continue
        try:
            to = biject_to(fn.support)
            draws = torch.stack([to.inv(t.p[name]["value"]) for t in q]).double()
            prior = torch.stack([to.inv(t.p[name]["fn"].sample()) for t in q for _ in range(25)]).double()
        except (NotImplementedError, ValueError, RuntimeError):
            continue
        off = draws.mean(0) - prior.mean(0)
        reach = torch.where(off > 0, prior.amax(0) - prior.mean(0), prior.mean(0) - prior.amin(0))
        before, after = prior.var(0).clamp(min=1e-300), draws.var(0).clamp(min=1e-300)
        told = (1 - after / before).clamp(min=0.0)
        error = after / before / len(draws) + 1 / len(prior)
        far = off.abs() / (torch.maximum(before.sqrt(), reach / REACH) * (told + error).sqrt())
        pull = after / before / told.clamp(min=1e-12) * off.abs() / after.sqrt()
        far = torch.where((off.abs() > reach) & (pull > PULL), far, 0.0)
        if float(far.max()) > worst[0]:
            worst = float(far.max()), name
    far_off, name = worst
    if far_off > FAR:
        yield fault(
            "prior in conflict",
            "priors",
            f"{name} lies {far_off:.1f} sds from where its prior expects the posterior mean, and beyond all "
            "of 1,000 draws of it",
            f"widen the prior of {name} (is its scale an sd, or a variance?), or rescale the data",
            where=name,
            value=far_off,
            limit=FAR,
        )
    else:
        words = "every parameter lies where its prior may put it"
        yield Check("priors", "ok", words, value=far_off, limit=FAR)


# Rows and replicates ----------------------------------------------------------------------------------------


def _rows(case: Case) -> Iterator[Check]:
    """Latents of rows are drawn anew: those that the rows themselves have shaped lie too near them."""
    data, values = case.data, arrays_of(case.data)
    drawn = list(replications(case.posterior, data, REPLICATES, case.seed, each=True))
    for name in (name for name in data.observed if data.sites[name].local):
        fn, site = bare(case.runs[0].p[name]["fn"]), data.sites[name]
        y, y_rep = values[name], np.stack([one[name] for one in drawn], 1)  # (n, …) and (n, replicates, …)
        if _kind(fn) == "finite" and fn.event_dim == 0 and site.levels > 2:
            assert site.values is not None
            codes = site.values.numpy(force=True)
            y, y_rep = (np.where(np.isnan(v[..., None]), np.nan, v[..., None] == codes) for v in (y, y_rep))
        yield compared(name, fn, y, y_rep)


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
    "scale": "wrong scale",
    "mean": "wrong location",
    "neighbours": "dependent rows",
    "columns": "dependent columns",
    "tail": "heavy tails",
    "skew": "skewed",
    "zeros": "too many zeros",
}
FIXES = {
    "wrong scale": "let the scale be learned, or correct it; are the data in the units of the prior?",
    "variance for sd": "pyro's Normal takes a standard deviation: pass variance.sqrt()",
    "wrong location": "give the model an intercept or the missing input, and priors room to reach the data",
    "overdispersed": "take a negative binomial, a beta-binomial, or a mixture",
    "too many zeros": "take a mixture with a component at zero (zero-inflated)",
    "dependent rows": "model what rows share: a group, a time, a random walk",
    "dependent columns": "let columns depend on one another: a full covariance, a mixture, or hidden factors",
    "heavy tails": "take a Student t, or look at the outlying rows",
    "light tails": "look at a histogram: two heaps ask for a mixture, sharp ends for a bounded density",
    "skewed": "take a logarithm of the data, or a skewed density",
}


@np.errstate(all="ignore")
def compared(name: str, fn: Any, y: Array, y_rep: Array) -> Check:
    """Statistics of rows (n, …), whose density is ``fn``, beside those of replicates (n, replicates, …)."""
    kind, y_rep = _kind(fn), y_rep.reshape(*y_rep.shape[:2], -1)[..., :COLUMNS]
    y = y.reshape(len(y), 1, -1)[..., :COLUMNS]
    centre = y_rep.mean(1, keepdims=True)
    drawn = _statistics(kind, y_rep, centre)
    seen = {what: numbers[0] for what, numbers in _statistics(kind, y, centre).items()}
    found: dict[str, tuple[float, int]] = {}
    for what, here in seen.items():
        others = drawn[what]
        z = (here - others.mean(0)) / np.maximum(others.std(0, ddof=1), 1e-9)
        usual = np.nan_to_num((others - others.mean(0)) / np.maximum(others.std(0, ddof=1), 1e-9))
        z = np.nan_to_num(np.where((z > usual.max()) | (z < usual.min()), z, 0.0))  # of all columns together
        place = int(abs(z).argmax())
        if abs(z[place]) > FAR:
            found[what] = float(z[place]), place
    dispersed = found.pop("dispersion", (0.0, 0))[0]
    if kind == "count" and found.get("scale", (0.0, 0))[0] > 0:  # zeros alone, or the other counts as well?
        what = "zeros" if "zeros" in found and dispersed <= 0 else "scale"
        found = {what: found[what]}
    if "scale" in found and found["scale"][0] < 0 and "tail" in found:
        found.pop("tail")
    if "tail" in found and "scale" in found and abs(found["tail"][0]) > abs(found["scale"][0]):
        found.pop("scale")
    if not found:
        tests = sum(v.size for v in seen.values())
        return Check(
            f"rows: {name}", "ok", f"{tests:,} statistics within {FAR:g} sds of replicates", limit=FAR
        )
    order = [what for what in NAMED if what in found]
    what = order[0] if order[0] in ("scale", "neighbours") else max(found, key=lambda w: abs(found[w][0]))
    far, place = found[what]
    called, more = "light tails" if what == "tail" and far < 0 else NAMED[what], ""
    if what == "scale":
        sd, usual = math.exp(seen[what][place]), math.exp(drawn[what][:, place].mean())
        called, more = _scale(kind, sd, usual, len(y)), f": sd {sd:.3g}, expected {usual:.3g}"
    column = f"{name}[{place}]" if y.shape[-1] > 1 and what != "columns" else name
    side = "above" if far > 0 else "below"
    shown = f"{what} of {column} lies {abs(far):.1f} sds of replicates {side}{more}"
    numbers: dict[str, Any] = {"value": far, "error": 1.0, "limit": FAR}
    return fault(called, f"rows: {name}", shown, FIXES[called], where=column, **numbers)


def _scale(kind: str, own: float, usual: float, n: int) -> str:
    """A finer name for rows that scatter too much or too little, where the numbers fit one."""
    if kind == "count":
        return "overdispersed" if own > usual else "wrong scale"
    near = 0.03 + 3 / (2 * n) ** 0.5  # of the logarithm: three halves of the error of a squared sd, and some
    for other in (own**2, own**0.5, own**-2):
        known = abs(math.log(usual / other)) < near
        if known and abs(math.log(usual / own)) > 2 * near:
            return "variance for sd"
    return "wrong scale"
