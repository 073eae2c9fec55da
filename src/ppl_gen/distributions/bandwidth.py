"""Bandwidths of kernel densities: those under which each value is most likely, given all others."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ppl_gen.distributions.kernel_density import Values, kernel_sums
from ppl_gen.errors import DataError

_GRID = 12  # where the search for the best of several maxima starts
SHARING = ("each", "feature", "one")  # how many cells have one bandwidth


def leave_one_out(values: Tensor, h: float) -> tuple[float, float]:
    """The leave-one-out log likelihood of the bandwidth ``h``, and its slope in log h.

    The sum over i of log 1/(m - 1) sum_{j ≠ i} Normal(x_i; x_j, h), in nats (Duin 1976; Habbema et al. 1974).
    The slope is that of an expectation: sum_i (E_i[(x_i - x_j)²] / h² - 1), where kernel j has the weight
    that row i gives it.

    Args:
        values: (m,), sorted; m is 2 or more.

    >>> leave_one_out(torch.tensor([0., 2.]).double(), 2.0)[1]  # the maximum: both are one bandwidth away
    0.0
    """
    m, at = len(values), values / h
    log_sum, square = kernel_sums(at, at, _gaps(at), without_own=True)
    assert square is not None
    score = float(log_sum.sum()) - m * (math.log((m - 1) * h) + 0.5 * math.log(2 * math.pi))
    return score, float(square.sum()) - m


def select_bandwidth(
    values: Values, sharing: str | Tensor = "each", floor: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """The bandwidths of largest leave-one-out log likelihood, (classes, features), and that likelihood.

    Rounded values have twins, and the likelihood may then grow without bound as h → 0. So no bandwidth is
    less than half the step of a feature, the least distance of two of its values, under which the density
    would show the rounding; nor than ``floor`` standard deviations of the feature. Both are taken over all
    classes, and for "one" of the feature where they are least. A single value has none to predict it: its
    bandwidth is the standard deviation. Cells without values get 1, which stands for nothing.

    Args:
        sharing: "each" class and feature has a bandwidth of its own, each "feature" has one, or all have
            "one"; or bandwidths (classes, features), which are only scored.

    Raises:
        DataError: the values of a feature are all the same.
    """
    if isinstance(sharing, Tensor):
        places = (values.counts > 1).nonzero().tolist()
        scores = [leave_one_out(values.of(k, j), float(sharing[k, j]))[0] for k, j in places]
        return sharing, torch.tensor(math.fsum(scores), dtype=torch.float64)
    classes, features = values.counts.shape
    spread, least = zip(*(_limits(values, j, floor) for j in range(features)), strict=True)
    cells = [(k, j) for j in range(features) for k in range(classes) if values.counts[k, j]]
    groups: dict[object, list[tuple[int, int]]] = {}
    for k, j in cells:
        groups.setdefault({"each": (k, j), "feature": j, "one": 0}[sharing], []).append((k, j))
    found, total = torch.ones(classes, features, dtype=torch.float64), 0.0
    for group in groups.values():
        varied = [j for _, j in group if spread[j]]
        if not varied:
            k, j = group[0]
            raise DataError(
                f"x: expected values of feature {j} that differ, got {values.of(k, j)[0].item():g} alone: "
                f"they say nothing of a bandwidth. Leave the feature out, or pass numbers, bandwidth=…"
            )
        parts = [values.of(k, j) for k, j in group if values.counts[k, j] > 1]
        low = min(least[j] for j in varied)
        best, score = _maximum(parts, low) if parts else (min(spread[j] for j in varied), 0.0)
        total += score
        for k, j in group:
            found[k, j] = best
    return found, torch.tensor(total, dtype=torch.float64)


def _limits(values: Values, j: int, floor: float) -> tuple[float, float]:
    """The standard deviation of feature j, exactly 0 if it is constant, and its least bandwidth."""
    every = torch.cat([values.of(k, j) for k in range(len(values.counts))])
    steps = every.unique().diff()
    if not len(steps):
        return 0.0, 0.0
    spread = float(every.std(correction=0))
    return spread, max(floor * spread, float(steps.min()) / 2)


def _gaps(values: Tensor) -> Tensor:
    """How far each sorted value is from its nearest neighbour."""
    end = values.new_full((1,), torch.inf)
    gaps = values.diff()
    return torch.cat([end, gaps]).minimum(torch.cat([gaps, end]))


def _maximum(parts: list[Tensor], floor: float) -> tuple[float, float]:
    """The best common bandwidth of the ``parts``, from ``floor`` up, and its score.

    Where the slope is zero, h² is the mean of E_i[(x_i - x_j)²], which lies between the mean square distance
    to the nearest neighbour and, as near kernels weigh more, that to all. A grid in between shows each rise
    that a fall follows; the slope's root there is found by the Illinois variant of regula falsi.
    """

    def score(log_h: float) -> tuple[float, float]:
        sums = [leave_one_out(part, math.exp(log_h)) for part in parts]
        return math.fsum(s for s, _ in sums), math.fsum(g for _, g in sums)

    m = sum(map(len, parts))
    near = math.sqrt(sum(float(_gaps(part).square().sum()) for part in parts) / m)
    far = math.sqrt(sum(2 * len(part) * float(part.var()) for part in parts) / m)
    low = max(floor, near * (1 - 1e-9))
    if far <= low:
        return low, score(math.log(low))[0]
    grid = torch.linspace(math.log(low), math.log(far * (1 + 1e-9)), _GRID, dtype=torch.float64).tolist()
    scores = [score(log_h) for log_h in grid]
    tried = [(s, log_h) for log_h, (s, _) in zip(grid, scores, strict=True)]
    for a, b, (_, up), (_, down) in zip(grid, grid[1:], scores, scores[1:], strict=False):
        if up > 0 >= down:
            log_h = _root(lambda at: score(at)[1], a, b, up, down)
            tried.append((score(log_h)[0], log_h))
    best, log_h = max(tried)
    return math.exp(log_h), best


def _root(slope: Callable[[float], float], a: float, b: float, up: float, down: float) -> float:
    """Where the ``slope``, ``up`` at a and ``down`` at b, is zero."""
    middle, side = a, 0
    for _ in range(100):
        before, middle = middle, (a * down - b * up) / (down - up)
        here = slope(middle)
        if here == 0 or min(b - a, abs(middle - before)) < 1e-8:
            break
        if here > 0:
            a, up, down, side = middle, here, down / 2 if side > 0 else down, 1
        else:
            b, down, up, side = middle, here, up / 2 if side < 0 else up, -1
    return middle
