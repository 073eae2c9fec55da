"""Does the model fit these rows? Replicated rows beside them, priors against posteriors, codes."""

from collections.abc import Iterator
from typing import Any

import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import biject_to

from ppl_gen.core import arguments, bare, is_local, run, variables
from ppl_gen.diagnostics.case import Case
from ppl_gen.diagnostics.checks import Check, fault
from ppl_gen.diagnostics.codes import elbo_terms
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.observed import Observed
from ppl_gen.isolation import isolated

REPLICATES = 200
FAR = 5.0  # sds of the replicates beyond which, and beyond all of them, data are not what the model expects
BEYOND = 3.0  # times the reach of 1,000 draws of a prior: of a Normal one ten sds, of heavy tails still rare
COLUMNS = 60  # at most, of a variable


def data_checks(case: Case) -> Iterator[Check]:
    """Codes that say nothing, parameters that their prior does not expect, rows that the model does not."""
    yield from _codes(case)
    with isolated(case.seed):
        yield from _priors(case)
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


def _priors(case: Case) -> Iterator[Check]:
    """Is the posterior mean of a parameter where its prior, given the others, puts it?"""
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
            here = torch.stack([to.inv(t.p[name]["value"]) for t in q]).double().mean(0)
            prior = torch.stack([to.inv(t.p[name]["fn"].sample()) for t in q for _ in range(25)]).double()
        except (NotImplementedError, ValueError, RuntimeError):
            continue
        middle = prior.median(0).values
        reach = torch.where(here > middle, prior.amax(0) - middle, middle - prior.amin(0))
        far = (here - middle).abs() / reach.clamp(min=1e-12)
        if float(far.max()) > worst[0]:
            worst = float(far.max()), name
    far_off, name = worst
    if far_off > BEYOND:
        yield fault(
            "prior in conflict",
            "priors",
            f"{name} lies {far_off:.1f} times as far from its prior's median as any of 1,000 draws of it",
            f"widen the prior of {name} (is its scale an sd, or a variance?), or rescale the data",
            where=name,
            value=far_off,
            limit=BEYOND,
        )
    else:
        words = "every parameter lies where its prior may put it"
        yield Check("priors", "ok", words, value=far_off, limit=BEYOND)


# Rows and replicates ----------------------------------------------------------------------------------------


def replicates(case: Case, many: int = REPLICATES) -> dict[str, Tensor]:
    """Rows drawn anew from the posterior, each variable given the observed values of its parents.

    Latents of the rows are drawn anew: those that the rows themselves have shaped lie too near them.
    Returns name -> (many, n, …).
    """
    data, posterior = case.data, case.posterior
    guide, model, found = posterior.latents_of(data), posterior.joint.model, []
    for _ in range(many):
        with Observed(data.observed, data.seen, guide=True):
            drawn = variables(run(guide, data.values))
        shared = {name: site["value"] for name, site in drawn.items() if not is_local(site)}
        with poutine.condition(data={**shared, **data.observed}):
            sites = variables(poutine.trace(model).get_trace(**arguments(model, data.values)))
        found.append({name: sites[name]["fn"].sample() for name in data.observed if is_local(sites[name])})
    return {name: torch.stack([f[name] for f in found]) for name in found[0]}


def _rows(case: Case) -> Iterator[Check]:
    drawn = replicates(case)
    for name, y_rep in drawn.items():
        fn = bare(case.runs[0].p[name]["fn"])
        if fn.has_enumerate_support and fn.event_dim == 0 and case.data.sites[name].levels > 2:
            y_rep, y = _indicators(case, name, y_rep)
        else:
            y = case.data.observed[name].double()
        seen = case.data.seen.get(name)
        y, y_rep = (
            y.reshape(len(y), -1)[:, :COLUMNS],
            y_rep.double().reshape(len(y_rep), len(y), -1)[..., :COLUMNS],
        )
        if seen is not None:
            hidden = ~seen.reshape(len(y), -1)[:, :COLUMNS].expand(y.shape)
            y, y_rep = y.masked_fill(hidden, torch.nan), y_rep.masked_fill(hidden, torch.nan)
        yield _compared(case, name, y, y_rep, _kind(fn))


