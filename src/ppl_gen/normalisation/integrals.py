"""What one density sums or integrates to: by counting, by quadrature, by importance sampling."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints

from ppl_gen.inference.quadrature import integrate

FALSE_ALARM = 1e-6  # the chance that the one statistical rule refuses a good model


def draw(fn: Any, draws: int) -> Tensor:
    """Draws as pyro.sample takes them."""
    value: Tensor = fn.rsample((draws,)) if fn.has_rsample else fn.sample((draws,))
    return value


STEP, FEW = 1 / 64, 512  # of the grid; and cells that a finer one, for narrow peaks, can be laid over
UNKNOWN = torch.ones(0), 0.0  # no cell whose integral is known


def total(fn: Any, draws: int = 1024) -> tuple[Tensor, float]:
    """What the density sums or integrates to, for each cell where that can be told; and how exactly.

    The trapezoidal rule after x = bijection(middle + spread * sinh(pi / 2 * sinh(t))), under which heavy
    tails fall off doubly exponentially (Takahasi and Mori 1974). A cell counts only if eight grids agree,
    what is positive falls off before its ends, and no draw finds a peak between the nodes. So a region that
    the grid misses holds no draw, and a fraction p has none among m draws with probability exp(-m p):
    that gives the tolerance. Draws outside the support, as of a Normal that is cut and drawn as before, tell
    nothing of where in it the density lies. If no cell passes, a finer grid looks for narrower peaks.
    """
    fn = base_of(fn)
    if is_countable(fn):
        return fn.log_prob(fn.enumerate_support()).double().logsumexp(0).exp().flatten(), 1e-3
    if fn.event_shape or fn.support.is_discrete:
        return UNKNOWN
    try:
        mixed = isinstance(fn, torch.distributions.MixtureSameFamily)
        bijection = biject_to(fn.component_distribution.support if mixed else fn.support)
        drawn = draw(fn, draws).double()
        u = bijection.inv(drawn).where(inside := fn.support.check(drawn), math.nan)
        u = u.where(inside, u.nanmedian(0).values)
        found = _integrals(fn, bijection, u, STEP)
        if not len(found) and u[0].numel() <= FEW:
            found = _integrals(fn, bijection, u, STEP / 8)
    except Exception:  # no coordinates, or a density that takes none but its own draws
        return UNKNOWN
    return found, math.log(max(1, u[0].numel()) / FALSE_ALARM) / max(1, int(inside.sum(0).min()))


def _integrals(fn: Any, bijection: Any, u: Tensor, step: float) -> Tensor:
    """Integrals of the cells that pass every test of `total`; ``u`` are draws, in unbounded coordinates."""
    half_pi, end = math.pi / 2, 6.75
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


def base_of(fn: Any) -> Any:
    """A distribution without the wrappers that only rearrange its dimensions."""
    while hasattr(fn, "base_dist") and not isinstance(fn, torch.distributions.TransformedDistribution):
        fn = fn.base_dist
    return fn


def is_countable(fn: Any) -> bool:
    """Whether the values are finitely many numbers."""
    return bool(fn.has_enumerate_support) and not fn.event_shape


def counted(fn: Any, draws: int = 1024) -> tuple[Tensor, float]:
    """The sum over whole numbers, of each cell of a distribution of counts without a bound; and how exactly.

    What lies above the largest of ``draws`` draws, four times and a thousand more, is left out.
    """
    fn = base_of(fn)
    if fn.event_shape or not fn.support.is_discrete:
        return UNKNOWN
    drawn = draw(fn, draws).double()
    last, first = int(drawn.max()) * 4 + 1000, min(0, int(drawn.min()) * 4 - 1000 * bool(drawn.min() < 0))
    cells = max(1, torch.Size(fn.batch_shape).numel())
    if (last - first) * cells > 1e7:
        return UNKNOWN
    values = torch.arange(first, last, dtype=drawn.dtype).reshape(-1, *[1] * drawn[0].dim())
    values = values.expand(-1, *drawn.shape[1:])
    inside = torch.as_tensor(fn.support.check(values)).expand(values.shape)
    legal = values.where(inside, drawn[0])
    sums = fn.log_prob(legal).double().where(inside, -math.inf).logsumexp(0).exp().flatten()
    return sums, max(1e-3, math.log(cells / FALSE_ALARM) / draws)


def listed(fn: Any) -> tuple[Tensor, float]:
    """The sum over all values of a finite distribution, as its ``enumerate_support`` lists them."""
    values = fn.enumerate_support()
    return fn.log_prob(values).double().logsumexp(0).exp().flatten(), 1e-3


def stretched(fn: Any, value: Tensor) -> tuple[Tensor, str]:
    """The integral over the numbers that ``value`` are, where these lie outside the support.

    Numbers between 0 and 1 mean the unit interval, others the half line or the line. Each cell apart.

    Returns:
        The integrals (cells,), and the space in words.
    """
    fn = base_of(fn)
    value = value.double()
    unit, half = bool((value >= 0).all() and (value <= 1).all()), bool((value >= 0).all())
    space = constraints.unit_interval if unit else constraints.nonnegative if half else constraints.real
    words = "the unit interval" if unit else "the numbers from 0 up" if half else "the real numbers"
    bijection = biject_to(space)
    shape = torch.Size(fn.batch_shape)

    def log_density(u: Tensor) -> Tensor:
        place = bijection(u)
        score = fn.log_prob(place.reshape(-1, *shape).to(value.dtype)).double().reshape(u.shape)
        score = score + bijection.log_abs_det_jacobian(u, place)
        return score.where(~score.isnan(), -math.inf)

    width = max(1, shape.numel())
    near = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None].expand(-1, width)
    if not unit:
        low, high = float(value.min()), max(float(value.max()), float(value.min()) + 1)
        ends = bijection.inv(torch.tensor([max(low, 1e-3) if half else low, high], dtype=torch.float64))
        near = torch.linspace(float(ends[0]), float(ends[1]), 13, dtype=torch.float64)[:, None]
        near = near.expand(-1, width)
    return integrate(log_density, near, tolerance=1e-9).log_value.exp(), words


def sampled(fn: Any, cell: int, draws: int = 1024) -> tuple[float, float] | None:
    """The integral of a density of vectors at one cell of its batch, by importance sampling, and its s.e.

    The proposal is half a Student-t, half a kernel density estimate of draws, in unbounded coordinates. None
    if there are no coordinates, too many of them, or weights that a few draws decide.
    """
    try:
        bijection = biject_to(fn.support)
        kept = draw(fn, 256)
        u = bijection.inv(kept).double()
    except Exception:
        return None
    size = torch.Size(fn.batch_shape).numel()
    parts = u.reshape(256, size, -1)[:, cell]
    d = parts.shape[-1]
    if d > 40 or not bool(torch.isfinite(parts).all()):
        return None
    if len(parts.unique(dim=0)) < 0.98 * len(parts):  # ties: floating point ends before the density does
        return None
    try:
        proposal, places = _proposal(parts, draws)
        full = u[torch.arange(draws) % 256].reshape(draws, size, -1)
        full[:, cell] = places
        full = full.reshape(draws, *u.shape[1:])
        value = bijection(full)
        stretch = bijection.log_abs_det_jacobian(full, value)
        stretch = stretch.reshape(draws, size, -1).sum(-1)[:, cell]
        score = fn.log_prob(value.to(kept.dtype)).double().reshape(draws, size)[:, cell]
    except Exception:
        return None
    weights = (score + stretch - proposal).exp().nan_to_num(0.0, posinf=math.inf)
    if not bool(torch.isfinite(weights).all()) or float(weights.max()) > 0.1 * float(weights.sum()):
        return None
    return weights.mean().item(), (weights.std() / math.sqrt(draws)).item()


def _proposal(parts: Tensor, draws: int) -> tuple[Tensor, Tensor]:
    """Draws of a wide proposal around ``parts`` (m, d), with their log densities: (draws,), (draws, d)."""
    m, d = parts.shape
    centre, spread = parts.median(0).values, torch.cov(parts.T).reshape(d, d)
    factor = torch.linalg.cholesky(
        spread + 1e-9 * torch.eye(d).double() * spread.diagonal().mean().clamp(min=1e-12)
    )
    width = m ** (-1 / (d + 4))
    half = draws // 2
    near = parts[torch.randint(m, (draws - half,))] + width * torch.randn(draws - half, d).double() @ factor.T
    places = torch.cat([centre + _student(half, d) @ factor.T, near])
    white = torch.linalg.solve_triangular(factor, (places - centre).T, upper=False).T
    volume = factor.diagonal().log().sum()
    square = white.square().sum(-1)
    log_t = (
        math.lgamma((5 + d) / 2)
        - math.lgamma(2.5)
        - d / 2 * math.log(5 * math.pi)
        - volume
        - (5 + d) / 2 * (square / 5).log1p()
    )
    centres = torch.linalg.solve_triangular(factor, (parts - centre).T, upper=False).T
    distance = torch.cdist(white, centres).square() / width**2
    log_k = (-distance / 2).logsumexp(1) - math.log(m) - d / 2 * math.log(2 * math.pi)
    log_k = log_k - d * math.log(width) - volume
    return torch.logaddexp(log_t, log_k) - math.log(2), places


def _student(n: int, d: int) -> Tensor:
    """Multivariate Student-t draws with five degrees of freedom, (n, d)."""
    scale = torch.distributions.Chi2(torch.tensor(5.0).double()).sample((n, 1)).div(5).rsqrt()
    return torch.randn(n, d).double() * scale
