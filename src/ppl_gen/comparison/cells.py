"""What the cells of a column hold: numbers, dates or categories, read off the cells themselves."""

import re
from dataclasses import dataclass
from typing import Any

from ppl_gen.comparison.digits import NUMBERS, distinct, leading_zero, without_commas
from ppl_gen.errors import DataError

HUGE = 1e100  # squares of larger numbers are no longer finite
LEVELS = 20  # of a category; the rarer ones become one
OTHER = "(other)"
IDENTIFIER = re.compile(r"(.*[\W_])?(id|uuid|guid|key|index|idx|rownum|row)", re.IGNORECASE)
DATE = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?"
GERMAN_DATE = r"\d{1,2}\.\d{1,2}\.\d{4}"
UNIT = r"[-+]?[$€£¥]\s?[-+]?\d[\d.,]*|[-+]?\d[\d.,]*\s?([%‰°$€£¥]|[^\W\d_]{1,3})"  # a number with one
NONE = "none"  # in lower case: a missing number, but a level or a class among texts


@dataclass(frozen=True)
class Cells:
    """A column as numbers or as names, missing cells as NaN or None.

    Attributes:
        values: a pandas Series of float64, or of object.
        kind: "number", "date" (days since 1970-01-01), "boolean" or "text".
        notes: what had to be decided, in words.
        exact: how many different numbers there are before float64 rounds them.
    """

    values: Any
    kind: str
    notes: tuple[str, ...] = ()
    exact: int = 0


def data_row(index: int) -> str:
    """Where a cell is, in words; rows are counted as readers of a table do.

    >>> data_row(3)
    ' in data row 4'
    """
    return f" in data row {index + 1}"


