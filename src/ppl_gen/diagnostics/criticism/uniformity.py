"""Are these numbers uniform? Their distribution function in an envelope that holds everywhere at once."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppl_gen.errors import DataError

Array = NDArray[Any]
POINTS = 100  # at which a distribution function is looked at, if nobody says where
CLOSE = 1e-12  # two numbers nearer than that are one: (rank + 1) / (L + 1) may be rounded either way


@dataclass(frozen=True, eq=False)
class Uniformity:
    """Numbers between 0 and 1 against the uniform distribution; made by `uniformity`.

    Attributes:
        values: the numbers, (n,).
        points: where the distribution functions are compared, (points,).
        ecdf: the share of values at or below each point, (points,).
        low, high: the envelope of that share, (points,): under uniformity it holds at all points at once
            with probability ``coverage``, the least that is ``level`` or more.
        p_value: the probability, were the values uniform, of a share as improbable as the worst here.
    """

    values: Array
    points: Array
    ecdf: Array
    low: Array
    high: Array
    level: float
    coverage: float
    p_value: float

    @property
    def inside(self) -> bool:
        """Whether the distribution function stays inside the envelope everywhere."""
        return bool(((self.ecdf >= self.low - CLOSE) & (self.ecdf <= self.high + CLOSE)).all())

    @cached_property
    def moments(self) -> tuple[float, float]:
        """z-scores of the values' mean, and of their mean distance from one half: shift, and spread.

        A positive shift: the values crowd at one. A positive spread: they crowd at both ends.
        """
        root = len(self.values) ** 0.5
        shift = float((self.values.mean() - 0.5) * root * 12**0.5)
        spread = float((abs(self.values - 0.5).mean() - 0.25) * root * 48**0.5)
        return shift, spread


def uniformity(values: Any, *, points: Any = None, level: float = 0.95) -> Uniformity:
    """Whether independent numbers are uniform between 0 and 1, by their distribution function.

    The count of values at or below a point is binomial. Intervals of one pointwise level, the same at all
    points, are widened until they hold at all points at once; that probability is computed, not simulated,
    by a recursion over the points (Säilynoja, Bürkner and Vehtari 2022, which also gives the envelope).

    Ranks r from 0 to L: pass ``values=(r + 1) / (L + 1)`` and ``points=numpy.arange(1, L + 1) / (L + 1)``.

    Args:
        values: (n,).
        points: increasing, above 0 and below 1, where the probability of a value at or below the point is
            the point itself; by default multiples of 1/100, or of 1/n if that is more.
        level: of the envelope, at all points at once.

    Raises:
        DataError: a value is no number between 0 and 1, or the points do not increase between 0 and 1.

    >>> found = uniformity([0.1, 0.3, 0.5, 0.7, 0.9])
    >>> found.inside, uniformity([0.99] * 5).inside
    (True, False)
    """
    u = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
    if u.ndim != 1 or not len(u) or not ((u >= 0) & (u <= 1)).all():
        raise DataError(f"values: expected numbers between 0 and 1, in one dimension, got {values!r:.60}")
    z = places(len(u)) if points is None else np.asarray(points, dtype=float)
    if z.ndim != 1 or not len(z) or not (np.diff(z, prepend=0, append=1) > 0).all():
        raise DataError(f"points: expected increasing numbers between 0 and 1, got {points!r:.60}")
    if not 0 < level < 1:
        raise DataError(f"level: expected a number between 0 and 1, got {level!r}")
    shares, (_, low, high, coverage) = ecdf(u, z), ecdf_envelope(len(u), float(level), tuple(z.tolist()))
    return Uniformity(u, z, shares, low, high, level, coverage, p_value(u, z))


def places(n: int) -> Array:
    """Where the distribution function of n values is looked at."""
    count = max(2, min(n, POINTS))
    return np.arange(1, count) / count


def ecdf(u: Array, z: Array) -> Array:
    """The share of the values (…, n) at or below each point, (…, points)."""
    rows, parts = u.reshape(-1, u.shape[-1]), len(z) + 1
    cells = np.searchsorted(z + CLOSE, rows) + parts * np.arange(len(rows))[:, None]
    counts = np.bincount(cells.ravel(), minlength=parts * len(rows)).reshape(*u.shape[:-1], parts)
    shares: Array = counts.cumsum(-1)[..., :-1] / u.shape[-1]
    return shares


class Envelope(NamedTuple):
    """Least and greatest shares of values at or below each of the points, and the exact joint coverage."""

    points: Array
    low: Array
    high: Array
    coverage: float


@lru_cache(maxsize=64)
def ecdf_envelope(n: int, level: float = 0.95, points: tuple[float, ...] = ()) -> Envelope:
    """The envelope of the distribution function of n uniform values, at `places` if no points are given.

    >>> points, low, high, coverage = ecdf_envelope(10, points=(0.5,))
    >>> low.tolist(), high.tolist(), round(coverage, 6)  # P(2 ≤ Binomial(10, 1/2) ≤ 8)
    ([0.2], [0.8], 0.978516)
    """
    z = np.asarray(points or places(n))
    tail, ceiling = 0.0, 1.0  # the pointwise improbability that is just allowed lies between them
    for _ in range(40):
        middle = (tail + ceiling) / 2
        if _probability(n, z, *_limits(n, z, middle)) >= level:
            tail = middle
        else:
            ceiling = middle
    low, high = _limits(n, z, tail)
    return Envelope(z, low / n, high / n, _probability(n, z, low, high))


def p_value(u: Array, z: Array) -> float:
    """The probability of shares as improbable as the worst: twice the binomial's smaller tail there."""
    from scipy.stats import binom

    n = len(u)
    counts = (ecdf(u, z) * n).round()
    tail = 2 * np.minimum(binom.cdf(counts, n, z), binom.sf(counts - 1, n, z)).min()
    return min(max(1 - _probability(n, z, *_limits(n, z, float(tail))), 0.0), 1.0)


def _limits(n: int, z: Array, tail: float) -> tuple[Array, Array]:
    """The counts whose improbability is more than ``tail``, point by point."""
    from scipy.stats import binom

    q = min(tail / 2 * (1 + 1e-9), 1.0)  # the count that was met lies outside, whatever its rounding
    low = binom.ppf(q, n, z)
    return np.maximum(low, 0), n - np.maximum(binom.ppf(q, n, 1 - z), 0)


def _probability(n: int, z: Array, low: Array, high: Array) -> float:
    """That n uniform values have counts between the limits at all points at once.

    Poisson counts of the intervals, given that they add up to n, are the uniform values' counts: so the
    recursion over the points is one convolution a step.
    """
    from scipy.stats import poisson

    if (low > high).any():
        return 0.0
    bottoms, tops = [*low.astype(int), n], [*high.astype(int), n]
    state, start = np.ones(1), 0
    for width, bottom, top in zip(np.diff(z, prepend=0, append=1), bottoms, tops, strict=True):
        # Counts never fall, so those below the window before can only stay or rise into this one.
        moved = np.convolve(state, poisson.pmf(np.arange(top - start + 1), n * width))
        state = moved[max(bottom - start, 0) : top - start + 1]
        start = max(bottom, start)
        if not len(state):
            return 0.0
    return float(state[0] / poisson.pmf(n, n))
