"""``ppl-gen fit``: a file of rows, a model of this library and a method, made into a posterior in a file."""

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ppl_gen import distributions, models
from ppl_gen.checks import did_you_mean
from ppl_gen.comparison.cells import read_cells
from ppl_gen.comparison.reading import read_table
from ppl_gen.core import Conjugate, ProbabilisticModel
from ppl_gen.errors import DataError
from ppl_gen.fit import fit
from ppl_gen.inference import (
    EM,
    MAP,
    NUTS,
    SVI,
    CrossValidation,
    Exact,
    Laplace,
    MaximumLikelihood,
    VariationalBayes,
)
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior
from ppl_gen.storage import save
from ppl_gen.tables import Encoder, columns_of

if TYPE_CHECKING:
    import pandas as pd

METHODS: dict[str, Any] = {
    "exact": Exact, "ml": MaximumLikelihood, "em": EM, "vb": VariationalBayes, "svi": SVI,
    "map": MAP, "laplace": Laplace, "nuts": NUTS, "cv": CrossValidation,
}  # fmt: skip
PARTS = {"likelihood": distributions.Likelihood, "prior": distributions.StandardNormal}
MODELS = {name.lower(): name for name in models.__all__}


class Rows(NamedTuple):
    """What a file holds.

    Attributes:
        x: rows (n, features), NaN where a cell is missing; of an .npy file a memory map.
        y: the class column as it stands in the file (n,), if one was named.
        encoder: the family of every column of a table and what its codes stand for; None for an array.
        notes: what the reader had to decide, in words.
    """

    x: Any
    y: Any
    encoder: Encoder | None
    notes: tuple[str, ...] = ()


def fit_file(
    path: Path,
    model: str,
    out: Path,
    *,
    method: str | None = None,
    column: str | None = None,
    drop: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Posterior, list[str]]:
    """Fit a model to the rows of a file and save it, with the table's own words; returns what was read, too.

    Args:
        path: a CSV or Parquet table, or an array (rows, columns) in an .npy file.
        model: the name of one of ppl_gen.models, in capitals or not.
        out: where the posterior goes.
        method: a key of METHODS; None for the model's own, which for mixtures is variational Bayes here,
            unless options of SVI alone are given.
        column: of the class or target, by name, or for an array by number, from 0; it is no part of x.
        drop: columns of a table to leave out.
        settings: arguments of the model that the data do not tell, such as components.
        options: arguments of the method, such as steps; those that are None are left out.

    Returns:
        The posterior, and in words how the data were read.

    Raises:
        DataError: names the option, what was expected and what came.
    """
    if method is not None and method not in METHODS:
        raise DataError(
            f"--method: expected one of {', '.join(METHODS)}, got {method!r}.{did_you_mean(method, METHODS)}"
        )
    given = {name: value for name, value in (options or {}).items() if value is not None}
    chosen = None if method is None else _method(method, given)  # refused before the file is read
    rows = _array(path, column) if path.suffix == ".npy" else _table(path, column, drop)
    p, y, classes, says = _made(model, rows, column, dict(settings or {}))
    if method is None and isinstance(p, Conjugate) and p.hidden and given.keys() <= {"steps", "seed"}:
        chosen = _method("vb", given)  # a posterior, as SVI's, by fewer steps and from several starts
    elif method is None and given:
        chosen = _method("svi", given)
    x = rows.x
    if rows.encoder:  # by name, in what a fit says of a column, too
        x = _frame(dict(zip(rows.encoder.columns, np.asarray(x).T, strict=True)))
    data = {"x": x} | ({} if y is None else {"y": y})
    columns = {"x": tuple(rows.encoder.columns)} if rows.encoder else {}
    if column is not None and y is not None:
        columns["y"] = (column,)
    names = {"y": tuple(map(str, classes))} if classes else {}
    posterior = dataclasses.replace(
        fit(p, chosen, **data), columns=columns, classes=names, encoder=rows.encoder
    )
    save(posterior, out)
    return posterior, says


def _method(name: str, options: dict[str, Any]) -> Any:
    kind = METHODS[name]
    known = {field.name for field in dataclasses.fields(kind)}
    for option in options.keys() - known:
        raise DataError(f"--{option.replace('_', '-')}: --method {name} has none; leave it out")
    return kind(**options)


