"""Rows of columns that differ: a family for each column.

The density factorises over the cells like that of one family, and is declared the same way: columns are the
last batch dimension until ``.to_event(1)``, so a missing cell is summed out by leaving its factor out.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.distributions.categories import ColumnCategorical


class Columns(TorchDistribution):
    """A distribution of its own for each group of columns; batch shape (…, columns).

    Args:
        parts: distributions of batch shape (…, columns of the part).
        places: the columns of each part.

    >>> from pyro.distributions import Bernoulli, Normal
    >>> x = Columns([Normal(torch.zeros(1), 1.), Bernoulli(torch.tensor([0.5, 0.25]))], [[1], [0, 2]])
    >>> x.log_prob(torch.tensor([1., 0., 1.])).exp()
    tensor([0.5000, 0.3989, 0.2500])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, parts: Sequence[Any], places: Sequence[Sequence[int]], validate_args: Any = None):
        self.parts, self.places = tuple(parts), tuple(tuple(place) for place in places)
        self._order = torch.tensor([j for place in self.places for j in place]).argsort()
        rows = torch.broadcast_shapes(*(part.batch_shape[:-1] for part in self.parts))
        super().__init__((*rows, len(self._order)), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """Each column's own values."""
        return ByColumn([part.support for part in self.parts], self.places, self._order)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Columns":
        """The same for another batch shape."""
        parts = [part.expand((*batch_shape[:-1], len(place))) for part, place in self._placed()]
        return Columns(parts, self.places, validate_args=self._validate_args)

    @property
    def coded(self) -> bool:
        """Whether some columns hold codes of categories, which have no mean."""
        return any(isinstance(part, ColumnCategorical) for part in self.parts)

    @property
    def mean(self) -> Tensor:
        """The columns' means, codes read as numbers."""
        return self._together([part.mean for part in self.parts])

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw every column."""
        return self._together([part.sample(sample_shape) for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of every cell, (…, columns)."""
        if self._validate_args:
            self._validate_sample(value)
        return self._together([part.log_prob(value[..., list(place)]) for part, place in self._placed()])

    def _placed(self) -> Iterator[tuple[Any, tuple[int, ...]]]:
        return zip(self.parts, self.places, strict=True)

    def _together(self, cells: list[Tensor]) -> Tensor:
        rows = torch.broadcast_shapes(*(part.shape[:-1] for part in cells))
        return torch.cat([part.expand(*rows, -1) for part in cells], -1)[..., self._order]


class ByColumn(constraints.Constraint):
    """The support of `Columns`: a constraint for each group of columns."""

    def __init__(self, parts: Sequence[Any], places: Sequence[Sequence[int]], order: Tensor):
        self.parts, self.places, self.order = parts, places, order
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Whether each cell is legal in its column."""
        placed = zip(self.parts, self.places, strict=True)
        return torch.cat([part.check(value[..., list(place)]) for part, place in placed], -1)[..., self.order]

    def of_column(self, column: int) -> constraints.Constraint:
        """What the cells of one column may be."""
        part, place = next(p for p in zip(self.parts, self.places, strict=True) if column in p[1])
        most = getattr(part, "upper_bound", None)
        if isinstance(most, Tensor) and most.dim():  # categories, as many as the column has
            return constraints.integer_interval(0, most[place.index(column)])
        return part

    def __repr__(self) -> str:
        return "values of each column's own family"
