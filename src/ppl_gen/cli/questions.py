"""Questions on the command line: values by name, rows of a file, and answers in the table's own words."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.ask import ask
from ppl_gen.checks import did_you_mean
from ppl_gen.cli.words import BOOLEANS, Words
from ppl_gen.comparison.cells import data_row, read_cells
from ppl_gen.comparison.reading import read_table
from ppl_gen.errors import DataError
from ppl_gen.notation import read_question
from ppl_gen.posterior import Posterior
from ppl_gen.storage import load


def spelled_out(words: Sequence[str], options: Mapping[str, Sequence[str]]) -> list[str]:
    """``--y 2`` as ``--given y=2``, in commands that ask: any variable may stand right of the bar.

    Args:
        words: the command line.
        options: command -> its own options, which are left as they are.

    >>> spelled_out(["ask", "f", "p(x | y)", "--y", "-2", "--json"], {"ask": ["--json", "--given"]})
    ['ask', 'f', 'p(x | y)', '--given', 'y=-2', '--json']
    """
    if not words or "--given" not in options.get(words[0], ()):
        return list(words)
    found, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name.isidentifier() and f"--{name}" not in options[words[0]]:
            if not equals and rest:
                value, equals = rest.pop(0), "="
            found += ["--given", f"{name}={value}"] if equals else [word]
        else:
            found.append(word)
    return found


def opened(path: str) -> Posterior:
    """The posterior in a file.

    Raises:
        DataError, FileRefused: there is none, or it cannot be read.
    """
    if Path(path).is_dir():
        raise DataError(f"{path}: expected a file that fit or ppl_gen.save wrote, got a folder")
    try:
        return load(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


class Reader:
    """Reads rows and single values for a posterior in the words of its table, and writes draws in them.

    Attributes:
        notes: what the last file's reader had to decide.
    """

    def __init__(self, posterior: Posterior):
        self.posterior = posterior
        self.words = Words.of(posterior)
        self.notes: list[str] = []

    def values(
        self, question: str, given: Mapping[str, str], path: str | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a question is given, and what the file holds of what it asks about.

        Args:
            question: as of `ask`.
            given: values by name, as text.
            path: a file of rows, or None.

        Raises:
            Unanswerable, NotationError: the joint cannot answer it.
            DataError: a value or a column is lacking, or is none.
        """
        targets, right = read_question(question)
        with suppress(DataError):
            ask(self.posterior, question, **{name: self._zero(name) for name in right})  # refused first
        for name in given:
            if name not in right:
                stands = f"; {', '.join(right)} stand{'s' * (len(right) == 1)} there" if right else ""
                raise DataError(
                    f"--{name}: no option, and {name!r} does not stand right of the bar in {question}{stands}"
                )
        known = {name: self._one(name, text) for name, text in given.items()}
        lacking = [name for name in right if name not in known]
        if lacking and path is None:
            raise DataError(
                f"{question} is given {lacking[0]}: name a file of rows, or pass --{lacking[0]} VALUE"
            )
        name, sign, value = (path or "").partition("=")
        if sign and name in right and not Path(path or "").exists():
            raise DataError(f"{path}: no such file; pass a value by its name, --{name} {value}")
        found = self.read(Path(path), lacking, targets) if path is not None else {}
        return {**known, **{name: found[name] for name in lacking}}, {
            name: found[name] for name in targets if name in found
        }

    def read(self, path: Path, needed: Sequence[str], welcome: Sequence[str] = ()) -> dict[str, Any]:
        """Variables of the rows of a file, by name: (rows, *event).

        Args:
            path: a CSV or Parquet table, or an array (rows, columns) in an .npy file.
            needed: variables that must be there. welcome: others that may.

        Raises:
            DataError: names the file, what was expected and what came.
        """
        asked = [*needed, *welcome]
        found = self._array(path) if path.suffix == ".npy" else self._table(path, asked)
        for name in needed:
            if name not in found:
                column = f", in a column {self.words.target!r}" if name == "y" and self.words.target else ""
                raise DataError(f"{path}: holds no {name}{column}; pass --{name} VALUE, or add it")
        return {name: self._shaped(name, found[name]) for name in asked if name in found}

    def columns(self, name: str, values: Tensor) -> dict[str, list[Any]]:
        """Values (rows, *event) of a variable as columns of a table, in its own words."""
        encoder = self.words.encoder
        if name == "x" and encoder is not None and values.dim() == 2:
            frame = encoder.decode(values)
            whole = {c for c, family in encoder.columns.items() if family in ("poisson", "bernoulli")}
            for c, known in encoder.categories.items():
                if set(known) <= BOOLEANS.keys():
                    frame[c] = frame[c].astype(object).map(BOOLEANS, na_action="ignore")
            return {
                c: [
                    None if v != v else int(v) if c in whole and isinstance(v, float) else v for v in frame[c]
                ]
                for c in frame
            }
        if name == "y" and values.dim() == 1:
            return {self.words.target or "y": self.words.words(values.tolist())}
        if values.dim() == 1:
            return {name: values.tolist()}
        places = np.ndindex(*values.shape[1:])
        return {f"{name}[{','.join(map(str, i))}]": values[(slice(None), *i)].tolist() for i in places}

    def levels(self, name: str, count: int) -> list[Any]:
        """What the codes 0, 1, … of a variable stand for."""
        named = self.words.classes if name == "y" else ()
        return [*named, *range(len(named), count)]  # a class without rows may have no name

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self.posterior.shapes:
            return tuple(self.posterior.shapes[name][1:])
        site = self.posterior.sites.get(name)
        return tuple(site.event_shape) if site is not None else ()

    def _shaped(self, name: str, values: Any) -> Any:
        return values.reshape(len(values), *self._shape(name))

    def _zero(self, name: str) -> Tensor:
        return self.posterior.zeros(1).get(name, torch.zeros(1, *self._shape(name)))

    def _one(self, name: str, text: str) -> Any:
        """A single value from text: a class, a number, or numbers and words separated by commas."""
        if name == "y" and not self._shape(name):
            return torch.tensor(self.words.codes([text])[0])
        cells = [cell.strip() for cell in next(csv.reader([text]), [])]
        encoder = self.words.encoder
        wanted = list(encoder.columns) if name == "x" and encoder else None
        size = len(wanted) if wanted else int(np.prod(self._shape(name), dtype=int))
        if len(cells) != size:
            what = f"{size} values, of {', '.join(wanted)}" if wanted else f"{size} number{'s' * (size > 1)}"
            raise DataError(f"--{name}: expected {what}, separated by commas, got {len(cells)}: {text!r}")
        if wanted:
            import pandas as pd

            row = {column: [cell or None] for column, cell in zip(wanted, cells, strict=True)}
            return self._encoded(pd.DataFrame(row, dtype=object), f"--{name}")[0]
        try:
            numbers = [float(cell) if cell else np.nan for cell in cells]
        except ValueError:
            raise DataError(f"--{name}: expected numbers, got {text!r}") from None
        return torch.tensor(numbers).reshape(self._shape(name))

    def _table(self, path: Path, asked: Sequence[str]) -> dict[str, Any]:
        frame, self.notes = read_table(path, least=1)
        separator, found = frame.attrs.get("separator", ""), dict[str, Any]()
        target = self.words.target if self.words.encoder else "y"
        for name in asked:
            column = target if name == "y" else name
            if name != "x" and column in frame:
                cells = read_cells(frame[column], None, separator).values
                texts = read_cells(frame[column], "text", separator).values
                kept = texts if self.words.classes and name == "y" else cells
                codes = self.words.codes(kept) if name == "y" else self._numbers(frame, column)
                found[name] = np.array(codes)
        if "x" in asked and self.words.encoder is not None:
            lacking = [name for name in self.words.encoder.columns if name not in frame]
            if not lacking:
                found["x"] = self._encoded(frame, str(path))
            elif not found or lacking != list(self.words.encoder.columns):
                rest = [name for name in frame.columns if name not in self.words.encoder.columns]
                hint = did_you_mean(lacking[0], rest)
                raise DataError(
                    f"{path}: no column {lacking[0]!r}; there are {', '.join(frame.columns)}.{hint} It "
                    f"was fitted to {', '.join(self.words.encoder.columns)}; leave unknown cells empty"
                )
        elif "x" in asked:
            rest = [name for name in frame.columns if name not in asked]
            matrix = np.column_stack([self._numbers(frame, name) for name in rest])
            found = {**self._split(path, matrix), **found}
        return found

    def _numbers(self, frame: Any, name: str) -> Any:
        cells = read_cells(frame[name], None, frame.attrs.get("separator", ""))
        self.notes += [f"{name}: {note}" for note in cells.notes]
        if cells.kind == "text" and cells.values.notna().any():
            row = cells.values.first_valid_index()
            raise DataError(
                f"{name}: expected numbers, got {cells.values[row]!r}{data_row(row) * (len(frame) > 1)}"
            )
        return cells.values.to_numpy(dtype=float, na_value=np.nan)

    def _encoded(self, frame: Any, where: str) -> Tensor:
        """The columns of x as the model reads them."""
        import pandas as pd

        encoder, parts = self.words.encoder, {}
        assert encoder is not None
        for name in encoder.columns:
            known = encoder.categories.get(name)
            if known is None:
                parts[name] = self._numbers(frame, name)
                continue
            parts[name] = read_cells(frame[name], "text", frame.attrs.get("separator", "")).values
            seen = parts[name].dropna()
            for row, value in seen[~seen.isin([str(k) for k in known])].items():
                raise DataError(
                    f"{where}: {name}: expected one of {', '.join(map(str, known))}, got {value!r}"
                    f"{data_row(row) * (len(seen) > 1)}; leave the cell empty if that is unknown"
                )
            parts[name] = parts[name].map({str(k): k for k in known}, na_action="ignore")
        return encoder.encode(pd.DataFrame(parts))

    def _array(self, path: Path) -> dict[str, Any]:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: cannot be read as an array: {error}") from None
        if array.dtype.kind not in "biuf" or not array.size:
            raise DataError(f"{path}: expected rows of numbers, got {array.dtype} of shape {array.shape}")
        if array.ndim != 2 and array.shape[1:] != self._shape("x"):
            raise DataError(f"{path}: expected an array (rows, columns), got shape {array.shape}")
        return self._split(path, array.reshape(len(array), -1).astype(float))

    def _split(self, path: Path, matrix: Any) -> dict[str, Any]:
        """x, and y if the class's column is there too."""
        width, place = int(np.prod(self._shape("x"), dtype=int)), self.words.target
        if matrix.shape[1] == width:
            return {"x": matrix}
        if place.isdecimal() and matrix.shape[1] == width + 1:
            y = np.array(self.words.codes(matrix[:, int(place)].tolist()))
            return {"x": np.delete(matrix, int(place), 1), "y": y}
        more = f", or {width + 1} with the class in column {place}" if place.isdecimal() else ""
        raise DataError(
            f"{path}: expected {width} column{'s' * (width > 1)} of x{more}, got {matrix.shape[1]}"
        )
