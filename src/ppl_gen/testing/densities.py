"""Rules about distributions: draws lie in the support, and sampler and density are one."""

import math
from typing import Any

import pyro
import torch
from pyro.distributions import Delta
from torch import Tensor
from torch.distributions import biject_to, identity_transform

from ppl_gen.inference.elbo import delta
from ppl_gen.normalisation.improper import is_improper
from ppl_gen.normalisation.integrals import FALSE_ALARM, base_of, draw, total
from ppl_gen.notation import Factorization
from ppl_gen.testing.case import Case, log_density
from ppl_gen.testing.words import unscored


def own_samples(c: Case) -> None:
    """What the model draws lies in the support and scores a finite number; what does not is not scored."""
    for name in c.joint:
        site = c.sites[name]
        fn, value = site["fn"], site["value"]
        if is_fixed(site):
            continue
        if not bool(torch.as_tensor(fn.support.check(value)).all()):
            c.refuse(
                f"{name!r} is drawn outside the support of its own density: {type(base_of(fn)).__name__} has "
                f"{described(fn.support)}, and a draw was {_outside(fn, value)}",
                "draw and score the same distribution, one whose support is that of the data",
                "model",
                name,
            )
        try:
            finite = torch.isfinite(log_density(site)).all()
        except Exception as error:
            unscored(c, error, "model", name, fn)
        if not bool(finite):
            c.refuse(
                f"{name!r} has a log density that is not finite at the model's own draw",
                "mend log_prob, or move the start of the parameters to numbers of ordinary size",
                "model",
                name,
            )
        for elsewhere in (value + 0.5, -value - 1):
            elsewhere = elsewhere.to(value.dtype)
            if bool(torch.as_tensor(fn.support.check(elsewhere)).all()):
                continue
            try:
                scored = bool(torch.isfinite(fn.log_prob(elsewhere)).all())
            except Exception:
                continue  # refused, as it should be
            if scored:
                c.refuse(
                    f"{name!r} is scored outside its support: {type(base_of(fn)).__name__} gives the value "
                    f"{elsewhere.flatten()[0].item():g} a finite density (validate_args=False?)",
                    "leave out validate_args=False, and take a distribution whose support holds the data",
                    "model",
                    name,
                )


def normalised(c: Case) -> None:
    """Densities of the model and of its guide integrate to one: values that can be counted, and numbers."""
    for part, line, values, clamped in _programs(c):
        index = torch.arange(1, c.values["n"], 2)[:2]  # two rows are enough, and large models stay fast
        with torch.no_grad(), pyro.validation_enabled(False):
            sites = c.run(part, c.rows(index, values), c.rows(index, clamped))
            totals = {name: total(sites[name]["fn"]) for name in line if not is_fixed(sites[name])}
        for name, (sums, tolerance) in totals.items():
            wrong = sums[(sums - 1).abs() > tolerance]
            if len(wrong):
                c.refuse(
                    f"the density of {name!r} in {part}() does not sum to one: {float(wrong[0]):.3g}",
                    "normalise log_prob",
                    part,
                    name,
                )


def _programs(c: Case) -> list[tuple[str, Factorization, dict[str, Any], dict[str, Tensor]]]:
    """Model and guide: the part, its line, its values, and one draw of its variables."""
    parts = [("model", c.joint, c.values, c.drawn), ("guide", c.q, c.values | c.drawn, c.latents)]
    return parts[: 1 + c.guided]


