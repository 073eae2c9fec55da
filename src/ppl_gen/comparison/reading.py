"""A user's file as a data frame: text cells of a CSV file, or the typed columns of a Parquet file."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl_gen.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "null", "<na>"})  # in lower case
PREVIEW = 50  # rows that the separator is told from
csv.field_size_limit(10_000_000)  # characters of a cell


def read_table(path: Path, least: int = 2) -> tuple["pd.DataFrame", list[str]]:
    """The table in a CSV or Parquet file, and what the reader had to decide, in words.

    A CSV file's cells are text without spaces around it, None where missing (empty, ``?``, ``NA``, ``NaN``,
    ``null``). Comma, semicolon, tab or bar separate them; UTF-8 (with or without a byte order mark), UTF-16
    with one, and else Windows-1252 are read. The frame's ``attrs`` have the separator, and under "gaps" how
    often which text made a cell of a column missing.

    Args:
        least: how many columns there must be.

    Raises:
        DataError: no such file, not readable, empty, a row longer or shorter than the first, or pyarrow is
            lacking for a Parquet file.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_dir():
        raise DataError(f"{path}: expected a CSV or Parquet file, got a folder")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not content.strip():
        raise DataError(f"{path}: the file is empty")
    if path.suffix.lower() in (".parquet", ".pq") or content[:4] == b"PAR1":
        return _parquet(path, content, least)
    return _csv(path, content, least)


def _csv(path: Path, content: bytes, least: int) -> tuple["pd.DataFrame", list[str]]:
    import pandas as pd

    text, notes = _decoded(path, content)
    separator = _separator(text)
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            if len(row) <= 1 and not "".join(row).strip():
                continue  # a blank line
            if rows and len(row) != len(rows[0]):
                raise DataError(
                    f"{path}: line {reader.line_num} has {len(row)} cells, the first line {len(rows[0])}. "
                    f"Quote cells that hold a {SEPARATORS[separator]}."
                )
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is malformed: {error}") from None
    head, body = _named([name.strip() for name in rows[0]], notes), rows[1:]
    if len(head) < least:
        raise DataError(
            f"{path}: expected at least two columns, separated by comma, semicolon, tab or bar; "
            f"got one, {head[0][:40]!r}"
        )
    if not body:
        raise DataError(f"{path}: expected rows below the column names, got none")
    cells = {name: _cells(column) for name, column in zip(head, zip(*body, strict=True), strict=True)}
    if separator != ",":
        notes.append(f"cells are separated by a {SEPARATORS[separator]}")
    frame = pd.DataFrame({name: clean for name, (clean, _) in cells.items()}, dtype=object)
    frame.attrs = {"separator": separator, "gaps": {name: gaps for name, (_, gaps) in cells.items()}}
    return frame, notes


def _cells(column: Sequence[str]) -> tuple[Any, dict[str, int]]:
    """The cells without spaces around them, None where missing, and how often which text said so."""
    import numpy as np
    import pandas as pd

    codes, different = pd.factorize(np.array(column, dtype=object))
    stripped = [cell.strip() for cell in different]  # each different one is looked at once
    clean = [None if cell.lower() in MISSING else cell for cell in stripped]
    gaps: dict[str, int] = {}
    for cell, kept, count in zip(stripped, clean, np.bincount(codes).tolist(), strict=True):
        if kept is None:
            gaps[cell] = gaps.get(cell, 0) + count
    return np.array(clean, dtype=object)[codes], gaps


def _decoded(path: Path, content: bytes) -> tuple[str, list[str]]:
    """The file's text."""
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return content.decode("utf-16" if wide else "utf-8-sig"), []
    except UnicodeDecodeError:
        if wide or b"\x00" in content:
            raise DataError(f"{path}: expected a CSV or Parquet file, got bytes that are no text") from None
        return content.decode("cp1252", errors="replace"), ["the file is no UTF-8: read as Windows-1252"]


def _separator(text: str) -> str:
    """The separator that parts the first rows into the most columns, equally many in each."""
    lines = io.StringIO(text, newline="")
    preview = [line for _, line in zip(range(PREVIEW), lines, strict=False) if line.strip()]

    def columns(separator: str) -> tuple[int, int]:
        try:
            found = [len(row) for row in csv.reader(preview, delimiter=separator) if row]
        except csv.Error:
            return 0, 0
        return (found[0] if len(set(found)) == 1 else 1), found[0]

    return max(SEPARATORS, key=columns)


def _named(head: Sequence[str], notes: list[str]) -> list[str]:
    """Distinct, non-empty names for the columns."""
    names: list[str] = []
    for i, name in enumerate(head, 1):
        own = name or f"column {i}"
        if own in names:
            again = next(f"{own} ({k})" for k in range(2, len(head) + 2) if f"{own} ({k})" not in names)
            notes.append(f"two columns are called {own!r}; the later one is read as {again!r}")
            own = again
        elif not name:
            notes.append(f"column {i} has no name; it is read as {own!r}")
        names.append(own)
    return names


def _parquet(path: Path, content: bytes, least: int) -> tuple["pd.DataFrame", list[str]]:
    import pandas as pd

    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise DataError(
            f"{path}: reading Parquet needs pyarrow; install it with: pip install 'ppl-gen[parquet]'"
        ) from None
    try:
        frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except Exception as error:  # whatever pyarrow makes of a damaged file
        raise DataError(f"{path}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    if frame.shape[1] < least or not len(frame):
        count = {1: "one column", 2: "two columns"}[least]
        raise DataError(f"{path}: expected rows and at least {count}, got {frame.shape}")
    frame.columns = [str(name) for name in frame.columns]
    return frame, []
