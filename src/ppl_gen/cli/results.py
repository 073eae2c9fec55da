"""What ask and sample found: told on the terminal, as one JSON object, or written into a file."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppl_gen.cli.options import Parser, whole_file, writable
from ppl_gen.cli.terminal import Terminal, plain
from ppl_gen.errors import DataError

ENDINGS = (".csv", ".json", ".npy")


def add_given(parser: Parser) -> None:
    """--given, which ``--y 2`` is short for."""
    parser.add_argument(
        "--given",
        metavar="NAME=VALUE",
        action="append",
        type=_pair,
        default=[],
        help="a value right of the bar, also written --NAME VALUE: a class by its name, a number, or one "
        "row of x, its cells separated by commas",
    )


def _pair(text: str) -> tuple[str, str]:
    import argparse

    name, equals, value = text.partition("=")
    if not name.isidentifier() or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as y=2, got {text!r}")
    return name, value


def place_of(out: str | None, overwrite: bool, as_json: bool) -> Path | None:
    """The file to write, found to be writable; None for none, and for "-", the standard output."""
    if out is None:
        return None
    if out == "-":
        if as_json:
            raise DataError("--out: - and --json both want the standard output; take one of them")
        return None
    path = Path(out)
    if path.suffix not in ENDINGS:
        raise DataError(f"--out: expected a name that ends in {', '.join(ENDINGS)}, or -, got {out!r}")
    writable(path, overwrite=overwrite)
    return path


def tell(
    terminal: Terminal,
    head: Mapping[str, Any],
    columns: Mapping[str, Sequence[Any]],
    *,
    lines: Sequence[str],
    out: str | None,
    path: Path | None,
    array: Any,
) -> dict[str, Any]:
    """Write what was found where it is wanted; returns the document of --json."""
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    document: dict[str, Any] = plain({**head, "rows": rows})
    if out == "-":
        terminal.say(_csv(columns).rstrip("\n"))
        return document
    if path is not None:
        whole_file(path, _content(path, document, columns, array))
    terminal.say(*lines)
    if path is None:
        terminal.table(columns)
    else:
        terminal.say(f"{len(rows):,} row{'s' * (len(rows) != 1)} written to {path}.")
    return document


def _content(path: Path, document: Mapping[str, Any], columns: Mapping[str, Any], array: Any) -> str | bytes:
    if path.suffix == ".csv":
        return _csv(columns)
    if path.suffix == ".json":
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if array is None:
        raise DataError(
            "--out: an array holds one variable; the question asks about several: take .csv or .json"
        )
    content = io.BytesIO()
    np.save(content, np.asarray(array))
    return content.getvalue()


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(["" if v is None or v != v else v for v in row])
    return text.getvalue()
