"""Rows of categories, each column with levels of its own, and the Dirichlets of their probabilities."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraint_registry import biject_to, transform_to
from torch.distributions.transforms import StickBreakingTransform, Transform


class ColumnCategorical(TorchDistribution):
    """Category codes 0 … levels[j] - 1 in column j; batch shape (…, columns).

    Args:
        probs: (…, sum of levels), the columns' probabilities laid end to end.
        levels: the number of categories of each column.

    >>> x = ColumnCategorical(torch.tensor([0.2, 0.8, 0.5, 0.25, 0.25]), (2, 3))
    >>> x.log_prob(torch.tensor([1., 2.])).exp()
    tensor([0.8000, 0.2500])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "probs": constraints.independent(constraints.unit_interval, 1)
    }

    def __init__(self, probs: Tensor, levels: Sequence[int], validate_args: Any = None):
        self.probs, self.levels = probs, tuple(levels)
        super().__init__((*probs.shape[:-1], len(self.levels)), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """Each column's own codes."""
        return constraints.integer_interval(0, torch.tensor(self.levels) - 1)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "ColumnCategorical":
        """The same for another batch shape."""
        probs = self.probs.expand(*batch_shape[:-1], sum(self.levels))
        return ColumnCategorical(probs, self.levels, validate_args=self._validate_args)

    @property
    def mean(self) -> Tensor:
        """Of the codes, read as numbers."""
        parts = self.probs.split(self.levels, -1)
        return torch.stack([p @ torch.arange(p.shape[-1], dtype=p.dtype) for p in parts], -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw a code for every cell, as floats."""
        parts = self.probs.split(self.levels, -1)
        drawn = [torch.distributions.Categorical(part).sample(sample_shape) for part in parts]
        return torch.stack(drawn, -1).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of every cell, (…, columns)."""
        if self._validate_args:
            self._validate_sample(value)
        first = torch.tensor([0, *self.levels[:-1]]).cumsum(0)
        codes = value.long() + first
        rows = torch.broadcast_shapes(codes.shape[:-1], self.probs.shape[:-1])
        probs = self.probs.expand(*rows, -1).gather(-1, codes.expand(*rows, -1))
        return probs.log()


class ColumnDirichlet(TorchDistribution):
    """Probabilities for `ColumnCategorical`: a Dirichlet for each column, laid end to end.

    Args:
        concentration: (…, sum of levels).
        levels: the number of categories of each column.

    >>> theta = ColumnDirichlet(torch.ones(5), (2, 3))
    >>> theta.log_prob(torch.tensor([0.2, 0.8, 0.5, 0.25, 0.25])).exp()  # 1! 2!
    tensor(2.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }
    has_rsample = True

    def __init__(self, concentration: Tensor, levels: Sequence[int], validate_args: Any = None):
        self.concentration, self.levels = concentration, tuple(levels)
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Any:
        """Each column sums to one."""
        return Simplexes(self.levels)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "ColumnDirichlet":
        """The same for another batch shape."""
        concentration = self.concentration.expand(*batch_shape, sum(self.levels))
        return ColumnDirichlet(concentration, self.levels, validate_args=self._validate_args)

    @property
    def mean(self) -> Tensor:
        """Expected probabilities."""
        return torch.cat([part.mean for part in self._parts()], -1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw every column's probabilities; gradients flow through."""
        return torch.cat([part.rsample(sample_shape) for part in self._parts()], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p, the columns added up."""
        if self._validate_args:
            self._validate_sample(value)
        cells = zip(self._parts(), value.split(self.levels, -1), strict=True)
        return torch.stack([part.log_prob(theta) for part, theta in cells]).sum(0)

    def _parts(self) -> list[torch.distributions.Dirichlet]:
        parts = self.concentration.split(self.levels, -1)
        return [torch.distributions.Dirichlet(part, validate_args=False) for part in parts]


class Simplexes(constraints.Constraint):
    """Vectors of several simplexes, laid end to end."""

    event_dim = 1

    def __init__(self, levels: Sequence[int]):
        self.levels = tuple(levels)
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Whether every part is a simplex."""
        parts = value.split(self.levels, -1)
        return torch.stack([constraints.simplex.check(part) for part in parts]).all(0)

    def __repr__(self) -> str:
        return f"probabilities that sum to 1 in each of {len(self.levels)} columns"


class StickBreaking(Transform):
    """Real numbers to `Simplexes`, one stick for each column."""

    domain, bijective = constraints.real_vector, True

    def __init__(self, levels: Sequence[int]):
        super().__init__()
        self.levels, self.stick = tuple(levels), StickBreakingTransform()
        self.codomain = Simplexes(levels)

    def _call(self, x: Tensor) -> Tensor:
        return torch.cat([self.stick(part) for part in x.split([n - 1 for n in self.levels], -1)], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        return torch.cat([self.stick.inv(part) for part in y.split(self.levels, -1)], -1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sticks' logs, added up."""
        parts = zip(x.split([n - 1 for n in self.levels], -1), y.split(self.levels, -1), strict=True)
        return torch.stack([self.stick.log_abs_det_jacobian(u, v) for u, v in parts]).sum(0)

    def forward_shape(self, shape: Any) -> Any:
        """One more number for each column."""
        return (*shape[:-1], shape[-1] + len(self.levels))

    def inverse_shape(self, shape: Any) -> Any:
        """One number less for each column."""
        return (*shape[:-1], shape[-1] - len(self.levels))


@biject_to.register(Simplexes)
@transform_to.register(Simplexes)
def _sticks(constraint: Simplexes) -> StickBreaking:
    return StickBreaking(constraint.levels)
