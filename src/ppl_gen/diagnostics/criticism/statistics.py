"""Test statistics of a data set: what is looked at by default for each kind of variable, and users' own."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppl_gen.checks import called, did_you_mean
from ppl_gen.errors import DataError

Array = NDArray[Any]
Named = Mapping[str, Array]
Names = Mapping[str, Iterable[Any]]
WIDE = 16  # columns; of more, the sums of rows are looked at in place of each by class, or each pair
GIVEN = "given"  # an argument of users' statistics: what the joint is given, by name
PAIRS = 8  # columns whose pairs are looked at one by one


class Statistic(NamedTuple):
    """Numbers of one data set, (labels,), nan where one is not defined; missing cells are left out."""

    labels: tuple[str, ...]
    of: Callable[[Named], Array]


def mean(x: Array) -> Array:
    """The mean of every column.

    >>> mean(np.array([[1.0, 2.0], [3.0, np.nan]]))
    array([2., 2.])
    """
    count = (~np.isnan(x)).sum(0)
    return np.nansum(x, 0) / np.where(count, count, np.nan)


def sd(x: Array) -> Array:
    """The standard deviation of every column, with n in the denominator."""
    return np.sqrt(mean((x - mean(x)) ** 2))


def skew(x: Array) -> Array:
    """The third standardised moment of every column."""
    deviation = sd(x)
    return mean((x - mean(x)) ** 3) / np.where(deviation > 0, deviation, np.nan) ** 3


def least(x: Array) -> Array:
    """The smallest of every column."""
    return _finite(np.where(np.isnan(x), np.inf, x).min(0))


def largest(x: Array) -> Array:
    """The largest of every column."""
    return _finite(np.where(np.isnan(x), -np.inf, x).max(0))


def zeros(x: Array) -> Array:
    """The share of zeros of every column."""
    return mean(np.where(np.isnan(x), np.nan, x == 0))


def distinct(x: Array) -> Array:
    """How many different values every column has."""
    ordered = np.sort(x, 0)  # nan last, and different from all
    return (ordered[1:] > ordered[:-1]).sum(0) + (~np.isnan(x)).any(0).astype(float)


def correlations(x: Array) -> Array:
    """The correlation of every pair of columns, in the order of the upper triangle."""
    seen, z = ~np.isnan(x), np.nan_to_num(x - mean(x))
    squares = np.sqrt((z**2).T @ seen)
    below = squares * squares.T
    return ((z.T @ z) / np.where(below > 0, below, np.nan))[np.triu_indices(x.shape[1], 1)]


def common(x: Array) -> Array:
    """The share of the standardised columns' variance along their first principal component."""
    deviation = sd(x)
    z = np.nan_to_num((x - mean(x)) / np.where(deviation > 0, deviation, np.nan))
    squares = np.linalg.svd(z, compute_uv=False) ** 2
    total = squares.sum()
    return np.array([squares[0] / total if total > 0 else np.nan])


COLUMNS: dict[str, Callable[[Array], Array]] = {
    "mean": mean,
    "sd": sd,
    "min": least,
    "max": largest,
    "skew": skew,
    "zeros": zeros,
    "distinct": distinct,
}
BUILT_IN = (*COLUMNS, "shares", "correlation", "by class")
REAL, COUNTS = ("mean", "sd", "min", "max", "skew"), ("mean", "sd", "max", "zeros", "distinct")


def statistics_of(
    wanted: Iterable[str] | Mapping[str, Any] | None,
    values: Named,
    targets: Iterable[str],
    levels: Mapping[str, int],
    names: Names | None = None,
) -> list[Statistic]:
    """What to look at in ``values``, whose ``targets`` the model generates.

    Args:
        wanted: names of `BUILT_IN`, or name -> a function of variables by name; None for the default ones.
        values: by name, rows first, nan where a cell is missing; inputs too.
        targets: the variables that are replicated.
        levels: of those that are class codes.
        names: variable -> what its columns, or classes, are called.

    Raises:
        DataError: a statistic is not known, or is no function of these variables.
    """
    called_ = labels_of(values, targets, levels, names)
    if isinstance(wanted, Mapping):
        return [
            found
            for name, what in wanted.items()
            for found in (
                [_own(name, what, values, set(called_))]
                if callable(what)
                else _named([what], values, called_, levels)
            )
        ]
    chosen = BUILT_IN if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    return _named(chosen, values, called_, levels, default=wanted is None)


def _named(
    wanted: Iterable[Any],
    values: Named,
    labels: Mapping[str, list[str]],
    levels: Mapping[str, int],
    default: bool = False,
) -> list[Statistic]:
    found: list[Statistic] = []
    for what in wanted:
        if what not in BUILT_IN:
            hint = did_you_mean(str(what), BUILT_IN)
            raise DataError(
                f"statistics: expected some of {', '.join(BUILT_IN)}, or a mapping of names to functions "
                f"such as {{'median': lambda x: numpy.median(x)}}, got {what!r}.{hint}"
            )
        if what == "by class":
            found += _by_class(values, labels, levels)
            continue
        for name, of in labels.items():
            if name in levels:
                found += [_shares(name, of)] if what == "shares" else []
            elif what == "correlation":
                found += _correlation(name, of) if len(of) > 1 else []
            elif what != "shares" and (not default or what in _kind(values[name])):
                found.append(_of_columns(what, name, of))
    return found


def _kind(x: Array) -> tuple[str, ...]:
    """The statistics that suit the numbers of a variable: real, counts, or zeros and ones."""
    seen = x[~np.isnan(x)]
    if np.isin(seen, (0, 1)).all():
        return ("mean",)
    return COUNTS if (seen == seen.round()).all() and (seen >= 0).all() else REAL


