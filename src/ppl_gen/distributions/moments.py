"""Count, mean and squares of the rows of each class: all that a Normal keeps of its data."""

from typing import NamedTuple

import torch
from torch import Tensor

_ROWS = 8192  # looked at together: they stay in the processor's cache
_LOSS = 1e4  # squares about a point as far as this many variances lose 4 digits of 16; farther is too far


class Moments(NamedTuple):
    """Counts, means and squares about the means, each of shape (classes, features).

    Two of them add up to the moments of all their rows (Chan, Golub and LeVeque 1979), and offsets and
    scales of any size cost no digits.

    >>> x = torch.tensor([[1.], [2.], [3.], [9.]], dtype=torch.float64)
    >>> [field.flatten().tolist() for field in Moments.of(x, torch.tensor([0, 0, 0, 1]), classes=2)]
    [[3.0, 1.0], [2.0, 9.0], [2.0, 0.0]]
    """

    counts: Tensor
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, rows: Tensor, belong: Tensor, classes: int) -> "Moments":
        """The moments of ``rows`` (n, features).

        Args:
            rows: missing cells (NaN) are left out, each by itself.
            belong: each row's class (n,), or the weights (n, classes) with which it belongs to each.
            classes: how many.
        """
        centre = rows[:256].nanmean(0).nan_to_num()  # near the data
        count, total, squares = _sums(rows, belong, centre.expand(classes, -1))
        here = count.clamp(min=torch.finfo(rows.dtype).tiny)
        mean = centre + total / here
        lost = total.square() / here
        squares = squares - lost
        if bool((squares * _LOSS < lost).any()):  # a class lies far away: about its own mean, then
            _, total, squares = _sums(rows, belong, mean)
            mean, squares = mean + total / here, squares - total.square() / here
        return cls(count, mean, squares.clamp(min=0))

    def pooled(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of each feature over the rows of all classes, two of shape (features,)."""
        total = self.counts.sum(0).clamp(min=torch.finfo(self.mean.dtype).tiny)
        centre = (self.counts * self.mean).sum(0) / total
        return centre, (self.squares + self.counts * (self.mean - centre).square()).sum(0) / total

    def __add__(self, other: "Moments") -> "Moments":  # type: ignore[override]  # rows add up, not tuples
        count = self.counts + other.counts
        share = other.counts / count.clamp(min=torch.finfo(count.dtype).tiny)
        apart = other.mean - self.mean
        squares = self.squares + other.squares + self.counts * share * apart.square()
        return Moments(count, self.mean + share * apart, squares)


def memberships(labels: Tensor, classes: int) -> Tensor:
    """How much each row belongs to each class, (n, classes): labels (n,) as ones and zeros, weights as such.

    >>> memberships(torch.tensor([1, 0]), 2)
    tensor([[0, 1],
            [1, 0]])
    """
    return labels if labels.dim() == 2 else torch.nn.functional.one_hot(labels, classes)


def class_counts(labels: Tensor, classes: int) -> Tensor:
    """The rows of each class, (classes,), or the weights' sums where ``labels`` are weights (n, classes).

    >>> class_counts(torch.tensor([1, 0, 1]), 2)
    tensor([1, 2])
    """
    return labels.sum(0) if labels.dim() == 2 else torch.bincount(labels, minlength=classes)


def _sums(rows: Tensor, belong: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of every class: its rows, their sum and their squares about its centre."""
    parts = []
    for x, part in zip(rows.split(_ROWS), belong.split(_ROWS), strict=True):
        sums = _hard if belong.dim() == 1 else _soft
        count, total, squares = sums(x, part, centres)
        if bool(torch.isnan(total).any()):
            count, total, squares = sums(x, part, centres, ~torch.isnan(x))
        parts.append(torch.stack([count.expand_as(total), total, squares]))
    empty = rows.new_zeros(3, *centres.shape)
    count, total, squares = torch.stack(parts).sum(0) if parts else empty
    return count, total, squares


def _hard(
    x: Tensor, labels: Tensor, centres: Tensor, seen: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    zeros = torch.zeros_like(centres)
    shared = centres.stride(0) == 0  # one centre for all classes
    u = x - (centres[0] if shared else centres[labels])
    if seen is None:
        count = torch.bincount(labels, minlength=len(centres)).to(x.dtype)[:, None]
    else:
        u = u.masked_fill_(~seen, 0.0)
        count = zeros.index_add(0, labels, seen.to(x.dtype))
    return count, zeros.index_add(0, labels, u), zeros.index_add(0, labels, u.mul_(u))


def _soft(
    x: Tensor, weights: Tensor, centres: Tensor, seen: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    w = weights.T.to(x.dtype)
    count = w.sum(1, keepdim=True) if seen is None else w @ seen.to(x.dtype)
    here = x if seen is None else x.masked_fill(~seen, 0.0)

    def about(w: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        u = here - centre
        u = u if seen is None else u.masked_fill_(~seen, 0.0)
        return w @ u, w @ u.mul_(u)

    if centres.stride(0) == 0:
        total, squares = about(w, centres[0])
    else:
        each = [about(*pair) for pair in zip(w, centres, strict=True)]
        total, squares = (torch.stack(column) for column in zip(*each, strict=True))
    return count, total, squares
