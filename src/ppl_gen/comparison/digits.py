"""Numbers as texts: what commas and leading zeros mean in them."""

from typing import Any

NUMBERS = 0.9  # from this share of numbers on, the other cells of a column count as bad cells, not as levels
COMMA = r"[-+]?[\d.]*,[\d.,]*([eE][-+]?\d+)?"  # like a number with a comma
DECIMAL_COMMA = r"[-+]?\d*,\d+([eE][-+]?\d+)?"
THOUSANDS = r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?"


def leading_zero(seen: Any) -> str:
    """A text of digits that starts with a zero, if all are digits; else ""."""
    zeros = seen[seen.str.fullmatch(r"0\d+")]
    return str(zeros.iloc[0]) if len(zeros) and seen.str.fullmatch(r"\d+").mean() >= NUMBERS else ""


def without_commas(seen: Any, separator: str) -> tuple[Any, tuple[str, ...]]:
    """Texts of numbers with a point where their comma is one and no comma for thousands, and what was done.

    Commas are thousands where all may be so, but in a file of semicolons only where they cannot be points.
    Where neither holds for all of them, they stay as they are, which are no numbers.
    """
    marked = seen[seen.str.fullmatch(COMMA)]
    if not len(marked):
        return seen, ()
    example = f"as in {marked.iloc[0]!r}"
    decimal = marked.str.fullmatch(DECIMAL_COMMA).all() and not seen.str.fullmatch(r"[-+]?\d*\.\d+").any()
    thousands = marked.str.fullmatch(THOUSANDS).all()
    if thousands and not (decimal and separator == ";"):
        return seen.where(~seen.index.isin(marked.index), seen.str.replace(",", "")), (
            f"commas mark thousands, {example}",
        )
    if decimal:
        return seen.where(~seen.index.isin(marked.index), seen.str.replace(",", ".")), (
            f"commas are decimal points, {example}",
        )
    return seen, (f"commas in numbers, {example}, mark neither thousands nor decimals in all: no numbers",)


def distinct(texts: Any, numbers: Any) -> int:
    """How many different numbers the texts are, whole ones of many digits not rounded."""
    import numpy as np

    long = texts.str.fullmatch(r"[-+]?\d{16,}").to_numpy()
    rest = numbers[~long]
    return len({int(text) for text in texts[long]}) + len(np.unique(rest[~np.isnan(rest)]))
