"""Kernel density estimates: one Normal about each value, with one bandwidth for each class and feature."""

import math
from typing import Any, ClassVar, NamedTuple, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

_CELLS = 1 << 16  # distances held at once: they stay in the processor's cache
_DIGITS = 37.0  # nats below the largest kernel at which one no longer counts: exp(-37) < 1e-16


class Values(NamedTuple):
    """The values seen of each (class, feature): the first ``counts``, sorted; inf fills the rest.

    ``sorted`` is (classes, features, most), ``counts`` (classes, features).

    >>> seen = Values.none(1, 2).and_rows(torch.tensor([[3., 0.], [1., torch.nan]]), torch.tensor([0, 0]))
    >>> seen.sorted[0, 0].tolist(), seen.counts.tolist()
    ([1.0, 3.0], [[2, 1]])
    """

    sorted: Tensor
    counts: Tensor

    @classmethod
    def none(cls, classes: int, features: int) -> Self:
        """Nothing seen."""
        nothing = torch.full((classes, features, 1), torch.inf, dtype=torch.float64)
        return cls(nothing, torch.zeros(classes, features, dtype=torch.int64))

    def and_rows(self, x: Tensor, y: Tensor) -> "Values":
        """With the rows ``x`` (n, features) of the classes ``y`` (n,); missing cells (NaN) are left out."""
        x = torch.where(x.isnan(), torch.inf, x)
        return self._and([x[y == k].T for k in range(len(self.counts))])

    def merged(self, other: "Values") -> "Values":
        """The values of both."""
        return self._and(list(other.sorted))

    def _and(self, more: list[Tensor]) -> "Values":
        both = [torch.cat([a, b.to(a)], 1).sort(1).values for a, b in zip(self.sorted, more, strict=True)]
        counts = torch.stack([cells.isfinite().sum(1) for cells in both])
        most = max(1, int(counts.max()))
        fill = [torch.nn.functional.pad(c, (0, most - c.shape[1]), value=torch.inf) for c in both]
        return Values(torch.stack([cells[:, :most] for cells in fill]), counts)

    def of(self, k: int, j: int) -> Tensor:
        """Those of class ``k`` and feature ``j``."""
        return self.sorted[k, j, : int(self.counts[k, j])]


class KernelDensity(TorchDistribution):
    """``p(x_j | y) = 1/m sum_i Normal(x_j; values_ij, bandwidth_yj)``; batch shape (…, features).

    Features are the last batch dimension until ``.to_event(1)``, so a missing cell is summed out by leaving
    its factor out. Queries are sorted and taken in blocks, each beside the values in its reach, so memory is
    constant. References: Rosenblatt 1956; Parzen 1962; Silverman 1986.

    Args:
        values: at least one of each class and feature.
        bandwidth: (classes, features).
        y: (…), the class of each row.

    >>> seen = Values.none(1, 1).and_rows(torch.tensor([[-1.], [1.]]), torch.tensor([0, 0]))
    >>> x = KernelDensity(seen, torch.ones(1, 1).double(), torch.tensor([0]))
    >>> x.log_prob(torch.zeros(1, 1).double()).exp()  # two Normals, one standard deviation away
    tensor([[0.2420]], dtype=torch.float64)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real

    def __init__(self, values: Values, bandwidth: Tensor, y: Tensor, validate_args: Any = None):
        self.values, self.bandwidth, self.y = values, bandwidth, y
        super().__init__((*y.shape, bandwidth.shape[1]), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "KernelDensity":
        """The same for another batch shape."""
        y = self.y.expand(batch_shape[:-1])
        return type(self)(self.values, self.bandwidth, y, validate_args=self._validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean of the values, (…, features)."""
        total = torch.where(self.values.sorted.isfinite(), self.values.sorted, 0.0).sum(2)
        return (total / self.values.counts)[self.y]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A value of the class for every cell, and Normal noise about it."""
        shape = (*sample_shape, *self.batch_shape)
        y = self.y[..., None].expand(shape)
        counts, j = self.values.counts[self.y].expand(shape), torch.arange(shape[-1]).expand(shape)
        i = (torch.rand(shape, dtype=self.bandwidth.dtype) * counts).long().minimum(counts - 1)
        noise = torch.randn(shape, dtype=self.bandwidth.dtype)
        return self.values.sorted[y, j, i] + self.bandwidth[y, j] * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of every cell, (…, features), in nats; -inf only where the density is below all numbers."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        value, y = value.to(self.bandwidth).expand(shape), self.y.expand(shape[:-1])
        found = value.new_empty(shape)
        for k in y.unique().tolist():
            rows = y == k
            found[rows] = self._of_class(k, value[rows])
        return found

    def _of_class(self, k: int, x: Tensor) -> Tensor:
        at, order = x.T.contiguous().sort(1)
        found = torch.empty_like(at)
        for j, h in enumerate(self.bandwidth[k].tolist()):
            centres, own = self.values.of(k, j) / h, at[j] / h
            constant = math.log(len(centres) * h) + 0.5 * math.log(2 * math.pi)
            log_sum, _ = kernel_sums(own, centres, nearest(own, centres))
            found[j].index_copy_(0, order[j], log_sum - constant)
        return found.T


def nearest(at: Tensor, centres: Tensor) -> Tensor:
    """How far the nearest of the sorted ``centres`` is from each number of ``at``."""
    place = torch.searchsorted(centres, at)
    below, above = centres[(place - 1).clamp(min=0)], centres[place.clamp(max=len(centres) - 1)]
    return (at - below).abs().minimum((above - at).abs())


def kernel_sums(
    at: Tensor, centres: Tensor, near: Tensor, without_own: bool = False
) -> tuple[Tensor, Tensor | None]:
    """log sum_i exp(-(at - centres_i)² / 2), and with ``without_own`` the weighted mean of (at - centres_i)².

    Lengths are in bandwidths. The largest kernel is taken out first, so far queries do not underflow; a
    kernel counts if all like it could change the last digit.

    Args:
        at, centres: sorted.
        near: the distance of the nearest centre that counts, for each of ``at``.
        without_own: ``at`` are the centres themselves, and each leaves its own kernel out.
    """
    top = near.clamp(max=1e150).square()
    reach = (top + 2 * (math.log(len(centres)) + _DIGITS)).sqrt() * (1 + 1e-12)
    first = torch.searchsorted(centres, at - reach).clamp(max=len(centres) - 1)
    last = torch.searchsorted(centres, at + reach, right=True).clamp(min=1)
    log_sum, square = torch.empty_like(at), torch.empty_like(at) if without_own else None
    size = max(16, _CELLS // len(centres))
    for start in range(0, len(at), size):
        rows = slice(start, start + size)
        low, high = int(first[rows].min()), int(last[rows].max())
        squares = (centres[low:high] - at[rows, None]).square_()
        weights = torch.sub(top[rows, None], squares).mul_(0.5).exp_()
        if without_own:
            weights.diagonal(start - low).zero_()
        total = weights.sum(1)
        log_sum[rows] = total.log() - 0.5 * top[rows]
        if square is not None:
            square[rows] = weights.mul_(squares).sum(1) / total
    return log_sum, square