def _array(path: Path, column: str | None) -> Rows:
    """A memory map: rows are read when they are looked at."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an array: {error}") from None
    if array.ndim != 2 or not array.size:
        raise DataError(f"{path}: expected an array (rows, columns), got shape {array.shape}")
    if column is None:
        return Rows(array, None, None)
    width = array.shape[1]
    if not column.isdecimal() or int(column) >= width or width < 2:
        raise DataError(f"--class: expected the number of a column, from 0 to {width - 1}, got {column!r}")
    place = int(column)
    ends = {0: array[:, 1:], width - 1: array[:, :-1]}  # views, which copy nothing
    return Rows(ends[place] if place in ends else np.delete(array, place, 1), array[:, place], None)


def _table(path: Path, column: str | None, drop: Sequence[str]) -> Rows:
    frame, notes = read_table(path)
    names = [str(name) for name in frame.columns]
    for option, wanted in (("--class", [column] if column else []), ("--drop", drop)):
        for name in wanted:
            if name not in names:
                listed = ", ".join(names[:12])
                raise DataError(
                    f"{option}: no column {name!r}; there are {listed}.{did_you_mean(name, names)}"
                )
    separator, parts = frame.attrs.get("separator", ""), {}
    for name in names:
        if name != column and name not in drop:
            cells = read_cells(frame[name], None, separator)
            parts[name] = cells.values
            notes += [f"{name}: {note}" for note in cells.notes]
            notes += [f"{name}: dates, as days since 1970-01-01"] * (cells.kind == "date")
    if not parts:
        raise DataError(f"{path}: nothing is left of its columns to fit")
    typed = _frame(parts)
    encoder = columns_of(typed)
    y = None if column is None else read_cells(frame[column], None, separator)
    return Rows(encoder.encode(typed), None if y is None else y.values, encoder, tuple(notes))


def _frame(parts: Mapping[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(parts)


def _made(
    name: str, rows: Rows, column: str | None, settings: dict[str, Any]
) -> tuple[ProbabilisticModel, Any, list[Any], list[str]]:
    """The model of the data's sizes, y as it takes it and its classes, and a word on the data."""
    if name.lower() not in MODELS:
        hint = did_you_mean(name, list(MODELS.values()))
        raise DataError(f"--model: no model {name!r}; there are {', '.join(MODELS.values())}.{hint}")
    kind: Any = getattr(models, MODELS[name.lower()])
    asked, line = inspect.signature(kind).parameters, Factorization(kind.joint)
    says = [f"{len(rows.x):,} rows, {rows.x.shape[1]} columns of x", *rows.notes]
    y: Any = None
    classes: list[Any] = []
    if beyond := sorted(line.given - {"x", "y"}):
        raise DataError(
            f"--model: {kind.__name__} is {kind.joint}, and a file tells of x and y, not of {beyond[0]}: "
            f"this model is fitted in a program; take one whose joint has x and y alone"
        )
    wants = "y" in line.keys() | line.given
    if wants and column is None:
        raise DataError(f"--class: {kind.__name__} is {kind.joint}; name the column of y")
    if wants and column is not None:
        y = rows.y
        if "classes" in asked:
            y, classes = _codes(rows.y)
            if any(isinstance(value, float) for value in classes):
                raise DataError(
                    f"--class: {kind.__name__} wants a few classes; {column!r} is a quantity, of "
                    f"{len(classes):,} different numbers. Name another column, cut this one into classes "
                    f"first, or take a model of numbers, such as LinearRegression"
                )
            listed = ", ".join(f"{code} {value}" for code, value in enumerate(classes[:12]))
            listed += ", …" * (len(classes) > 12)
            if settings.setdefault("classes", len(classes)) != len(classes):
                raise DataError(
                    f"--set classes={settings['classes']}: expected {len(classes)}, the classes of "
                    f"{column!r} ({listed}): leave it out, or add rows of the others"
                )
            says.append(f"y is {column}: {listed}")
        elif not np.issubdtype(np.asarray(y).dtype, np.number):
            raise DataError(f"--class: {kind.__name__} wants numbers; {column!r} holds text")
    elif column is not None:
        says.append(f"{column} is left out: {kind.__name__} is {kind.joint}, without y")
    if "columns" in asked and "columns" not in settings:
        columns = rows.encoder.columns if rows.encoder else ["gaussian"] * rows.x.shape[1]
        settings["columns"] = columns
    elif rows.encoder and "levels" not in asked and (text := sorted(rows.encoder.categories)):
        mixed = "MixedNaiveBayes" if "classes" in asked else "MixedMixture" if "components" in asked else ""
        raise DataError(
            f"--model: {kind.__name__} wants numbers; {', '.join(map(repr, text[:5]))} hold"
            f"{'s' * (len(text) == 1)} text. {f'Take {mixed}, or leave' if mixed else 'Leave'} out by "
            f"--drop {','.join(text)}"
        )
    if "levels" in asked and "levels" not in settings:
        settings["levels"] = [int(np.nanmax(np.asarray(c))) + 1 for c in np.asarray(rows.x).T]
    if "features" in asked:
        width = rows.x.shape[1]
        if settings.setdefault("features", width) != width:
            raise DataError(
                f"--set features={settings['features']}: expected {width}, the columns of x that the file "
                f"holds: leave it out, and columns by --drop"
            )
    known = _settings(kind)
    for setting in settings.keys() - known:
        if "covariance" not in settings:  # which chooses a class with settings of its own
            raise _no_setting(kind, setting)
    for parameter in asked.values():
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        required |= parameter.name == "components"  # which has a default that means none
        if required and parameter.name not in settings:
            raise DataError(f"--set: {kind.__name__} needs {parameter.name}: --set {parameter.name}=2, say")
    for setting, base in PARTS.items():
        if setting in asked and isinstance(settings.get(setting), str):
            settings[setting] = _part(setting, base, settings[setting])
    try:
        return kind(**settings), y, classes, says
    except TypeError as error:  # no such argument, or text where a number belongs
        if stranger := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
            sizes = {name: settings[name] for name in asked if name in settings}  # and which covariance
            raise _no_setting(type(kind(**sizes)), stranger[1]) from None
        raise DataError(f"--set: {kind.__name__} cannot be made: {error}") from None
    except DataError as error:
        if str(error).partition(":")[0] not in settings:
            raise
        raise DataError(f"--set {error}") from None


