"""Tables: the family of each column read off a data frame, and the frame as a matrix of numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.checks import called
from ppl_gen.distributions import Categorical
from ppl_gen.errors import DataError
from ppl_gen.frames import is_date, is_frame, names_in

if TYPE_CHECKING:
    from pandas import DataFrame

Family = str | Categorical
LARGE_COUNT = 30  # from this mean on, a Poisson distribution is near to a Gaussian


@dataclass(frozen=True)
class Encoder:
    """How the columns of a data frame become numbers; made by `columns_of`.

    Attributes:
        columns: name -> family, for `MixedNaiveBayes`.
        categories: name -> what the codes 0, 1, … of a categorical (or two-valued) column stand for.
    """

    columns: Mapping[str, Family]
    categories: Mapping[str, tuple[Any, ...]]

    def encode(self, frame: Any) -> Tensor:
        """The frame as float64 (rows, columns): codes for categories, NaN for missing cells.

        Args:
            frame: a data frame of pandas or polars with these columns, in any order; others are left aside.

        Raises:
            DataError: a column is lacking, a category is unknown, or a cell is no number.
        """
        frame = as_pandas(frame)
        lacking = [name for name in self.columns if name not in frame]
        if lacking:
            raise DataError(
                f"frame: expected the columns {', '.join(self.columns)}; {lacking[0]!r} is lacking"
            )
        return torch.tensor(np.column_stack([self._column(name, frame[name]) for name in self.columns]))

    def decode(self, x: Any) -> "DataFrame":
        """Rows of x, such as draws, as a data frame with the categories' own names; NaN stays missing.

        Args:
            x: (rows, columns), as `encode` gives them.

        Raises:
            DataError: another number of columns, or a code that stands for nothing.
        """
        from pandas import DataFrame

        cells = np.asarray(x, dtype=np.float64)
        if cells.ndim != 2 or cells.shape[1] != len(self.columns):
            raise DataError(f"x: expected shape (rows, {len(self.columns)}), got {cells.shape}")
        return DataFrame(
            {name: self._names(name, column) for name, column in zip(self.columns, cells.T, strict=True)}
        )

    def _names(self, name: str, column: Any) -> Any:
        if name not in self.categories:
            return column
        known = dict(enumerate(self.categories[name]))
        legal = np.isnan(column) | np.isin(column, list(known))
        if not legal.all():
            raise DataError(f"{name}: expected codes 0 to {len(known) - 1}, got {column[~legal][0]:g}")
        return [None if np.isnan(code) else known[int(code)] for code in column]

    def _column(self, name: Any, column: Any) -> Any:
        codes = {value: float(code) for code, value in enumerate(self.categories.get(name, ()))}
        cells = column.astype(object)
        if not codes:
            return _numbers(name, column)
        numbers = cells.map(codes).to_numpy(dtype=np.float64, na_value=np.nan)
        unknown = np.flatnonzero(np.isnan(numbers) & column.notna().to_numpy())
        if len(unknown):
            known, row = ", ".join(map(repr, codes)), unknown[0]
            raise DataError(
                f"{name}: expected one of {known}, got {cells.iloc[row]!r} in row {row}. Declare further "
                f"categories before columns_of: frame[{name!r}].astype(pandas.CategoricalDtype([…])); they "
                f"get their prior mass"
            )
        return numbers

    def __repr__(self) -> str:
        lines = []
        for name, family in self.columns.items():
            kind = "categorical" if isinstance(family, Categorical) else family
            names = ", ".join(f"{code} {value}" for code, value in enumerate(self.categories.get(name, ())))
            lines.append(f"{name}: {kind}{f' ({names})' if names else ''}")
        return "\n".join(lines)


def columns_of(frame: Any, /, **families: Any) -> Encoder:
    """Read a family for each column off the dtypes of a data frame of pandas or polars.

    Booleans and numbers that are all 0 or 1 are Bernoulli; text and categories are categorical; whole numbers
    from 0 up whose mean is below 30, and whose variance is 1/4 to 4 times their mean, are Poisson counts
    (larger counts are near to Gaussian, and lengths in millimetres are none); other numbers are Gaussian.
    Missing cells (NaN, None, NA) do not count.

    Args:
        frame: the columns of x, without the class.
        families: what to take instead for some columns, by name: "gaussian", "bernoulli", "poisson",
            "categorical" (the values found are the categories), or ``None`` to leave the column out.

    Raises:
        DataError: a column has no family (it holds dates, or nothing at all), or a name is no column.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [30.5, 41.0], "smoker": [True, None], "colour": ["red", "blue"]})
    >>> encoder = columns_of(frame)
    >>> encoder
    age: gaussian
    smoker: bernoulli (0 False, 1 True)
    colour: categorical (0 blue, 1 red)
    >>> encoder.encode(frame)
    tensor([[30.5000,  1.0000,  1.0000],
            [41.0000,     nan,  0.0000]], dtype=torch.float64)
    >>> encoder.decode([[35.2, 0, 1]])
        age smoker colour
    0  35.2  False    red
    """
    frame = as_pandas(frame)
    for name, family in families.items():
        if name not in frame:
            raise DataError(f"{name}: not a column; the columns are {', '.join(map(str, frame.columns))}")
        if family not in ("gaussian", "bernoulli", "poisson", "categorical", None):
            raise DataError(
                f"{name}: expected gaussian, bernoulli, poisson, categorical or None, got {family!r}"
            )
    columns: dict[str, Family] = {}
    categories: dict[str, tuple[Any, ...]] = {}
    for name in frame.columns:
        column = frame[name]
        if name in families and families[name] is None:
            continue
        family = families.get(name) or _family(name, column)
        declared = getattr(column.dtype, "categories", None)
        seen = column.dropna()
        if family == "categorical" or (family == "bernoulli" and not _numeric(seen)):
            values = seen.unique().tolist() if declared is None else list(declared)
            values = values if declared is not None else sorted(values, key=lambda v: (str(type(v)), v))
            values = [False, True] if set(values) <= {False, True} else values
            if not values or (family == "bernoulli" and len(values) > 2):
                raise DataError(f"{name}: expected {'two values' if values else 'some value'}, got {values}")
            categories[name] = tuple(values)
            family = Categorical(len(values)) if family == "categorical" else family
        columns[name] = family
    return Encoder(columns, categories)


def as_pandas(frame: Any) -> Any:
    """The table as a data frame of pandas, with the categories that an enumeration of polars declares.

    Raises:
        DataError: no data frame, or two columns of one name.
    """
    if not is_frame(frame):
        raise DataError(f"frame: expected a data frame of pandas or polars, got {called(frame)}")
    names_in("frame", frame)
    if hasattr(frame, "iloc"):
        return frame
    from pandas import Categorical as Cells
    from pandas import DataFrame

    def column(cells: Any) -> Any:
        enumerated = type(cells.dtype).__name__ == "Enum"
        return Cells(cells, list(cells.dtype.categories)) if enumerated else cells.to_list()

    return DataFrame({name: column(frame[name]) for name in frame.columns})


def _numeric(seen: Any) -> bool:
    return getattr(seen.dtype, "kind", "O") in "iuf"


def _numbers(name: Any, column: Any, wanted: str = "numbers", advice: str = "") -> Any:
    """The cells as float64 (n,), NaN where missing; names the first that is no number."""
    if getattr(column.dtype, "kind", "O") in "iufb":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    found = np.full(len(column), np.nan)
    for row, (cell, missing) in enumerate(zip(column.astype(object), column.isna(), strict=True)):
        try:
            if isinstance(cell, str | bytes) or is_date(cell):  # some of which NumPy makes numbers of
                raise TypeError
            found[row] = np.nan if missing else float(cell)
        except (TypeError, ValueError):
            dates = "; make numbers of dates, such as days since one" if is_date(cell) else ""
            raise DataError(f"{name}: expected {wanted}, got {cell!r} in row {row}{dates}{advice}") from None
    return found


def _without(name: Any) -> str:
    return f"; leave it out: columns_of(frame, **{{{name!r}: None}})"


def _family(name: Any, column: Any) -> str:
    """The family that a column's type and values suggest."""
    seen, kind = column.dropna(), getattr(column.dtype, "kind", "O")
    if getattr(column.dtype, "categories", None) is not None:
        return "categorical"
    if not len(seen):
        raise DataError(f"{name}: no value in it{_without(name)}")
    if kind == "b" or all(isinstance(value, bool) for value in seen):
        return "bernoulli"
    if kind not in "iuf" and all(isinstance(value, str) for value in seen):
        return "categorical"
    wanted = "numbers, texts, booleans or categories, of one kind"
    numbers = torch.tensor(_numbers(name, column, wanted, _without(name)))
    numbers = numbers[~numbers.isnan()]
    if bool(((numbers == 0) | (numbers == 1)).all()):
        return "bernoulli"
    mean, variance = float(numbers.mean()), float(numbers.var(correction=0))
    whole = bool((numbers == numbers.round()).all()) and bool((numbers >= 0).all())
    return "poisson" if whole and mean < LARGE_COUNT and mean / 4 <= variance <= 4 * mean else "gaussian"
