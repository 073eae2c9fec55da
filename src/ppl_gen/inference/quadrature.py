"""Integrals over one number, to rounding: the trapezium rule after a doubly exponential substitution."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]  # points (m, n) of n rows -> log densities (m, n)
_END = 4.5  # there, points lie 1e30 scales away
_LADDER = 2.0 ** -torch.arange(-10, 50, dtype=torch.float64)


@dataclass(frozen=True)
class Integral:
    """The integral of a density over the real line, for each of n rows; made by `integrate`.

    Attributes:
        log_value: (n,), nats.
        error: (n,), how much the last halving of the step changed the integral, relative to it.
        points, log_weights: (m, n), where it was evaluated, and the log of what each adds to the integral.
    """

    log_value: Tensor
    error: Tensor
    points: Tensor
    log_weights: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean of the normalised density, (n,)."""
        return (self.points * self.log_weights.softmax(0)).sum(0)

    def sample(self, n: int) -> Tensor:
        """Draws of the normalised density between the points, where it is taken to be linear: (n, rows)."""
        weights = self.log_weights.softmax(0)
        left, right = weights[:-1], weights[1:]
        cell = torch.distributions.Categorical((left + right).T).sample((n,))
        a, b = left.T.gather(1, cell.T).T, right.T.gather(1, cell.T).T
        u = torch.rand(cell.shape, dtype=weights.dtype)
        root = (a.square() + u * (b.square() - a.square())).clamp(min=0).sqrt()
        share = u * (a + b) / (a + root)  # the inverse of a linear density's distribution function
        points = self.points.T
        low, high = points.gather(1, cell.T).T, points.gather(1, cell.T + 1).T
        return low + share.clamp(0, 1) * (high - low)


def integrate(
    log_density: LogDensity, near: Tensor, step: float = 1 / 32, tolerance: float = 1e-11
) -> Integral:
    """Integrate ``exp(log_density)`` over the real line, row by row.

    With y = centre + scale sinh(pi / 2 sinh(t)) the integrand falls off doubly exponentially, also that of
    heavy tails, and halving the step of the trapezium rule doubles the digits (Takahasi and Mori 1974). The
    step is halved until two integrals agree to ``tolerance``, or eight times. A second, narrow
    peak that lies hundreds of its widths from the highest can fall between the points.

    Args:
        log_density: of points (m, n), row by row; smooth, with a finite integral.
        near: points (s, n) where the rows' densities lie, or wider.

    >>> found = integrate(lambda y: -y.square() / 2, torch.tensor([[-1.0], [4.0]]).double())
    >>> abs(found.log_value.item() - 0.5 * math.log(2 * math.pi)) < 1e-14
    True
    """
    centre, scale = _peak(log_density, near)

    def terms(t: Tensor) -> tuple[Tensor, Tensor]:
        inner = (math.pi / 2 * t.sinh())[:, None]
        points = centre + scale * inner.sinh()
        slope = (math.pi / 2 * t.cosh())[:, None].log() + inner.cosh().log() + scale.log()
        return points, log_density(points) + slope

    half = round(_END / step)
    points, logs = terms(step * torch.arange(-half, half + 1, dtype=near.dtype))
    value = logs.logsumexp(0) + math.log(step)
    for _ in range(8):
        between = step * (torch.arange(-half, half, dtype=near.dtype) + 0.5)
        new_points, new_logs = terms(between)
        points, logs = _interleaved(points, new_points), _interleaved(logs, new_logs)
        step, half, before = step / 2, 2 * half, value
        value = logs.logsumexp(0) + math.log(step)
        error = (value - before).expm1().abs()
        if bool((error <= tolerance).all()):
            break
    return Integral(value, error, points, logs + math.log(step))


def _interleaved(old: Tensor, new: Tensor) -> Tensor:
    whole = old.new_empty(len(old) + len(new), *old.shape[1:])
    whole[::2], whole[1::2] = old, new
    return whole


def _peak(log_density: LogDensity, near: Tensor) -> tuple[Tensor, Tensor]:
    """Where each row's density is highest, and how far from there it has lost half a nat.

    A pattern search: steps of all sizes, up and down, from the best point so far.
    """
    width = (near.amax(0) - near.amin(0)).clamp(min=torch.finfo(near.dtype).tiny)
    ladder = _LADDER.to(near.dtype)[:, None] * width
    values = log_density(near)
    best, place = values.max(0)
    centre = near.gather(0, place[None])[0]
    for _ in range(60):
        around = torch.cat([centre + ladder, centre - ladder])
        values = log_density(around)
        high, place = values.max(0)
        gain = high - best
        better = gain > 0
        centre = torch.where(better, around.gather(0, place[None])[0], centre)
        best = torch.where(better, high, best)
        if bool((gain <= 1e-3).all()):
            break
    up, down = log_density(centre + ladder), log_density(centre - ladder)
    lost = best - (up + down) / 2 >= 0.5
    rung = (
        lost.long().cumprod(0).sum(0).clamp(min=1) - 1
    )  # the last of the rungs, from far to near, that lose it
    return centre, ladder.gather(0, rung[None])[0]