def _flat(values: Named, name: str) -> Array:
    return values[name].reshape(len(values[name]), -1)


def _of_columns(what: str, name: str, labels: list[str]) -> Statistic:
    return Statistic(tuple(f"{what} of {label}" for label in labels), lambda v: COLUMNS[what](_flat(v, name)))


def _shares(name: str, labels: list[str]) -> Statistic:
    codes = np.arange(len(labels))

    def of(values: Named) -> Array:
        x = values[name][~np.isnan(values[name])]
        return (x[:, None] == codes).mean(0) if len(x) else np.full(len(codes), np.nan)

    return Statistic(tuple(f"share of {label}" for label in labels), of)


def _correlation(name: str, labels: list[str], within: str = "") -> list[Statistic]:
    """Of pairs of columns, or in one number; ``within`` classes, whose means are taken off first."""

    def centred(values: Named) -> Array:
        x = _flat(values, name)
        return _residuals(x, values[within]) if within else x

    where = f" within {within}" if within else ""
    if len(labels) > PAIRS:
        title = f"variance of {name} in one direction{where}"
        return [Statistic((title,), lambda v: common(centred(v)))]
    pairs = tuple(f"correlation of {a} and {b}{where}" for i, a in enumerate(labels) for b in labels[i + 1 :])
    return [Statistic(pairs, lambda v: correlations(centred(v)))]


def _by_class(values: Named, labels: Mapping[str, list[str]], levels: Mapping[str, int]) -> list[Statistic]:
    """Means and sds of columns in each class, correlations within classes, and of a target with inputs."""
    found = []
    inputs = [name for name, v in values.items() if name not in labels and v.ndim <= 2]
    for code, classes in ((name, labels[name]) for name in labels if name in levels):
        others = {name: of for name, of in labels.items() if name not in levels}
        others |= {name: _columns(name, values[name]) for name in inputs}
        for name, of in others.items():
            for what, function in ("mean", mean), ("sd", sd):
                if name in inputs and what == "sd":
                    continue
                sums = len(of) > WIDE
                titles = tuple(
                    f"{what} of {t} in {c}" for c in classes for t in ([f"the sum of {name}"] if sums else of)
                )
                settings: dict[str, Any] = {"name": name, "code": code, "classes": len(classes), "sums": sums}
                found.append(Statistic(titles, partial(_grouped, function=function, **settings)))
            if name not in inputs and len(of) > 1:
                found += _correlation(name, of, within=code)
    for name, of in labels.items():
        if name not in levels and len(of) == 1:
            found += [_with_input(name, of[0], other, _columns(other, values[other])) for other in inputs]
    return found


def _grouped(
    values: Named, name: str, code: str, classes: int, function: Callable[[Array], Array], sums: bool
) -> Array:
    x, y = _flat(values, name), values[code]
    x = mean(x.T)[:, None] * x.shape[1] if sums else x
    return np.concatenate(
        [function(x[y == k]) if (y == k).any() else np.full(x.shape[1], np.nan) for k in range(classes)]
    )


def _with_input(name: str, label: str, other: str, columns: list[str]) -> Statistic:
    def of(values: Named) -> Array:
        y, x = _flat(values, name), _flat(values, other)
        return np.concatenate([correlations(np.column_stack([y, column])) for column in x.T])

    return Statistic(tuple(f"correlation of {label} and {column}" for column in columns), of)


def _residuals(x: Array, y: Array) -> Array:
    """Each row less the mean of its class; rows without a class are left out."""
    kept = ~np.isnan(y)
    x, y = x[kept].copy(), y[kept]
    for k in np.unique(y):
        x[y == k] -= mean(x[y == k])
    return x


def _own(name: str, function: Callable[..., Any], values: Named, targets: Iterable[str]) -> Statistic:
    try:
        wanted = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):  # a built-in function without a signature
        wanted = []
    if not wanted or any(v not in values and v != GIVEN for v in wanted):
        some = ", ".join(list(values)[:2])
        raise DataError(
            f"statistics: {name!r} is to be a function of variables by name, such as lambda {some}: …, of "
            f"{', '.join(values)}; or of {GIVEN}, a mapping of all that the joint is given. Got "
            f"{called(function)} of {', '.join(wanted) or 'none'}"
        )

    def of(data: Named) -> Array:
        known = {GIVEN: {v: x for v, x in data.items() if v not in targets}, **data}
        return np.atleast_1d(np.asarray(function(**{v: known[v] for v in wanted}), dtype=float)).ravel()

    size = len(of(values))
    return Statistic((name,) if size == 1 else tuple(f"{name}[{i}]" for i in range(size)), of)


def _columns(name: str, x: Array) -> list[str]:
    return [name] if x.ndim == 1 else [f"{name}[{i}]" for i in range(x[0].size)]


def labels_of(
    values: Named, targets: Iterable[str], levels: Mapping[str, int], names: Names | None = None
) -> dict[str, list[str]]:
    """What the columns of each target are called, or its classes.

    Raises:
        DataError: the names given do not fit.
    """
    labels = {}
    for name in targets:
        own = (
            [f"{name} = {k}" for k in range(levels[name])] if name in levels else _columns(name, values[name])
        )
        labels[name] = [str(v) for v in (names or {}).get(name, own)]
        if len(labels[name]) != len(own):
            raise DataError(f"names: expected {len(own)} for {name!r}, got {len(labels[name])}")
    if unknown := sorted(set(names or {}) - set(labels)):
        raise DataError(f"names: expected variables {', '.join(labels)}, got {unknown[0]!r}")
    return labels


def _finite(x: Array) -> Array:
    return np.where(np.isfinite(x), x, np.nan)
