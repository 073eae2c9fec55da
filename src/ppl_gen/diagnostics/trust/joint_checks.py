"""Is the joint what it was meant to be? Its plates, scales and factors, and whether its densities are any."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from pyro.distributions import Delta, Unit
from torch import Tensor
from torch.distributions import biject_to, constraints

from ppl_gen.core import ROWS, bare, run, variables
from ppl_gen.diagnostics.trees.masks import one_cell
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.elbo import Node, delta, log_prob
from ppl_gen.isolation import isolated

GRID, REACH = 801, 12.0  # points of a quadrature, and how far it goes: sinh(12), 80,000 times the spread
MASS = 0.01  # by which a density's total may differ from one
LARGEST = 5_000_000  # numbers that one quadrature looks at


def joint_checks(case: Case) -> Iterator[Check]:
    """Rows counted as they are, no factors beside the joint's, every density of total one."""
    t, observed = case.runs[0], case.data.observed
    yield _weighed(t.p)
    extra = [name for name, s in t.p.items() if s["is_observed"] and name not in observed and not delta(s)]
    yield from (_factor(case, name) for name in extra)
    with isolated(case.seed):
        yield from density_checks("model", t.p)
        guided = {name: site for name, site in t.q.items() if case.posterior.guide is not None}
        yield from density_checks("guide", guided)


def _weighed(sites: dict[str, Node]) -> Check:
    for name, site in sites.items():
        for frame in site["cond_indep_stack"]:
            if frame.name == ROWS and frame.full_size not in (None, frame.size):
                return fault(
                    "wrong plate size",
                    "rows",
                    f"{frame.size:,} rows of {name} count as {frame.full_size:,}",
                    f'write pyro.plate("{ROWS}", n), with n the rows there are; fit weighs minibatches',
                    where=name,
                    value=float(frame.full_size),
                    limit=float(frame.size),
                )
        scale = torch.as_tensor(1.0 if site["scale"] is None else site["scale"])
        if bool((scale - 1).abs().max() > 1e-6):
            weight = float(scale.flatten()[(scale - 1).abs().argmax()])
            return fault(
                "scaled density",
                "rows",
                f"log p of {name} is multiplied by {weight:.3g}",
                "take poutine.scale out of the model: fit weighs minibatches itself",
                where=name,
                value=weight,
                limit=1.0,
            )
    return Check("rows", "ok", "each counts once")


def _factor(case: Case, name: str) -> Check:
    """A factor beside the joint; of what it is a copy, if of anything."""
    for other, times in _copied(name, [t.p for t in case.runs]):
        return _counted(name, other, times, other in case.data.observed)
    return fault(
        "factor in the model",
        "factors",
        f"{name!r} is scored beside the data",
        "pass data by name to fit, not by obs= in the model; a factor makes the joint a density no more",
        state="caution",
        where=name,
    )


def _counted(name: str, other: str, times: float, seen: bool) -> Check:
    return fault(
        "rows counted wrongly" if seen else "prior counted twice",
        "factors",
        f"factor {name!r} is log p of {other} again: it counts {times:.2f} times",
        f"leave out {name!r}: pyro.sample({other!r}, …) has scored it already",
        where=other,
        value=times,
        limit=1.0,
    )


def _copied(name: str, runs: list[dict[str, Node]]) -> Iterator[tuple[str, float]]:
    """The sites whose log p that of ``name`` follows from run to run, and how often both count them."""
    scores = {
        other: torch.stack([log_prob(sites[other]).sum().double() for sites in runs])
        for other, site in runs[0].items()
        if not delta(site) and site["infer"].get("_enumerate_dim") is None
    }
    own = scores.pop(name, None)
    for other, score in scores.items():
        if own is None or not float(own.std()) > 0 or not float(score.std()) > 0:
            continue
        r = float(torch.corrcoef(torch.stack([own, score]))[0, 1])
        if abs(r) > 0.9999:
            yield other, 1 + float(own.std() / score.std()) * math.copysign(1, r)


def factor_checks(case: Case) -> Iterator[Check]:
    """Of a bare program: does a factor, or a latent scored as if it were data, repeat another's log p?

    A factor is no mistake there: one may score censored rows. Only one that repeats log p as it stands is
    named. Latents are drawn from their priors: on a narrow posterior any two functions of one number go
    together.
    """
    first, second = (t.p for t in case.runs[:2])
    extra = [
        name
        for name, site in first.items()
        if site["is_observed"] and not delta(site) and not isinstance(bare(site["fn"]), Delta)
        if isinstance(site["fn"], Unit) or not _equal(site["value"], second[name]["value"])
    ]
    if not extra:
        return
    runs = []
    with isolated(case.seed):
        for _ in case.runs:
            try:
                runs.append(variables(run(case.posterior.joint.model, {})))
            except (ValueError, RuntimeError):  # of what only a prior expects
                continue
    if len(runs) < len(case.runs) / 2:
        raise Unanswerable("draws of the priors, with which factors are compared, are refused by the model")
    for name in extra:
        for other, times in _copied(name, runs):
            if abs(times - 2) < 1e-3 and other not in extra:
                yield _counted(name, other, times, runs[0][other]["is_observed"])
                return
    named = ", ".join(map(repr, extra))
    yield Check("factors", "note", f"{named} {'are' if len(extra) > 1 else 'is'} scored beside the data")


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), equal_nan=True)


