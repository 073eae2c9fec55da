"""What people read: lines and tables as wide as the terminal, in letters that it has."""

import codecs
import math
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 88
SHOWN = 20  # rows of a table; files and JSON hold all
PLAIN = {
    "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "·": ".", "±": "+-", "≤": "<=", "≥": ">=", "✓": "+",
    "✗": "x", "→": "->", "’": "'", "“": '"', "”": '"', "μ": "mu", "σ": "sigma",
}  # fmt: skip


class Terminal:
    """Where a command writes; ``quiet`` leaves the output to JSON alone."""

    def __init__(self, *, quiet: bool = False):
        self.quiet = quiet

    @cached_property
    def console(self) -> "Console":
        """rich's, for the commands that tell a story."""
        from rich import console

        class Console(console.Console):
            """One that leaves a closed pipe to `main`."""

            def on_broken_pipe(self) -> None:
                raise BrokenPipeError

        made = Console(highlight=False, emoji=False, quiet=self.quiet or sys.stdout is None)
        made.width = min(made.width, WIDEST)
        return made

    @property
    def unicode(self) -> bool:
        """Whether every letter can be written."""
        return "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()

    @property
    def width(self) -> int:
        """Columns of letters."""
        return min(self.console.width, WIDEST)

    def say(self, *lines: str) -> None:
        """Write lines as they are."""
        if not self.quiet and sys.stdout is not None:
            print(*lines, sep="\n")

    def table(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write the first rows, and as many columns as there is room for; say what is left out."""
        rows = max((len(c) for c in columns.values()), default=0)
        cells = [[name, *map(cell, values[:SHOWN])] for name, values in columns.items()]
        numeric = [all(isinstance(v, int | float | None) for v in c[:SHOWN]) for c in columns.values()]
        widths = [max(map(len, column)) for column in cells]
        room, fit = self.width - 2, 0  # of which an ellipsis may take the last two
        while fit < len(cells) and sum(widths[: fit + 1]) + 2 * fit <= room:
            fit += 1
        fit = max(fit, 1)
        for row in zip(*cells[:fit], strict=True):
            line = "  ".join(
                c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=False)
            )
            self.say((line + " …" * (fit < len(cells))).rstrip())
        left = [
            f"{count:,} more {what}{'s' * (count > 1)}"
            for count, what in ((rows - SHOWN, "row"), (len(cells) - fit, "column"))
            if count > 0
        ]
        if left:
            self.say(f"… {' and '.join(left)}: --json or --out shows all")


def cell(value: Any) -> str:
    """A value in a table: numbers to four digits.

    >>> cell(0.123456), cell(12345.6), cell(3), cell(None), cell(math.nan)
    ('0.1235', '12,346', '3', '', '')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return str(value)


def plain(value: Any) -> Any:
    """A value for JSON, which has neither NaN (null here) nor infinity (a text here) nor tensors.

    >>> plain({"a": (1.0, math.nan, -math.inf)})
    {'a': [1.0, None, '-inf']}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


@contextmanager
def legible() -> Iterator[None]:
    """Letters that an output's encoding lacks become plain ones; outputs that are closed swallow words."""
    codecs.register_error("ppl_gen", _plainer)
    before: list[tuple[TextIO, str | None]] = []
    closed = [name for name in ("stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and "utf" not in (stream.encoding or "").lower():
            before.append((stream, stream.errors))
            stream.reconfigure(errors="ppl_gen")
    try:
        yield
    finally:
        for stream, errors in before:
            stream.reconfigure(errors=errors)  # type: ignore[attr-defined]
        for name in closed:
            getattr(sys, name).close()
            setattr(sys, name, None)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    kept = "".join(PLAIN.get(c) or unicodedata.normalize("NFKD", c) for c in letters)
    return "".join(c if c.isascii() else "?" for c in kept if not unicodedata.combining(c)), error.end
