"""Classes by name: texts, dates and other categories as codes 0, 1, …; numbers are codes already."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor

from ppl_gen.checks import did_you_mean
from ppl_gen.errors import DataError
from ppl_gen.frames import DATES, is_frame

_PANDAS = ("Interval", "Period")


def named_cells(value: Any) -> list[Any] | None:
    """The cells of a column of classes that has names in it; None where there are none, or too many columns.

    >>> named_cells(["b", None]), named_cells("b"), named_cells([0, 1])
    (['b', None], ['b'], None)
    """
    if _is_name(value):
        return [value]
    if isinstance(value, type | Tensor):
        return None
    if is_frame(value) and value.shape[1] == 1:
        value = value[value.columns[0]]
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 1:
        value = value[:, 0]
    dtype = getattr(value, "dtype", None)
    if getattr(dtype, "kind", "O") in "fiubc" or len(getattr(value, "shape", (0,))) != 1:
        return None
    if dtype is None and not isinstance(value, list | tuple):
        return None
    if not any(_is_name(cell) for cell in islice((cell for cell in value if not _missing(cell)), 1)):
        return None
    return list(value)


def declared(value: Any) -> list[Any] | None:
    """The categories that a column's type declares, in its order."""
    if is_frame(value):
        value = value[value.columns[0]]
    categories = getattr(getattr(value, "dtype", None), "categories", None)
    if categories is None or type(getattr(value, "dtype", None)).__name__ == "Categorical":
        return None  # of polars, whose categories belong to the process
    return list(categories)


def encoded(
    name: str,
    cells: Sequence[Any],
    categories: Iterable[Any] | None,
    levels: int,
    known: Sequence[str] | None,
    grow: bool,
) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    """Codes, NaN where the class is missing, and what each code stands for.

    Args:
        name: the argument's.
        cells: as `named_cells` gives them.
        categories: as `declared` gives them; without any, names are sorted.
        levels: how many codes there are.
        known: the names that the codes have; None where they have none yet.
        grow: whether further names may take the codes that are free.

    Raises:
        DataError: too many names, one that is not known, or numbers among names.

    >>> encoded("y", ["b", "a", None], None, levels=3, known=None, grow=True)
    (array([ 1.,  0., nan]), ('a', 'b'))
    """
    texts = [None if _missing(cell) else _text(name, cell) for cell in cells]
    seen = {text: cell for text, cell in zip(texts, cells, strict=True) if text is not None}
    names = list(known or ())
    new = [text for text in seen if text not in set(names)]
    if new and not grow:
        if known is None:
            raise DataError(
                f"{name}: expected class codes 0 to {levels - 1}, got {new[0]!r}, and no fit has told which "
                f"code that is. Encode classes: classes, {name} = numpy.unique({name}, return_inverse=True)"
            )
        raise DataError(
            f"{name}: expected one of the classes {_listed(names)}, got {new[0]!r}."
            f"{did_you_mean(new[0], names)}"
        )
    order = [_text(name, cell) for cell in categories or ()]
    if len(names) + len([text for text in order if text not in names]) > levels:
        order = [text for text in order if text in seen]  # categories that no row has need no code
    names += [text for text in order if text not in names]
    names += [text for text in _sorted(seen) if text not in names]
    if len(names) > levels:
        raise DataError(
            f"{name}: expected {levels} classes at most, as the model was made for, got {len(names)}: "
            f"{_listed(names)}"
        )
    codes = {text: float(code) for code, text in enumerate(names)}
    return np.array([np.nan if text is None else codes[text] for text in texts]), tuple(names)


def _is_name(cell: Any) -> bool:
    return isinstance(cell, (str, bytes, *DATES)) or type(cell).__name__ in _PANDAS


def _missing(cell: Any) -> bool:
    if isinstance(cell, float | np.floating | np.datetime64 | np.timedelta64):
        return bool(cell != cell)
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")


def _text(name: str, cell: Any) -> str:
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    if not _is_name(cell):
        raise DataError(
            f"{name}: expected either class codes or names of classes, got both, such as {cell!r}: "
            f"make names of all, [str(v) for v in {name}]"
        )
    return str(cell)


def _sorted(seen: dict[str, Any]) -> list[str]:
    try:
        return sorted(seen, key=lambda text: seen[text])
    except TypeError:  # texts and dates together
        return sorted(seen)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, names[:10]))}{', …' * (len(names) > 10)}"
