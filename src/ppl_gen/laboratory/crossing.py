"""Where two learning curves cross: the statistics of paired differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True)
class Crossing:
    """Where one model's mean curve passes below another's, with its 95 % interval.

    Attributes:
        score: what is compared.
        first, then: who is ahead with fewer rows, and with more; where there is no crossing, who is ahead
            wherever anybody is ("" if nobody), and "".
        rows: the training rows where the curves cross, or None.
        low, high: the interval's ends, or None; an end at the smallest or largest size may lie beyond it.
        sizes: the smallest and the largest size that were tried.
    """

    score: str
    first: str
    then: str
    rows: float | None
    low: float | None
    high: float | None
    sizes: tuple[int, int]

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.rows is not None

    def __str__(self) -> str:
        if self.rows is None or self.low is None or self.high is None:
            return "no crossing"
        least, most = self.sizes
        low = f"{self.low:,.0f}" if self.low > least else f"{least:,} or fewer"
        high = f"{self.high:,.0f}" if self.high < most else f"{most:,} or more"
        return f"the curves cross at about {self.rows:,.0f} rows (95 % interval {low} to {high})"


def half_width(values: Tensor, intervals: int = 1) -> Tensor:
    """Half the 95 % t interval of the mean over ``values`` (repeats, …).

    Of several ``intervals``, all hold together in at least 95 of 100 experiments (Bonferroni).
    """
    from scipy.stats import t

    quantile = float(t.ppf(1 - 0.025 / intervals, len(values) - 1))
    return quantile * values.std(0) / len(values) ** 0.5


def parted(sizes: Sequence[int], difference: Tensor) -> Tensor:
    """The size at which a curve (…, sizes) passes from below to above zero, (…).

    The curve is taken linear in the log of the rows. Noise may cut zero several times: the point is where
    the area below zero on its left plus the area above on its right, less the wrong ones, is largest; the
    first or last size if there is no such point inside.

    >>> parted((10, 100, 1000), torch.tensor([-1.0, 1.0, 2.0])).round(decimals=3)
    tensor(31.6230, dtype=torch.float64)
    """
    x, d = torch.tensor(sizes, dtype=torch.float64).log(), difference.double()
    width = x.diff()
    left, right = d[..., :-1], d[..., 1:]
    area = torch.cat([torch.zeros_like(d[..., :1]), ((left + right) / 2 * width).cumsum(-1)], -1)
    cut = left * right < 0
    share = torch.where(cut, left / torch.where(cut, left - right, 1.0), 0.0)
    inside = area[..., :-1] + left * share * width / 2
    places = torch.cat([x.expand_as(d), x[:-1] + share * width], -1)
    best = torch.cat([area, inside], -1).argmin(-1, keepdim=True)
    return places.gather(-1, best)[..., 0].exp()


def crossing(
    score: str, names: tuple[str, str], sizes: Sequence[int], difference: Tensor, seed: int
) -> Crossing:
    """Where the mean of the paired ``difference`` (repeats, sizes), first name's less second's, changes sign.

    There is a crossing where one model is ahead at some size and the other at a larger one, each by an interval
    that holds for all sizes together; so at most 5 in 100 experiments find one where there is none. Its
    interval is that of the bootstrap over repeats (percentiles of `DRAWS` resamples).
    """
    ends = (sizes[0], sizes[-1])
    signs = leaders(difference)
    held = [s for s in signs if s]
    if len(set(held)) < 2:
        return Crossing(score, names[held[0] > 0] if held else "", "", None, None, None, ends)
    direction = -held[0]  # so that who is ahead first lies below
    oriented = direction * difference
    generator = torch.Generator().manual_seed(seed)
    repeats = len(difference)
    weights = torch.zeros(DRAWS, repeats, dtype=torch.float64)
    picks = torch.randint(repeats, (DRAWS, repeats), generator=generator)
    weights.scatter_add_(1, picks, torch.full_like(weights, 1 / repeats))
    low, high = parted(sizes, weights @ oriented).quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    first, then = names if direction > 0 else names[::-1]
    return Crossing(score, first, then, float(parted(sizes, oriented.mean(0))), low, high, ends)


def leaders(difference: Tensor) -> list[int]:
    """The sign of each size's mean ``difference`` (repeats, sizes), 0 where its interval holds zero."""
    mean, half = difference.mean(0), half_width(difference, difference.shape[1])
    return [int(math.copysign(1, m)) if abs(m) > h else 0 for m, h in zip(mean.tolist(), half.tolist(), strict=True)]