def read_cells(column: Any, kind: str | None = None, separator: str = "") -> Cells:
    """Read a column as what its cells are, or as ``kind``: "number" or "text".

    Args:
        separator: of the file's cells; where it is a semicolon, a comma may be a decimal point.
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(column.dtype):
        return Cells(named(column), "boolean")
    if pd.api.types.is_datetime64_any_dtype(column.dtype) and kind != "text":
        return Cells(_days(column), "date")
    if pd.api.types.is_numeric_dtype(column.dtype) and kind != "text":
        numbers = column.astype("Float64").to_numpy(dtype="float64", na_value=float("nan"))
        return _finite(numbers, column.index, column.nunique())
    text = named(column)
    return Cells(text, "text") if kind == "text" else _parsed(text, kind, separator)


def named(column: Any) -> Any:
    """The cells as text, None where missing; 1.0 and 1 are the same."""
    import numpy as np
    import pandas as pd

    try:
        codes, different = pd.factorize(column.astype(object))
    except TypeError:  # lists and the like, of a Parquet file
        got = type(column.dropna().iloc[0]).__name__
        raise DataError(f"{column.name}: expected numbers, texts or dates, got {got}; use --drop") from None
    names = np.array([*map(_name, different), None], dtype=object)  # the code of a missing cell is -1
    return pd.Series(names[codes], index=column.index)


def _name(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _parsed(text: Any, kind: str | None, separator: str) -> Cells:
    """Text cells as numbers or dates where they read as such; each different one is looked at once."""
    import numpy as np
    import pandas as pd

    nones = text.str.lower() == NONE if text.notna().any() else text.notna()
    codes, different = pd.factorize(text.mask(nones, None))
    seen = pd.Series(different, dtype="str")
    level = (f"{text[nones].iloc[0]!r} is a level, not a missing cell",) if nones.any() else ()
    if not len(seen):
        return Cells(text, "text", level)
    if kind != "number" and (days := _dates(seen)) is not None:
        return Cells(pd.Series(np.append(days, np.nan)[codes], index=text.index), "date")
    if kind != "number" and (code := leading_zero(seen)):
        note = f"digits with leading zeros, such as {code!r}, are codes: categories, not numbers"
        return Cells(text, "text", (*level, note))
    plain, commas = without_commas(seen, separator)
    each = pd.to_numeric(plain, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    numbers = np.append(each, np.nan)
    good, missing = ~np.isnan(numbers[codes]), codes < 0
    if not good.any() or (kind != "number" and good.sum() < NUMBERS * (~missing).sum()):
        return Cells(text, "text", (*level, *commas, *_units(seen)))
    cells = _finite(numbers[codes], text.index, distinct(plain, each))
    bad = text[~good & ~missing]
    notes = (*commas, *cells.notes)
    if len(bad):
        example = f"{bad.iloc[0][:30]!r}{data_row(bad.index[0])}"
        notes += (f"{_cells(len(bad))} no number and missing, such as {example}",)
    if count := int(nones.sum()):
        notes += (f"{_cells(count)} missing: {text[nones].iloc[0]!r}",)
    return Cells(cells.values, "number", notes, cells.exact)


def _units(seen: Any) -> tuple[str, ...]:
    """A word on texts that begin or end with a number each: someone may have meant numbers."""
    found = seen[seen.str.fullmatch(UNIT)]
    if len(found) < NUMBERS * len(seen):
        return ()
    return (f"texts such as {found.iloc[0]!r} are categories: for numbers, write them without the unit",)


def _dates(seen: Any) -> Any:
    """Texts as days since 1970-01-01, or None if one is no date."""
    import pandas as pd

    for form, pattern in ((DATE, "ISO8601"), (GERMAN_DATE, "%d.%m.%Y")):
        if seen.iloc[:1].str.fullmatch(form).all() and seen.str.fullmatch(form).all():
            when = pd.to_datetime(seen, format=pattern, errors="coerce", utc=True)
            return _days(when).to_numpy() if when.notna().all() else None
    return None


def _finite(numbers: Any, index: Any, exact: int) -> Cells:
    import numpy as np
    import pandas as pd

    huge = np.abs(numbers) > HUGE
    notes: tuple[str, ...] = ()
    if count := int(huge.sum()):
        notes += (f"{_cells(count)} infinite (beyond {HUGE:.0e}), and missing",)
    values = pd.Series(np.where(huge, np.nan, numbers), index=index)
    exact -= len(np.unique(numbers[huge]))
    if exact > (different := values.nunique()) > 1:
        notes += (f"{exact:,} different numbers are {different:,} in float64, which rounds them",)
    return Cells(values, "number", notes, exact)


def _cells(count: int) -> str:
    return f"{count:,} {'cell counts' if count == 1 else 'cells count'} as"


def _days(column: Any) -> Any:
    """Days since 1970-01-01."""
    import pandas as pd

    naive = column.dt.tz_localize(None) if column.dt.tz is not None else column
    return (naive - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)


def in_words(value: float) -> str:
    """A number to four digits, or to one with thousands apart.

    >>> in_words(-629600.4), in_words(0.01234), in_words(12.5)
    ('−629,600', '0.01234', '12.5')
    """
    plain = f"{value:,.0f}" if 10_000 <= abs(value) < 1e12 else f"{value:.4g}"
    return plain.replace("-", "−")


def useless(name: str, cells: Cells) -> str:
    """Why a column says nothing about new rows, in words; "" if it may."""
    seen = cells.values.dropna()
    different, rows = seen.nunique(), len(seen)
    but = f"; {'; '.join(cells.notes)}" if cells.notes else ""
    if not rows:
        return f"holds nothing{but}"
    if different == 1 and cells.exact > 1:
        near = in_words(seen.iloc[0])
        return f"holds {cells.exact:,} different numbers near {near}, too close for float64 to tell apart"
    if different == 1:
        return f"is constant ({_name(seen.iloc[0])}){but}"
    if cells.kind == "text" and different > LEVELS and different > rows / 2:
        return f"is like a name or a number of rows: {different:,} different texts in {rows:,} rows"
    if cells.kind == "number" and different == rows and bool((seen % 1 == 0).all()) and rows > LEVELS:
        if seen.max() - seen.min() == rows - 1:
            return "numbers the rows"
        if IDENTIFIER.fullmatch(name):
            return "is an identifier: every row has another"
    return ""


def lumped(name: str, text: Any) -> tuple[Any, tuple[str, ...]]:
    """The text cells with only the most frequent levels left, and what was done."""
    counts = text.value_counts()
    if len(counts) <= LEVELS:
        return text, ()
    kept = set(counts.sort_index().sort_values(ascending=False, kind="stable").index[: LEVELS - 1])
    note = f"its {len(counts) - len(kept):,} rarest levels of {len(counts):,} are one, {OTHER!r}"
    return text.where(text.isna() | text.isin(kept), OTHER), (note,)


def classes_of(target: str, column: Any) -> Any:
    """The class of each row as text, as it is written, None where missing.

    Raises:
        DataError: the column holds too many values to be classes.
    """
    cells, names = read_cells(column), named(column)
    seen = cells.values.dropna()
    different = seen.nunique()
    advice = (
        "This command tells classes apart: name a column of a few classes, or cut this one into classes "
        "first and save them as a column, as with pandas.qcut(frame[column], 3, labels=['low', 'middle', "
        "'high'])."
    )
    if cells.kind == "date":
        raise DataError(f"--target {target}: holds dates, {different:,} different ones. {advice}")
    if cells.kind == "number" and (different > LEVELS or bool((seen % 1 != 0).any())):
        low, high = seen.min(), seen.max()
        raise DataError(
            f"--target {target}: is a quantity, {different:,} different numbers from {in_words(low)} to "
            f"{in_words(high)}. {advice}"
        )
    if (classes := names.nunique()) > LEVELS:
        raise DataError(
            f"--target {target}: holds {classes:,} different texts in {len(seen):,} rows, more than the "
            f"{LEVELS} classes that this command compares. Name another column, or merge its rare classes "
            "first."
        )
    return names
