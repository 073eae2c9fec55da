"""Where two learning curves cross: the statistics of paired differences."""

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
        repeats: how many there were to tell by.
    """

    score: str
    first: str
    then: str
    rows: float | None
    low: float | None
    high: float | None
    sizes: tuple[int, int]
    repeats: int

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.rows is not None

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """rows, low and high, if there is one."""
        if self.rows is None or self.low is None or self.high is None:
            return None
        return self.rows, self.low, self.high

    def __str__(self) -> str:
        if self.interval is None:
            return f"no crossing that {self.repeats} repeats can establish"
        (rows, low, high), (least, most) = self.interval, self.sizes
        start = f"{low:,.0f}" if low > least else f"{least:,} or fewer"
        end = f"{high:,.0f}" if high < most else f"{most:,} or more"
        return f"the curves cross at about {rows:,.0f} rows (95 % interval {start} to {end})"


def half_width(values: Tensor) -> Tensor:
    """Half the 95 % t interval of the mean over ``values`` (repeats, …)."""
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * values.std(0) / len(values) ** 0.5


def leaders(difference: Tensor) -> Tensor:
    """The sign of each mean of paired differences (repeats, cells); 0 where it may be zero, (cells,).

    By t tests that all hold together: in at most 5 of 100 experiments any sign is made up (Holm 1979). One
    cell alone has a sign where its 95 % interval excludes zero.
    """
    from scipy.stats import t

    mean, error = difference.mean(0), difference.std(0) / len(difference) ** 0.5
    ratio = torch.where(mean == 0, 0.0, mean.abs() / error)
    p = 2 * torch.from_numpy(t.sf(ratio.numpy(), len(difference) - 1))
    order, cells = p.argsort(), len(p)
    passed = (p[order] <= 0.05 / torch.arange(cells, 0, -1)).cumprod(0).bool()
    return torch.zeros(cells).index_put((order[passed],), mean.sign().float()[order[passed]])


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

    There is a crossing where one model is ahead at some size and the other at another, by `leaders`, so at
    most 5 in 100 experiments find one where there is none. The crossing's own interval is that of the
    bootstrap over repeats: percentiles of `DRAWS` resamples.
    """
    ends = (sizes[0], sizes[-1])
    held = [int(s) for s in leaders(difference) if s]
    if len(set(held)) < 2:
        return Crossing(
            score, names[held[0] > 0] if held else "", "", None, None, None, ends, len(difference)
        )
    direction = -held[0]  # so that who is ahead first lies below
    oriented = direction * difference
    generator = torch.Generator().manual_seed(seed)
    repeats = len(difference)
    weights = torch.zeros(DRAWS, repeats, dtype=torch.float64)
    picks = torch.randint(repeats, (DRAWS, repeats), generator=generator)
    weights.scatter_add_(1, picks, torch.full_like(weights, 1 / repeats))
    low, high = parted(sizes, weights @ oriented).quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    first, then = names if direction > 0 else names[::-1]
    return Crossing(score, first, then, float(parted(sizes, oriented.mean(0))), low, high, ends, repeats)
