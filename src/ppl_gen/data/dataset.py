"""The record that every data set is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape

import torch
from torch import Tensor

__all__ = ["Dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of features with a class each, and what they are called.

    Attributes:
        name: what the data are called.
        x: float64 ``[rows, features]``.
        y: int64 ``[rows]``, indices into ``classes``.
        classes: the names of the classes.
        features: the names of the columns of ``x``.
        source: where the data come from, in one line.
        truth: the parameters the rows were drawn with; empty where nobody knows them.

    Raises:
        ValueError: shapes, dtypes or names do not fit together; the message names the field.

    Example:
        >>> x, y = torch.eye(2, dtype=torch.float64), torch.tensor([0, 1])
        >>> toy = Dataset("toy", x, y, classes=("a", "b"), features=("u", "v"), source="made by hand")
        >>> toy
        toy: 2 rows × 2 features, 2 classes (1, 1)
        >>> toy[toy.y == 1].x
        tensor([[0., 1.]], dtype=torch.float64)
    """

    name: str
    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    features: tuple[str, ...]
    source: str
    truth: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = f"{self.x.dtype} {list(self.x.shape)}"
        if self.x.dtype != torch.float64 or self.x.shape[1:] != (len(self.features),):
            raise ValueError(
                f"x: expected torch.float64 [rows, {len(self.features)}], one column per feature; got {shape}"
            )
        if self.y.dtype != torch.int64 or self.y.shape != self.x.shape[:1]:
            got = f"{self.y.dtype} {list(self.y.shape)}"
            raise ValueError(f"y: expected torch.int64 [{len(self.x)}], one class per row; got {got}")
        if bool(((self.y < 0) | (self.y >= len(self.classes))).any()):
            got = f"{int(self.y.min())} to {int(self.y.max())}"
            raise ValueError(f"y: expected indices of the {len(self.classes)} classes, from 0 on; got {got}")

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.x)

    def __getitem__(self, rows: int | slice | list[int] | Tensor) -> "Dataset":
        """Some of the rows: a slice, indices, or a mask ``[rows]``; a single index gives a single row."""
        if isinstance(rows, int):
            rows = [rows]
        return replace(self, x=self.x[rows], y=self.y[rows])

    def split(self, test: float | int = 0.25, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """Two disjoint parts that hold all rows, each with the classes in the same proportions.

        Args:
            test: how much goes to the second part: a fraction between 0 and 1, or a number of rows.
            seed: the same seed gives the same parts.

        Returns:
            ``(train, test)``, rows in their original order, every class within one row of its share.

        Raises:
            ValueError: ``test`` leaves one of the parts empty.
            TypeError: ``test`` is not a number.

        Example:
            >>> from ppl_gen.data import wine
            >>> wine().split(test=0.4)[0]
            wine: 107 rows × 13 features, 3 classes (35, 43, 29)
        """
        if isinstance(test, bool) or not isinstance(test, int | float):
            raise TypeError(f"test: expected a fraction between 0 and 1 or a number of rows, got {test!r}")
        if isinstance(test, float) and not 0 < test < 1:
            raise ValueError(
                f"test: expected a fraction between 0 and 1 (or a whole number of rows), got {test}"
            )
        size = test if isinstance(test, int) else round(test * len(self))
        if not 0 < size < len(self):
            raise ValueError(
                f"test: expected a row in each part of {len(self)}, got {test!r}: {size} for testing"
            )
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self), generator=generator)
        by_class = order[self.y[order].argsort(stable=True)]
        # Classes shuffled and laid end to end, every len/size-th row goes to test: each class then gets
        # its share to within one row, and the total is exact. A random start favours no position.
        start = int(torch.randint(len(self), (), generator=generator))
        marks = (torch.arange(len(self) + 1) * size + start) // len(self)
        in_test = torch.zeros(len(self), dtype=torch.bool)
        in_test[by_class] = marks.diff() == 1
        return self[~in_test], self[in_test]

    def standardized(self, like: "Dataset | None" = None) -> "Dataset":
        """Columns shifted and scaled by the mean and the standard deviation (over n, not n - 1) in `like`.

        Args:
            like: where means and spreads are taken from, so that test rows are scaled like training rows;
                these rows themselves by default. Constant columns are only shifted; missing cells (NaN) stay
                so and do not count. ``truth`` does not fit the new units and is dropped.

        Raises:
            ValueError: ``like`` has other features, or no rows.

        Example:
            >>> from ppl_gen.data import iris
            >>> train, test = iris().split()
            >>> bool(train.standardized().x.mean(0).abs().max() < 1e-12)
            True
            >>> test = test.standardized(like=train)
        """
        like = self if like is None else like
        if like.features != self.features:
            raise ValueError(
                f"like: expected the features of {self.name} {self.features}, got {like.features}"
            )
        if len(like) == 0:
            raise ValueError("like: expected at least one row to take the mean of, got none")
        # Found by comparison: the mean of a constant can be off by rounding, which scaling would blow up.
        seen = ~like.x.isnan()
        least = torch.where(seen, like.x, torch.inf).amin(0)
        constant = least >= torch.where(seen, like.x, -torch.inf).amax(0)
        mean = torch.where(constant, least.nan_to_num(posinf=0.0), like.x.nanmean(0))
        spread = torch.where(constant, 1.0, (like.x - mean).square().nanmean(0).sqrt())
        return replace(self, x=(self.x - mean) / spread, truth={})

    def _counts(self) -> list[int]:
        return torch.bincount(self.y, minlength=len(self.classes)).tolist()

    def __repr__(self) -> str:
        kinds = "class" if len(self.classes) == 1 else "classes"
        counts = ", ".join(map(str, self._counts()))
        size = f"{len(self)} rows × {len(self.features)} features"
        return f"{self.name}: {size}, {len(self.classes)} {kinds} ({counts})"

    def _repr_html_(self) -> str:
        """The first rows as a table, under the short description."""
        shown = self.features[:6]
        more = "<th>…</th>" if len(self.features) > len(shown) else ""
        head = "".join(f"<th>{escape(name)}</th>" for name in shown)
        body = "".join(
            "<tr><td>"
            + escape(self.classes[int(y)])
            + "</td>"
            + "".join(f"<td>{float(value):.4g}</td>" for value in x[: len(shown)])
            + ("<td>…</td>" if more else "")
            + "</tr>"
            for x, y in zip(self.x[:5], self.y[:5], strict=True)
        )
        caption = f"<caption>{escape(repr(self))}<br><small>{escape(self.source)}</small></caption>"
        return (
            f"<table>{caption}<thead><tr><th>class</th>{head}{more}</tr></thead><tbody>{body}</tbody></table>"
        )