def density_checks(whose: str, sites: dict[str, Node]) -> Iterator[Check]:
    """Quadrature of every density of one number, finite sums of finite ones."""
    checked = []
    for name, site in sites.items():
        try:
            found = _mass(site["fn"])
        except (NotImplementedError, AttributeError, ValueError, RuntimeError):  # no sampler, or no support
            continue
        if found is None:
            continue
        checked.append(name)
        mass, in_free = found
        worst = float(mass.flatten()[(mass - 1).abs().argmax()])
        if not abs(worst - 1) > MASS:
            continue
        jacobian = in_free is not None and bool((in_free - 1).abs().max() <= MASS)
        density = type(bare(site["fn"])).__name__
        yield fault(
            "dropped Jacobian" if jacobian else "unnormalised density",
            f"densities of the {whose}",
            f"{density} of {name} has total {worst:.3g}, not 1",
            f"add the log |Jacobian| of the map to log_prob of {density}"
            if jacobian
            else f"put the normalising constant into log_prob of {density}, or take a density that has one",
            where=name,
            value=worst,
            limit=1.0,
        )
        return
    if checked:
        yield Check(f"densities of the {whose}", "ok", f"{', '.join(checked)}: total 1 up to {MASS}")


def _mass(fn: Any) -> tuple[Tensor, Tensor | None] | None:
    """The totals of a density of one number, cell by cell; and as if it were one in free coordinates."""
    base = one_cell(fn)
    if base.event_dim or isinstance(base, Delta) or math.prod(base.batch_shape) * GRID > LARGEST:
        return None
    if base.has_enumerate_support:
        return base.log_prob(base.enumerate_support()).exp().sum(0), None
    support = base.support
    if getattr(support, "is_discrete", False):
        most = float(base.sample(torch.Size([100])).max())
        if not isinstance(support, type(constraints.nonnegative_integer)) or not most < 2000:
            return None
        values = torch.arange(4 * most + 100.0).reshape(-1, *[1] * len(base.batch_shape))
        total = base.log_prob(values).exp().sum(0)
        return torch.where(total < 1, torch.ones_like(total), total), None  # a tail may lie beyond
    to = biject_to(support)
    u = to.inv(base.sample(torch.Size([200]))).double()
    low, middle, high = u.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=u.dtype), dim=0)
    spread = (high - low).clamp(min=1e-12)
    t = torch.linspace(-REACH, REACH, GRID, dtype=u.dtype).reshape(-1, *[1] * len(base.batch_shape))
    at = middle + spread * t.sinh()
    value = to(at)
    # where floating point saturates, as exp and the logistic function do, nothing is known
    known = torch.isclose(to.inv(value), at, rtol=1e-3, atol=1e-3) & support.check(value)
    log_p = torch.where(known, base.log_prob(value).double(), -torch.inf).nan_to_num(nan=-torch.inf)
    measure = (spread * t.cosh()).log() + math.log(2 * REACH / (GRID - 1))
    log_det = to.log_abs_det_jacobian(at, value)
    true, without = ((log_p + measure + extra).exp() for extra in (log_det, torch.zeros_like(log_det)))
    seen = ~_cut_off(true, known)
    in_free = _total(without, seen) if bool((log_det != 0).any()) else None
    return _total(true, seen), in_free


def _total(mass: Tensor, seen: Tensor) -> Tensor:
    """The sum over the grid; one where nothing is known, or where a jump of the density, as at the end of a
    truncated one, may have cost what is missing."""
    total, jump = mass.sum(0), mass.diff(dim=0).abs().amax(0)
    return torch.where(seen & ((total - 1).abs() > MASS + jump), total, torch.ones_like(total))


def _cut_off(mass: Tensor, known: Tensor) -> Tensor:
    """Which cells have mass right where the known places (grid, *cells) end."""
    grid = len(known)
    first = known.to(torch.int8).argmax(0, keepdim=True)
    last = grid - 1 - known.flip(0).to(torch.int8).argmax(0, keepdim=True)
    edge = torch.maximum(mass.gather(0, first), mass.gather(0, last))[0]
    return ~known.any(0) | (edge > 1e-4 * mass.amax(0)) | ~mass.isfinite().all(0)