def sampler_and_density(c: Case) -> None:
    """Sampler and density are one distribution, in the model and in its guide.

    Metropolis steps that leave the density as it is make start and end of a chain exchangeable if the
    sampler draws from that density; then every comparison of the two is a fair coin (Hoeffding's bound).
    Blind to a density's constant, which `normalised` sees.
    """
    coins = 2 * (len(c.joint) + len(c.q))
    for part, line, values, clamped in _programs(c):
        with torch.no_grad(), pyro.validation_enabled(False):
            sites = c.run(part, values, clamped)
        for name in line:
            fn = sites[name]["fn"]
            if is_fixed(sites[name]):
                continue
            with torch.no_grad(), pyro.validation_enabled(False):
                try:
                    pairs = chain(fn, 256)
                except Exception as error:
                    unscored(c, error, part, name, fn)
            for difference in pairs:
                up, down = int((difference > 0).sum()), int((difference < 0).sum())
                bound = math.sqrt((up + down) * math.log(2 * coins / FALSE_ALARM) / 2)
                if abs(up - down) / 2 > bound:
                    c.refuse(
                        f"sampler and density of {name!r} disagree in {part}(): its draws do not follow "
                        f"{type(base_of(fn)).__name__}.log_prob",
                        "make sample() (or rsample()) and log_prob() of the distribution the same",
                        part,
                        name,
                    )


def chain(fn: Any, draws: int, steps: int = 8) -> tuple[Tensor, ...]:
    """After minus before of the log density and of the place, for Metropolis chains that start at draws."""
    discrete = fn.support.is_discrete
    cells = getattr(fn.support, "base_constraint", fn.support)
    try:
        bijection = identity_transform if discrete else biject_to(fn.support)
    except NotImplementedError:
        return ()  # no coordinates in which to take steps

    def target(u: Tensor) -> Tensor:
        value = bijection(u)
        score = fn.log_prob(value)
        if not discrete:
            score = score + _per_draw(bijection.log_abs_det_jacobian(u, value), score).sum(-1)
            # draws pile up at the edge of floating point: the edge is left out of the space
            inside = torch.isclose(bijection.inv(value), u, rtol=1e-3, atol=1e-3)
            if value.shape != u.shape or not torch.equal(value, u):
                inside &= u.abs() < 60
            score = score.where(_per_draw(inside, score).all(-1), -math.inf)
        return score.where(~score.isnan(), -math.inf)

    spread = bijection.inv(draw(fn, 64)).double()  # draws of their own: the steps may not know the start
    width = spread.where(spread.isfinite(), 0.0).std(0) * 1.5 / math.sqrt(max(1, fn.event_shape.numel()))
    u = start = bijection.inv(draw(fn, draws))
    score = before = target(u)
    for _ in range(steps):
        step = torch.randn(u.shape, dtype=width.dtype) * (width.clamp(min=0.7) if discrete else width)
        proposal = u + (step.round() if discrete else step).to(u.dtype)
        if discrete:
            legal = torch.as_tensor(cells.check(proposal))
            legal = legal.reshape(*legal.shape, *[1] * (u.dim() - legal.dim()))
            proposal = proposal.where(legal, u)
        new = target(proposal)
        taken = (torch.rand(new.shape, dtype=torch.float64).log() < new - score) & new.isfinite()
        u = torch.where(taken.reshape(*taken.shape, *[1] * (u.dim() - taken.dim())), proposal, u)
        score = torch.where(taken, new, score)
    good = before.isfinite()
    return (score - before)[good], _per_draw(u - start, score).sum(-1)[good]


def _per_draw(value: Tensor, score: Tensor) -> Tensor:
    """``value`` with its event dimensions, those that ``score`` lacks, flattened into one last dimension."""
    return value.reshape(*score.shape, -1)


def point_mass(fn: Any) -> bool:
    """Whether all probability lies on one value."""
    return isinstance(base_of(fn), Delta)


def is_fixed(site: dict[str, Any]) -> bool:
    """Whether the variable is a function of its parents, or flat: there is no density to check."""
    return point_mass(site["fn"]) or delta(site) or is_improper(site["fn"])


def described(support: Any) -> str:
    """A support as a reader calls it."""
    return str(support).replace("Independent(", "").split(",")[0].strip("()")


def _outside(fn: Any, value: Tensor) -> str:
    cells = torch.as_tensor(base_of(fn).support.check(value))
    return f"{(value if cells.shape != value.shape else value[~cells]).flatten()[0].item():g}"
