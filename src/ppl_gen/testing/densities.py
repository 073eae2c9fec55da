"""Rules about distributions: draws lie in the support, and sampler and density are one."""

import math
from typing import Any

import pyro
import torch
from pyro.distributions import Delta
from torch import Tensor
from torch.distributions import biject_to, identity_transform

from ppl_gen.inference.elbo import delta
from ppl_gen.notation import Factorization
from ppl_gen.testing.case import Case, log_density

FALSE_ALARM = 1e-6  # the chance that the one statistical rule refuses a good model


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
            c.unscored(error, "model", name, fn)
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
                    c.unscored(error, part, name, fn)
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


def draw(fn: Any, draws: int) -> Tensor:
    """Draws as pyro.sample takes them."""
    value: Tensor = fn.rsample((draws,)) if fn.has_rsample else fn.sample((draws,))
    return value


UNKNOWN = torch.ones(0), 0.0  # no cell whose integral is known


def total(fn: Any, draws: int = 1024) -> tuple[Tensor, float]:
    """What the density sums or integrates to, for each cell where that can be told; and how exactly.

    The trapezoidal rule after x = bijection(middle + spread * sinh(pi / 2 * sinh(t))), under which heavy
    tails fall off doubly exponentially (Takahasi and Mori 1974). A cell counts only if eight grids agree,
    what is positive falls off before its ends, and no draw finds a peak between the nodes. So a region that
    the grid misses holds no draw, and a fraction p has none among m draws with probability exp(-m p):
    that gives the tolerance.
    """
    if is_countable(fn):
        return fn.log_prob(fn.enumerate_support()).double().logsumexp(0).exp().flatten(), 1e-3
    fn = base_of(fn)
    if fn.event_shape or fn.support.is_discrete:
        return UNKNOWN
    try:
        bijection = biject_to(fn.support)
        u = bijection.inv(draw(fn, draws).double())
        found = _integrals(fn, bijection, u)
    except Exception:  # no coordinates, or a density that takes none but its own draws
        return UNKNOWN
    return found, math.log(max(1, u[0].numel()) / FALSE_ALARM) / draws


def _integrals(fn: Any, bijection: Any, u: Tensor) -> Tensor:
    """Integrals of the cells that pass every test of `total`; ``u`` are draws, in unbounded coordinates."""
    half_pi, end, step = math.pi / 2, 6.75, 1 / 64
    ordered = u.sort(0).values
    middle = ordered[len(u) // 2]
    spread = ordered[3 * len(u) // 4] - ordered[len(u) // 4]

    def density(t: Tensor) -> Tensor:
        place = middle + spread * (half_pi * t.sinh()).sinh()
        value = bijection(place)
        stretch = spread * half_pi * t.cosh() * (half_pi * t.sinh()).cosh()
        log = fn.log_prob(value) + bijection.log_abs_det_jacobian(place, value) + stretch.log()
        # where floating point saturates, as exp and the logistic function do, nothing is known
        inside = torch.isclose(bijection.inv(value), place, rtol=1e-3, atol=1e-3) & value.isfinite()
        return log.exp().where(inside & ~log.isnan(), 0.0)

    t = torch.arange(-end, end, step, dtype=torch.float64)
    f = density(t.reshape(-1, *[1] * middle.dim()).expand(-1, *middle.shape)).reshape(len(t), -1)
    grids = torch.stack([8 * step * f[i::8].sum(0) for i in range(8)])
    sums = grids.mean(0)
    agree = (grids.amax(0) - grids.amin(0)) < 1e-3 * sums
    positive = f > 0
    first = positive.to(torch.int8).argmax(0, keepdim=True)
    last = len(t) - 1 - positive.flip(0).to(torch.int8).argmax(0, keepdim=True)
    ends = torch.maximum(f.gather(0, first), f.gather(0, last))[0] < 1e-4 * f.amax(0)
    own = ((u - middle) / spread).asinh().div(half_pi).asinh()
    left = ((own + end) / step).floor().long().clamp(0, len(t) - 2).reshape(len(u), -1)
    near = torch.maximum(f.gather(0, left), f.gather(0, left + 1))
    seen = (density(own).reshape(len(u), -1) <= 2 * near + 1e-3 * f.amax(0)).all(0)
    good = agree & ends & seen & sums.isfinite() & (sums > 0)
    return sums[good]


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


def base_of(fn: Any) -> Any:
    """A distribution without the wrappers that only rearrange its dimensions."""
    while hasattr(fn, "base_dist") and not isinstance(fn, torch.distributions.TransformedDistribution):
        fn = fn.base_dist
    return fn


def point_mass(fn: Any) -> bool:
    """Whether all probability lies on one value."""
    return isinstance(base_of(fn), Delta)


def is_fixed(site: dict[str, Any]) -> bool:
    """Whether the variable is a function of its parents: there is no density to check."""
    return point_mass(site["fn"]) or delta(site)


def is_countable(fn: Any) -> bool:
    """Whether the values are finitely many numbers."""
    return bool(fn.has_enumerate_support) and not fn.event_shape


def described(support: Any) -> str:
    """A support as a reader calls it."""
    return str(support).replace("Independent(", "").split(",")[0].strip("()")


def _outside(fn: Any, value: Tensor) -> str:
    cells = torch.as_tensor(base_of(fn).support.check(value))
    return f"{(value if cells.shape != value.shape else value[~cells]).flatten()[0].item():g}"