def _indicators(case: Case, name: str, y_rep: Tensor) -> tuple[Tensor, Tensor]:
    values = case.data.sites[name].values
    assert values is not None
    return (y_rep[..., None] == values).double(), (case.data.observed[name][..., None] == values).double()


def _kind(fn: Any) -> str:
    if fn.has_enumerate_support:
        return "finite"
    return "count" if getattr(fn.support, "is_discrete", False) else "real"


def _statistics(kind: str, y: Tensor, centre: Tensor) -> dict[str, Tensor]:
    """Name -> one number for each column; ``y`` (…, n, columns), ``centre`` what the model expects."""
    r = y - centre
    mean = r.nanmean(-2, keepdim=True)
    variance = (r - mean).square().nanmean(-2)
    sd = variance.clamp(min=1e-300).sqrt()
    found = {"mean": mean[..., 0, :]}
    if kind == "finite":
        return found
    z = (r - mean) / sd[..., None, :]
    found |= {"scale": sd.log(), "skew": z.pow(3).nanmean(-2), "tail": z.pow(4).nanmean(-2).log()}
    if kind == "count":
        some = torch.where(y > 0, y, torch.nan)
        usual = some.nanmean(-2)
        found["dispersion"] = ((some - usual[..., None, :]).square().nanmean(-2) / usual + 1e-9).log()
        found["zeros"] = torch.where(y.isnan(), torch.nan, (y == 0).double()).nanmean(-2)
    if y.shape[-2] > 20:
        found["neighbours"] = (z[..., 1:, :] * z[..., :-1, :]).nanmean(-2)
    if y.shape[-1] > 1:
        filled = torch.nan_to_num(z)
        together = filled.mT @ filled / y.shape[-2]
        i, j = torch.triu_indices(y.shape[-1], y.shape[-1], 1)
        found["columns"] = together[..., i, j]
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
    "dependent columns": 'let columns depend on one another: covariance="full", a mixture, or hidden factors',
    "heavy tails": "take a Student t, or look at the outlying rows",
    "skewed": "take a logarithm of the data, or a skewed density",
}


def _compared(case: Case, name: str, y: Tensor, y_rep: Tensor, kind: str) -> Check:
    centre = y_rep.mean(0)
    seen, drawn = _statistics(kind, y, centre), _statistics(kind, y_rep, centre)
    found: dict[str, tuple[float, int]] = {}
    for what, here in seen.items():
        others = drawn[what]
        spread = others.std(0).clamp(min=1e-9)
        z = (here - others.mean(0)) / spread
        beyond = (here > others.amax(0)) | (here < others.amin(0))
        z = torch.nan_to_num(torch.where(beyond, z, 0.0))
        place = int(z.abs().argmax())
        if float(z.abs()[place]) > FAR:
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
        tests = sum(v.numel() for v in seen.values())
        return Check(
            f"rows: {name}", "ok", f"{tests:,} statistics within {FAR:g} sds of replicates", limit=FAR
        )
    order = [what for what in NAMED if what in found]
    what = order[0] if order[0] in ("scale", "neighbours") else max(found, key=lambda w: abs(found[w][0]))
    far, place = found[what]
    called, more = NAMED[what], ""
    if what == "scale":
        sd, usual = float(seen[what][place].exp()), float(drawn[what][:, place].mean().exp())
        called, more = _scale(kind, sd, usual, case.data.n), f": sd {sd:.3g}, expected {usual:.3g}"
    if what == "mean" and not case.data.sites[name].local:
        more = ""
    column = f"{name}[{place}]" if y.shape[1] > 1 and what != "columns" else name
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
        known = abs(torch.tensor(usual / other).log().item()) < near
        if known and abs(torch.tensor(usual / own).log().item()) > 2 * near:
            return "variance for sd"
    return "wrong scale"
