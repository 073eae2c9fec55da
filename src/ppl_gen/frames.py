"""Data frames of pandas and polars: what their columns are called, and which hold no numbers."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ppl_gen.checks import did_you_mean
from ppl_gen.errors import DataError

NUMERIC = "fiub"
DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def is_frame(value: Any) -> bool:
    """Whether the value is a table with named columns, in memory.

    >>> import pandas
    >>> is_frame(pandas.DataFrame({"a": [1]})), is_frame(pandas.Series([1]))
    (True, False)
    """
    return hasattr(value, "to_numpy") and hasattr(value, "columns") and not isinstance(value, type)


def names_in(name: str, frame: Any) -> tuple[Any, ...]:
    """What the columns are called, each once."""
    names = tuple(frame.columns)
    twice = [column for column, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{name}: expected columns of different names, got {twice[0]!r} twice")
    return names


def in_order(name: str, frame: Any, known: Sequence[str]) -> Any:
    """The frame with its columns in the order of the ``known`` ones, if both have texts for names.

    Raises:
        DataError: a column is lacking, or is new.
    """
    names = names_in(name, frame)
    if names == tuple(known) or not all(isinstance(column, str) for column in (*names, *known)):
        return frame
    lacking = [column for column in known if column not in names]
    new = [column for column in names if column not in known]
    if lacking or new:
        what = [f"{column!r} is lacking" for column in lacking[:1]] + [
            f"{column!r} is new" for column in new[:1]
        ]
        hint = (
            did_you_mean(new[0], lacking) if lacking and new else f" Leave it out: {name}.drop(…)" * bool(new)
        )
        raise DataError(
            f"{name}: expected the columns of the fit, {', '.join(known[:8])}{', …' * (len(known) > 8)}; "
            f"{' and '.join(what)}.{hint}"
        )
    return frame[list(known)]


def refuse_other_rows(values: Mapping[str, Any]) -> None:
    """Of pandas objects: that none has the rows of another in another order, by its index."""
    named = [(name, v.index) for name, v in values.items() if hasattr(v, "index") and hasattr(v, "iloc")]
    for name, index in named[1:]:
        first, other = named[0]
        if len(index) != len(other) or index.equals(other) or not index.is_unique:
            continue
        if len(index.intersection(other)) == len(index):
            raise DataError(
                f"{name}: expected rows in the order of {first}, got the same index in another order: "
                f"{name}.loc[{first}.index], or {name}.to_numpy() if they do go together as they stand"
            )


def is_date(cell: Any) -> bool:
    """Whether a cell is a date, a time or a span of time, a missing one included."""
    return isinstance(cell, DATES) or type(cell).__name__ in ("Period", "NaTType")


def refuse_dates(name: str, value: Any) -> None:
    """Dates and spans of time are no numbers: cast to some, as NumPy and polars do, NaT is about -9.2e18.

    Args:
        name: the argument's.
        value: anything; only arrays, lists, frames and series are looked at.

    Raises:
        DataError: names the columns of a frame, or the first cell of an array.

    >>> refuse_dates("x", np.array([["2020-01-01", "NaT"]], dtype="M8[D]"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ppl_gen.errors.DataError: x: expected numbers, got datetime64[D]. Make numbers of them, such as days ...
    """
    if is_frame(value):
        names_in(name, value)
        _refuse_columns(name, "dates", [c for c in value.columns if _kind(value[c]) == "dates"])
        return
    if isinstance(value, list | tuple) or (hasattr(value, "to_numpy") and not isinstance(value, type)):
        with suppress(ValueError, TypeError, RuntimeError):  # rows of several lengths are refused elsewhere
            value = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    if not isinstance(value, np.ndarray):
        return
    kind, where = value.dtype.kind, ""
    days = {"M": f", ({name} - {name}.min()) / numpy.timedelta64(1, 'D')",
            "m": f", {name} / numpy.timedelta64(1, 'D')"}.get(kind, "")  # fmt: skip
    if kind == "O":
        place = next((place for place, cell in np.ndenumerate(value) if is_date(cell)), None)
        if place is not None:
            kind = "m" if isinstance(value[place], datetime.timedelta | np.timedelta64) else "M"
            where = f" such as {value[place]!r} at {list(place)}"
    if kind in ("M", "m"):
        what = "days since a date" if kind == "M" else "days"
        raise DataError(
            f"{name}: expected numbers, got {value.dtype}{where}. Make numbers of them, such as {what}{days}"
        )


def refuse_other_columns(name: str, frame: Any) -> None:
    """Text, dates and lists in a frame are told by their columns' names."""
    names_in(name, frame)
    found: dict[str, list[Any]] = {"text": [], "dates": [], "no numbers": []}
    for column in frame.columns:
        cells = frame[column]
        if (kind := _kind(cells)) in found:
            found[kind].append(column)
    for kind, columns in found.items():
        _refuse_columns(name, kind, columns)


def _refuse_columns(name: str, kind: str, columns: Sequence[Any]) -> None:
    if columns:
        advice = (
            f"MixedNaiveBayes takes categories as codes: encoder = columns_of({name}), encoder.columns, "
            f"encoder.encode({name})"
            if kind == "text"
            else f"Make numbers of them, such as days since a date, or leave them out: {name}.drop(…)"
        )
        raise DataError(
            f"{name}: expected numbers, got {kind} in the column{'s' * (len(columns) > 1)} "
            f"{', '.join(map(repr, columns[:5]))}{' and others' * (len(columns) > 5)}. {advice}"
        )


def _kind(cells: Any) -> str:
    """What a column holds; types tell of most without a look at the cells."""
    dtype = cells.dtype
    kind = getattr(getattr(dtype, "numpy_dtype", dtype), "kind", "")
    if kind and kind in NUMERIC:
        return "numbers"
    if kind in ("M", "m") or str(dtype).partition("(")[0] in ("Date", "Datetime", "Duration", "Time"):
        return "dates"
    if hasattr(dtype, "is_numeric") and (dtype.is_numeric() or str(dtype) in ("Boolean", "Null")):
        return "numbers"
    if getattr(dtype, "categories", None) is not None and not hasattr(dtype, "is_numeric"):
        return _kind(dtype.categories)
    for cell in cells:  # objects, or texts
        if isinstance(cell, str | bytes):
            return "text"
        if is_date(cell):
            return "dates"
        if isinstance(cell, list | tuple | dict | set) or hasattr(cell, "to_list"):
            return "no numbers"
    return "numbers"
