"""What makes a table look easier than it is: rows that are there twice, and columns that hold the class."""

import torch
from torch import Tensor

from ppl_gen.comparison.cells import LEVELS
from ppl_gen.data import Dataset
from ppl_gen.distributions import Categorical
from ppl_gen.tables import Encoder

BY_CHANCE = 0.5  # of the equal rows: from here on they are taken for rows of their own
EXCEPTIONS, OF_ERRORS = 0.01, 0.05  # of the rows, and of those not of the largest class


def copies(data: Dataset, encoder: Encoder) -> tuple[Tensor, bool]:
    """Which rows equal an earlier one in every column and the class, and whether that may be chance.

    Rows of few different cells coincide by themselves. So equal rows are copies only where some number of
    many values is seen in them, and where columns that are shuffled within the classes give less than half
    as many.

    Returns:
        (n,) booleans, and whether equal rows are to be expected.
    """
    numbers = [not isinstance(family, Categorical) for family in encoder.columns.values()]
    telling = [
        plain and len(column[~column.isnan()].unique()) > LEVELS
        for plain, column in zip(numbers, data.x.T, strict=True)
    ]

    def copied(x: Tensor) -> Tensor:
        return _again(x, data.y) & ~x[:, telling].isnan().all(1)

    generator, shuffled = torch.Generator().manual_seed(0), data.x.clone()
    for k in range(len(data.classes)):
        rows = (data.y == k).nonzero()[:, 0]
        for j in range(shuffled.shape[1]):
            shuffled[rows, j] = data.x[rows[torch.randperm(len(rows), generator=generator)], j]
    ours = copied(data.x)
    by_chance = int(copied(shuffled).sum()) >= BY_CHANCE * max(int(ours.sum()), 1)
    return (_again(data.x, data.y), True) if by_chance or not ours.any() else (ours, False)


def _again(x: Tensor, y: Tensor) -> Tensor:
    """Which rows equal an earlier one, gaps alike, (n,)."""
    group = y
    for column in torch.where(x.isnan(), torch.inf, x).T:
        values, codes = column.unique(return_inverse=True)
        _, group = (group * len(values) + codes).unique(return_inverse=True)
    order = group.argsort(stable=True)  # equal rows, the earliest first
    again = torch.zeros(len(x), dtype=torch.bool)
    again[order[1:]] = group[order[1:]] == group[order[:-1]]
    return again


def leaks(data: Dataset) -> list[tuple[str, int]]:
    """Columns that by themselves tell the class of all rows, or of all but a few, and of how many not.

    A column of few values tells it if each of its values (or its absence) goes with one class; a number, if
    the classes lie in intervals apart.
    """
    apart = len(data) - int(torch.bincount(data.y).max())  # rows not of the largest class
    most = min(EXCEPTIONS * len(data), OF_ERRORS * apart)
    wrong = (
        (name, _exceptions(column, data.y)) for name, column in zip(data.features, data.x.T, strict=True)
    )
    return [(name, count) for name, count in wrong if count <= most]


def _exceptions(column: Tensor, y: Tensor) -> int:
    """Rows whose class is not told by the cell, taken for the most frequent one of its value."""
    values, codes = torch.where(column.isnan(), torch.inf, column).unique(return_inverse=True)
    if len(values) <= LEVELS + 1:
        table = torch.zeros(len(values), int(y.max()) + 1, dtype=torch.long)
        table.index_put_((codes, y), torch.ones_like(y), accumulate=True)
        return len(y) - int(table.amax(1).sum())
    seen = ~column.isnan()
    order = codes[seen].argsort(stable=True)
    value, label = codes[seen][order], y[seen][order]
    change = label[1:] != label[:-1]
    within = bool((change & (value[1:] == value[:-1])).any())  # rows of one value and of two classes
    runs = int(change.sum()) + 1
    gaps = y[~seen]
    told = not within and runs == len(label.unique()) and len(gaps.unique()) < 2
    return 0 if told else len(y)
