"""From a table to rows of numbers with a class each: the kind of every column, and what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ppl_gen.checks import did_you_mean
from ppl_gen.comparison.cells import classes_of, in_words, lumped, named, read_cells, useless
from ppl_gen.comparison.copies import copies, leaks
from ppl_gen.data import Dataset
from ppl_gen.distributions import Categorical
from ppl_gen.errors import DataError
from ppl_gen.tables import Encoder, columns_of

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("gaussian", "bernoulli", "poisson", "categorical")
FEWEST_ROWS, FEWEST_OF_A_CLASS = 20, 5


@dataclass(frozen=True)
class Column:
    """A column as it was read: its name, kind, levels or range, share of missing cells, and decisions."""

    name: str
    kind: str
    holds: str
    missing: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Study:
    """A table that is ready to be learned from.

    Attributes:
        data: the rows: numbers and category codes, NaN where a cell is missing.
        target: the column that holds the class.
        encoder: the family of every column, and what the codes stand for.
        columns: every column of x, as it was read.
        left_out: (column, why).
        notes: what was decided about the table as a whole.
        warnings: what may make it look easier than it is.
        shown: the columns of x as the user knows them, row by row.
        numbers: of the rows in the file, from 1 below the names.
    """

    data: Dataset
    target: str
    encoder: Encoder
    columns: tuple[Column, ...]
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    shown: "pd.DataFrame"
    numbers: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def prepare(
    frame: "pd.DataFrame",
    target: str,
    *,
    types: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    name: str = "table",
    notes: Sequence[str] = (),
) -> Study:
    """Read the kinds of the columns, and encode them; rows that are copies of others are left out.

    Args:
        frame: text cells, as of `read_table`, or typed columns.
        target: the column of the classes.
        types: column -> "gaussian", "bernoulli", "poisson" or "categorical", where the cells mislead.
        drop: columns to leave out.
        name: of the data.
        notes: of the reader, put before the own ones.

    Raises:
        DataError: a name is no column, the target is no column of classes, or too little is left.
    """
    types, frame = dict(types or {}), frame.reset_index(drop=True)
    names = [str(column) for column in frame.columns]
    for option, wanted in (("--target", [target]), ("--types", types), ("--drop", drop)):
        for column in wanted:
            if column not in names:
                hint = did_you_mean(column, names)
                raise DataError(f"{option}: no column {column!r}; there are {_listed(names)}.{hint}")
            if option != "--target" and column == target:
                raise DataError(f"{option}: {column!r} is the target")
    if any(note.startswith(f"two columns are called {target!r}") for note in notes):
        raise DataError(f"--target: two columns are called {target!r}; give one of them another name")
    for column, kind in types.items():
        if kind not in KINDS:
            raise DataError(f"--types {column}: expected {', '.join(KINDS)}, got {kind!r}")
    study = _encoded(frame, target, types, drop, name)
    again, by_chance = copies(study.data, study.encoder)
    said, warnings = list(notes), []
    if count := int(again.sum()):
        equal = (
            f"{_rows(count)} equal{'s' * (count == 1)} an earlier one in every column used and in {target}"
        )
        if by_chance:
            said.append(
                f"{equal}, as rows of so few different cells may by chance: kept. If they are copies, the "
                "intervals are too narrow"
            )
        else:
            gone = [study.numbers[i] - 1 for i in again.nonzero()[:, 0].tolist()]
            study = _encoded(frame.drop(index=gone), target, types, drop, name)
            warnings.append(
                f"{equal}: left out, or copies of one row would be both learned from and predicted; "
                f"{_rows(len(study.data))} left"
            )
    for column, wrong in leaks(study.data):
        but = f" in all but {_rows(wrong)}" if wrong else ""
        warnings.append(f"{column!r} by itself tells {target}{but}: if it is {target} in other words, or was "
                        f"recorded after it, leave it out by --drop {column!r}")  # fmt: skip
    return replace(study, notes=(*said, *study.notes), warnings=tuple(warnings))


def _encoded(
    frame: "pd.DataFrame", target: str, types: Mapping[str, str], drop: Sequence[str], name: str
) -> Study:
    """The rows that have a class, as numbers."""
    names, separator = [str(column) for column in frame.columns], frame.attrs.get("separator", "")
    frame, labels, said = _labelled(frame, target)
    numbers = tuple(int(i) + 1 for i in frame.index)
    parts: dict[str, object] = {}
    families: dict[str, str] = {}
    columns: list[Column] = []
    left_out = [(column, "was named by --drop") for column in drop]
    for column in (c for c in names if c != target and c not in drop):
        read = _read(column, frame[column], types.get(column), separator)
        if isinstance(read, str):
            left_out.append((column, read))
            continue
        parts[column], family, described = read
        columns.append(described)
        if family:
            families[column] = family
    if not parts:
        raise DataError(f"nothing to learn from: besides {target!r}, " + _reasons(left_out))
    shown = _frame(parts)
    encoder = columns_of(shown, **families)
    classes = tuple(_in_order(set(labels)))
    data = Dataset(
        name=name, x=encoder.encode(shown), y=torch.tensor([classes.index(label) for label in labels]),
        classes=classes, features=tuple(parts), source=f"{name}, column {target}",
    )  # fmt: skip
    return Study(
        data, target, encoder, tuple(_described(c, shown[c.name], encoder) for c in columns),
        tuple(left_out), tuple(said), shown, numbers,
    )  # fmt: skip


def _read(
    name: str, column: "pd.Series", kind: str | None, separator: str
) -> tuple["pd.Series", str | None, Column] | str:
    """The column's values, the family that is known for them, and what it is like; or why it is left out."""
    as_what = {"gaussian": "number", "poisson": "number", "categorical": "text"}
    cells = read_cells(column, as_what.get(kind or ""), separator)
    values, notes, family = cells.values, cells.notes, kind
    why = useless(name, cells)
    if why and not (kind and values.notna().any()):
        return why
    if kind in ("gaussian", "poisson") and cells.kind == "text":
        raise DataError(f"--types {name}={kind}: expected numbers, got {values.dropna().iloc[0]!r}")
    if kind == "poisson" and bool(((values < 0) | (values % 1 > 0)).any()):
        got = f"{values.min():g} to {values.max():g}"
        raise DataError(f"--types {name}=poisson: expected whole numbers from 0 up, got {got}")
    if kind == "bernoulli":
        values = named(values)
        if (found := values.nunique()) != 2:
            raise DataError(f"--types {name}=bernoulli: expected two values, got {found:,}")
    elif cells.kind in ("text", "boolean"):
        family, (values, lumps) = "categorical", lumped(name, values)
        notes += lumps
    elif cells.kind == "date":
        family = family or "gaussian"
    return values, family, Column(name, cells.kind, "", float(values.isna().mean()), notes)


