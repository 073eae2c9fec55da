"""Is there a mode that the draws never visit? Climbs from elsewhere, and the mass of where they end."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.core import run, variables
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.causes import MOST
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.mode import Watched, mode
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.relabelling import Components
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.isolation import isolated
from ppl_gen.normalisation.integrals import base_of

PRIOR, FLIPS = 6, 6  # climbs from draws of the prior, and from single variables with their sign changed
STEPS, NEWTON = 60, 30  # of a climb, at most
PATIENCE = 100  # looks at the density, after which a climb is given up: it leads nowhere, or slowly
OUTSIDE = 2.0  # times the square of the farthest draw's distance: no draw comes near a mode beyond
VALLEY = 3.0  # nats by which the density falls between two modes
SHARE, MUCH = 0.1, 20.0  # mass of another mode, as a multiple of the draws' own, worth a word; and far better
WEIGHED = 100  # draws that tell the mass of a mode
UNSEEN = "modes that no draw or start visits are not seen (restarts=, or more chains, look further)"


class Mode(NamedTuple):
    """A peak in free coordinates, its log density in nats, and its negative second derivatives."""

    at: Tensor
    log_density: float
    precision: Tensor


def mode_checks(case: Case) -> Iterator[Check]:
    """Other modes, where the parameters are few and rows have no hidden numbers of their own.

    A climb from the draws finds their mode; climbs from draws of the prior and from the mode with signs
    changed end there as well, or at another. That counts if it lies far beyond all draws, behind a valley,
    and holds mass, as importance weights of a Normal about it tell.
    """
    posterior = case.posterior
    stored = isinstance(posterior.guide, Draws)
    if posterior.point or (case.quality is None and not stored) or posterior.evidence is not None:
        return
    try:
        Components("diagnose", posterior.joint, case.data)
    except Unanswerable:
        pass
    else:
        yield Check("modes", "note", f"each naming of the components is one: one is looked at; {UNSEEN}")
        return
    with isolated(case.seed, grad=True):
        try:
            prior = posterior.yesterday
            target = Unconstrained(posterior.joint, posterior.guide, case.data, prior, "diagnose")
            free = _free(case, target)
        except (Unanswerable, RuntimeError, ValueError, KeyError) as error:
            free = None
            why = str(error).partition(":")[0] if isinstance(error, Unanswerable) else "no coordinates"
        if free is None or not 0 < free.shape[1] <= MOST:
            why = f"{free.shape[1]:,} parameters" if free is not None else "rows have hidden numbers"
            yield Check("modes", "note", f"not looked for: {why}; {UNSEEN}")
            return
        yield _looked(target, free)


def _free(case: Case, target: Unconstrained) -> Tensor:
    """The draws in the coordinates of ``target`` (draws, d)."""
    if isinstance(guide := case.posterior.guide, Draws):
        values = {name: guide.values[name].flatten(0, 1) for name in target.maps}
        return torch.cat([target.maps[n].inv(v).reshape(len(v), -1) for n, v in values.items()], 1)
    assert case.quality is not None
    return torch.cat([case.quality.scored.free[name] for name in target.maps], 1)


def _looked(target: Unconstrained, free: Tensor) -> Check:
    dtype = target.start.dtype
    mean, covariance = free.double().mean(0), torch.cov(free.double().T).reshape(free.shape[1], -1)
    whitened = torch.linalg.inv(covariance + 1e-12 * torch.eye(len(mean), dtype=mean.dtype))

    def distance(u: Tensor) -> Tensor:
        off = u.double() - mean
        return ((off @ whitened) * off).sum(-1)

    own = _climbed(target, free[distance(free).argmin()].to(dtype))
    if own is None:
        return Check("modes", "note", f"not looked for: the climb from the draws found no peak; {UNSEEN}")
    limit = OUTSIDE * float(distance(free).max())
    others: list[Mode] = []
    starts, circular = _starts(target, own.at), _circular(target)
    ends = [_turned(end, own, circular) for s in starts if (end := _climbed(target, s)) is not None]
    for found in ends:
        if float(distance(found.at)) <= limit:
            continue
        if any(_same(found, other) for other in others) or not _valley(target, own, found):
            continue
        others.append(found)
    masses = [(_mass(target, other) - _mass(target, own), other) for other in others]
    worth = [(mass, other) for mass, other in masses if mass > math.log(SHARE)]
    if not worth:
        shown = (
            f"{len(ends)} of {len(starts)} climbs from elsewhere arrive, at no other that counts; {UNSEEN}"
        )
        return Check("modes", "ok", shown, value=0.0, limit=SHARE)
    mass, other = max(worth, key=lambda pair: pair[0])
    here, there = target.values(own.at), target.values(other.at)
    moved = {n: (here[n] - there[n]).abs().flatten() / covariance.diagonal().max().sqrt() for n in here}
    where = max(moved, key=lambda n: float(moved[n].max()))
    place = int(moved[where].argmax())
    called = where if here[where].numel() == 1 else f"{where}[{place}]"
    own_at, other_at = (float(v[where].flatten()[place]) for v in (here, there))
    times = math.exp(min(mass, 700.0))
    shown = (
        f"a mode at {called} = {other_at:.3g} holds {times:.3g} times the mass of the one at "
        f"{own_at:.3g}, and no draw comes near it"
    )
    numbers: dict[str, Any] = {"value": times, "limit": SHARE, "where": where}
    if mass > math.log(MUCH):
        return fault("stuck in a worse mode", "modes", shown, "start there, or take more starts", **numbers)
    fix = (
        f"if the two say the same, as signs and labels do, put an order or a sign on {where}; else fit each, "
        "and mix them by their mass"
    )
    return fault("one of several modes", "modes", shown, fix, state="caution", **numbers)


def _starts(target: Unconstrained, at: Tensor) -> list[Tensor]:
    """The mode with signs changed, of all numbers and of each real variable, and draws of the prior."""
    flipped, begin = [], 0
    everywhere, here = at.clone(), target.values(at)
    for name, shape in target.shapes.items():
        end = begin + shape.numel()
        if torch.equal(here[name].flatten(), at[begin:end]):  # it is its own free coordinate
            one = at.clone()
            one[begin:end] = -at[begin:end]
            everywhere[begin:end] = -at[begin:end]
            flipped.append(one)
        begin = end
    starts = [everywhere, *(flipped[:FLIPS] if len(flipped) > 1 else [])] if flipped else []
    for _ in range(PRIOR):
        sites = variables(run(target.p.model, target.data.values, target.data.observed))
        starts.append(torch.cat([to.inv(sites[n]["value"]).flatten() for n, to in target.maps.items()]))
    return [start.detach() for start in starts]


class Patient(Watched):
    """A log density that may be looked at so many times."""

    left = PATIENCE

    def __call__(self, u: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise Unanswerable("the climb is too long")
        return super().__call__(u)


def _climbed(target: Unconstrained, start: Tensor) -> Mode | None:
    """The peak that a climb from there reaches, if it does."""
    target.start = start
    try:
        return Mode(*mode(target, STEPS, NEWTON, Patient(target)))
    except (Unanswerable, RuntimeError, ValueError):  # the climb ended at no peak, or outside the support
        return None


def _circular(target: Unconstrained) -> Tensor:
    """Which coordinates are angles, of densities of period 2π (parameters,)."""
    kinds = {name: base_of(fn) for name, fn in target.densities.items()}
    parts = {name: base_of(getattr(fn, "component_distribution", fn)) for name, fn in kinds.items()}
    angles = {name: isinstance(fn, dist.VonMises | dist.SineBivariateVonMises) for name, fn in parts.items()}
    return torch.cat([torch.full((shape.numel(),), angles[n]) for n, shape in target.shapes.items()])


def _turned(found: Mode, own: Mode, circular: Tensor) -> Mode:
    """The mode with each angle as near to that of ``own`` as whole turns bring it: the same angle."""
    turns = ((found.at - own.at) / math.tau).round()
    return found._replace(at=torch.where(circular, found.at - math.tau * turns, found.at))


def _same(one: Mode, other: Mode) -> bool:
    off = one.at - other.at
    return float(off @ one.precision @ off) < 1.0


def _valley(target: Unconstrained, one: Mode, other: Mode) -> bool:
    """Whether the density falls on the straight way between two modes."""
    with torch.no_grad():
        between = [float(target(torch.lerp(one.at, other.at, t / 12))) for t in range(1, 12)]
    return min(between) < min(one.log_density, other.log_density) - VALLEY


def _mass(target: Unconstrained, peak: Mode) -> float:
    """Log of the mass about a peak, by importance weights of the Normal that has its curvature."""
    near = torch.distributions.MultivariateNormal(peak.at, precision_matrix=peak.precision)
    with torch.no_grad():
        weights = [target(u) - near.log_prob(u) for u in near.sample(torch.Size([WEIGHED]))]
    return float(torch.stack(weights).logsumexp(0)) - math.log(WEIGHED)
