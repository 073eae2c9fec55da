"""What options hold, and what a shell may complete them with."""

import argparse
import errno
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ppl_gen.errors import DataError

Parser = argparse.ArgumentParser
FILE, FOLDER, OWN = "file", "folder", "own"  # how a value is completed, where it is no word of a list


def completed(action: argparse.Action, by: str | Sequence[str]) -> None:
    """Let shells complete a value by FILE, FOLDER or a list of words; OWN, the default, by nothing."""
    action.completed_by = by  # type: ignore[attr-defined]


def add_json(parser: Parser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_seed(parser: Parser, default: int | None = 0, more: str = "") -> None:
    """--seed."""
    words = f"a whole number that decides every draw (default: {'%(default)s' if default == 0 else more})"
    parser.add_argument("--seed", type=seed, default=default, metavar="N", help=words)


def add_posterior(parser: Parser) -> None:
    """The file of a posterior."""
    words = "a posterior that fit or ppl_gen.save wrote"
    completed(parser.add_argument("file", metavar="FILE.pplgen", help=words), FILE)


def add_out(parser: Parser, words: str) -> None:
    """--out and --overwrite, of a file of rows."""
    completed(parser.add_argument("--out", metavar="FILE", help=words), FILE)
    parser.add_argument("--overwrite", action="store_true", help="replace that file if it is there")


def count(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2147483647, got {text!r}")
    return int(text)


def repeats(text: str) -> int:
    """How often."""
    if not text.isdecimal() or not 2 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 2 to 10,000, got {text!r}")
    return int(text)


def kinds(text: str) -> list[tuple[str, str]]:
    """Pairs (column, kind) from "a=gaussian,b=categorical"."""
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    if any(not name or not kind for name, _, kind in pairs):
        raise argparse.ArgumentTypeError(f"expected COLUMN=KIND, such as age=gaussian, got {text!r}")
    return [(name, kind) for name, _, kind in pairs]


def settings(text: str) -> list[tuple[str, int | float | str]]:
    """Pairs (name, value) from "components=3,noise=0.5"; what is no number is text."""
    found: list[tuple[str, int | float | str]] = []
    for pair in text.split(","):
        name, _, value = pair.partition("=")
        if not name.isidentifier() or not value:
            raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as components=3, got {text!r}")
        for kind in (int, float, str):
            with suppress(ValueError):
                found.append((name, kind(value)))
                break
    return found


def listed(given: Sequence[str]) -> list[str]:
    """Names separated by commas, given once or more often."""
    return [name for names in given for name in names.split(",")]


def writable(path: Path, option: str = "--out", *, overwrite: bool = True) -> None:
    """Find out before the work whether a file can be written.

    Raises:
        DataError: it is there already, and is not to be replaced.
        OSError: it is a folder, or its folder cannot be written to.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not overwrite:
        raise DataError(
            f"{option}: {path} is there already; name another file, or replace it with --overwrite"
        )
    room(path.parent, path)


def room(folder: Path, named: Path) -> None:
    """Find out before the work whether files can be made in a folder; the error names ``named``."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(named)) from None


def whole_file(path: Path, content: Any) -> None:
    """Write text or bytes, all or nothing."""
    from ppl_gen.files import replace_file

    replace_file(path, content)