def _settings(kind: type) -> tuple[str, ...]:
    """The arguments of a model, and those that it passes on to what it is made of.

    >>> _settings(models.PoissonMixture)
    ('components', 'features', 'weights', 'concentration', 'shape', 'rate')
    """
    found: dict[str, None] = {}
    for part in kind.__mro__:
        if "__init__" not in vars(part):
            continue
        parameters = list(inspect.signature(part.__init__).parameters.values())[1:]  # type: ignore[misc]
        found |= dict.fromkeys(
            p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        )
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    if "components" in found:
        found.pop("classes", None)  # the same of the model whose labels are hidden
    return tuple(found)


def _no_setting(kind: type, setting: str) -> DataError:
    known = _settings(kind)
    return DataError(
        f"--set {setting}: {kind.__name__} has {', '.join(known)}.{did_you_mean(setting, known)}"
    )


def _part(setting: str, base: type, text: str) -> Any:
    """A likelihood or a prior of ppl_gen.distributions by its name, with a number if it takes one.

    >>> _part("likelihood", distributions.Likelihood, "Binomial(9)")
    Binomial(levels=9)
    """
    found = (getattr(distributions, name) for name in distributions.__all__)
    kinds = {k.__name__: k for k in found if isinstance(k, type) and issubclass(k, base)}
    kinds.pop("Likelihood", None)  # the idea of one
    read = re.fullmatch(r"(\w+)(?:\((\d+)\))?", text)
    if read is None or read[1] not in kinds:
        hint = did_you_mean(text.partition("(")[0], list(kinds))
        raise DataError(f"--set {setting}: expected one of {', '.join(kinds)}, got {text!r}.{hint}")
    try:
        return kinds[read[1]](*[int(read[2])] if read[2] else ())
    except TypeError:
        raise DataError(f"--set {setting}: {read[1]} takes no number, got {text!r}") from None


def _codes(y: Any) -> tuple[Any, list[Any]]:
    """Classes as codes 0, 1, … in order, NaN where a row has none; and what they stand for."""
    import pandas as pd

    codes, classes = pd.factorize(np.asarray(y), sort=True)
    values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in classes.tolist()]
    return (np.where(codes < 0, np.nan, codes) if (codes < 0).any() else codes), values