def _labelled(frame: "pd.DataFrame", target: str) -> tuple["pd.DataFrame", list[str], list[str]]:
    """The rows that have a class which is no rarity, their classes, and what was left out."""
    labels, said = classes_of(target, frame[target]), []
    if missing := int(labels.isna().sum()):
        gaps = frame.attrs.get("gaps", {}).get(target, {})
        texts = _listed(
            [f"{text!r} ({count:,})" if text else f"empty ({count:,})" for text, count in gaps.items()]
        )
        said.append(f"{_rows(missing)} without {target} left out{': ' if texts else ''}{texts}")
    counts = labels.value_counts()
    if len(counts) < 2:
        only = f", {counts.index[0]!r}" if len(counts) else ""
        raise DataError(f"--target {target}: expected two classes or more, got {len(counts)}{only}")
    rare = counts[counts < FEWEST_OF_A_CLASS]
    kept = labels.notna() & ~labels.isin(rare.index)
    if int(kept.sum()) < FEWEST_ROWS or labels[kept].nunique() < 2:
        raise DataError(
            f"--target {target}: too few rows: {int(kept.sum())} have one of {labels[kept].nunique()} "
            "classes of "
            f"{FEWEST_OF_A_CLASS} rows or more; expected {FEWEST_ROWS} rows of two such classes at least"
        )
    if len(rare):
        which = _listed([f"{name} ({count})" for name, count in rare.items()])
        said.append(f"classes of fewer than {FEWEST_OF_A_CLASS} rows left out: {which}")
    return frame[kept], list(labels[kept]), said


def _frame(parts: Mapping[str, object]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(parts)


def _described(column: Column, values: "pd.Series", encoder: Encoder) -> Column:
    """The column with its family, and what it holds, in words."""
    family = encoder.columns[column.name]
    kind = "categorical" if isinstance(family, Categorical) else str(family)
    if levels := encoder.categories.get(column.name):
        holds = f"{len(levels)} levels: {_listed([str(level) for level in levels], 6)}"
    elif column.kind == "date":
        import pandas as pd

        first, last = (pd.Timestamp(0) + pd.Timedelta(days=v) for v in (values.min(), values.max()))
        holds = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, in days"
    else:
        holds = f"{in_words(values.min())} to {in_words(values.max())}"
    return Column(column.name, kind, holds, column.missing, column.notes)


def _in_order(labels: set[str]) -> list[str]:
    """Numbers by size, texts by letter."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)


def _listed(names: Sequence[str], most: int = 12) -> str:
    """Names in a row, the last ones left out where they are many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _reasons(left_out: Sequence[tuple[str, str]]) -> str:
    return _listed([f"{name!r} {why}" for name, why in left_out], 6) or "there is no column"


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
