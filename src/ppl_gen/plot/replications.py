"""Data against what a model generates: their values, and statistics of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import BINS, Array, as_array, colour_of, new_panels, numbers, signed
from ppl_gen.plot.style import drawable, in_style
from ppl_gen.plot.trees import drawn, group_of, is_tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("bars", "density", "ecdf")
FEW = 30  # values, of whole numbers, that have a bar each
SHEETS = 12  # columns that have a panel each
LINES = 50  # replications drawn


@in_style
def statistics(names: Sequence[str], observed: Any, replicated: Any, *, columns: int = 3) -> "Figure":
    """Histograms of statistics over replications, and a line where the data have theirs: a panel each.

    Args:
        names: of the statistics.
        observed: of the data, (statistics,).
        replicated: (draws, statistics); what is not finite is left out.
        columns: panels in a row.

    Raises:
        DataError: the shapes do not fit.

    >>> figure = statistics(["max"], [4.0], np.arange(9.0)[:, None])
    >>> figure.axes[0].get_title("left")
    'max'
    """
    line, draws = numbers("observed", observed, 1), numbers("replicated", replicated, 2)
    if draws.shape[1:] != line.shape or len(names) != len(line):
        raise DataError(
            f"replicated: expected (draws, {len(names)}) and as many observed, got shapes {draws.shape} and "
            f"{line.shape}"
        )
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    figure, panels = new_panels(rows, columns, (2.5 * columns + 0.3, 1.75 * rows + 0.35))
    for ax, name, value, column in zip(panels, names, line, draws.T, strict=False):
        finite = column[np.isfinite(column)]
        if len(finite):
            low, high = np.quantile(finite, [0.005, 0.995])
            inside = finite[(finite >= low) & (finite <= high)]
            ax.hist(inside, bins=_bins(inside), color=colour_of(0), alpha=0.45, linewidth=0)
        ax.axvline(value, color=colour_of(1), linewidth=2.2)
        ax.set_title(_folded(drawable(name)), fontsize=9.5, fontweight="normal")
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.locator_params(axis="x", nbins=4)
        ax.xaxis.set_major_formatter(lambda value, _: signed(value, ".4g"))
    for ax in panels[len(names) :]:
        ax.remove()
    panels[0].set_label(f"statistics of the data among their replications: {', '.join(names)}")
    _legend(figure)
    return figure


@in_style
def replications(
    observed: Any,
    replicated: Any = None,
    *,
    kind: str | None = None,
    label: str = "",
    columns: Sequence[str] | None = None,
) -> "Figure":
    """The values of a variable in the data, and in data sets that a model generated: a panel each column.

    Args:
        observed: (n,) or (n, columns); nan is left out. Or a tree with the groups observed_data and
            posterior_predictive, as `to_arviz` gives, whose variable ``label`` is drawn.
        replicated: (replications, n), or (replications, n, columns).
        kind: "bars" of shares, with the central 90 % of replications; "density", smoothed; or "ecdf", the
            share of values at or below. By default bars for at most 30 whole numbers, else densities.
        label: what the variable is called.
        columns: what its columns are called.

    Raises:
        DataError: the shapes do not fit, or more than 12 panels would be drawn.

    >>> figure = replications([0, 1, 1], [[0, 0, 1], [1, 1, 1]], label="y")
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['0', '1']
    """
    if is_tree(observed):
        observed, replicated, label = _of_tree(observed, label)
    data = np.asarray(as_array(observed), dtype=float)
    new = np.asarray(as_array(replicated), dtype=float)
    if data.ndim < 1 or not data.size or new.ndim != data.ndim + 1 or new.shape[1:] != data.shape:
        raise DataError(
            f"replicated: expected (replications, {', '.join(map(str, data.shape))}), got shape {new.shape}"
        )
    if kind not in (None, *KINDS):
        raise DataError(f"kind: expected {', '.join(KINDS)} or None, got {kind!r}")
    data, new = data.reshape(len(data), -1), new.reshape(len(new), len(data), -1)[:LINES]
    named = list(columns) if columns is not None else _columns(label, data.shape[1])
    if len(named) != data.shape[1] or len(named) > SHEETS:
        raise DataError(
            f"columns: expected {data.shape[1]} names and at most {SHEETS} columns, got {len(named)}; pass "
            f"some of the columns"
        )
    width = min(3, len(named))
    rows = -(-len(named) // width)
    size = (4.4, 2.9) if len(named) == 1 else (2.5 * width + 0.3, 1.9 * rows + 0.4)
    figure, panels = new_panels(rows, width, size)
    for i, (ax, name) in enumerate(zip(panels, named, strict=False)):
        x, y = data[:, i], new[:, :, i]
        x = x[np.isfinite(x)]
        _draw(ax, x, [row[np.isfinite(row)] for row in y], kind or _kind(x, y))
        ax.set_xlabel(drawable(name))
    for ax in panels[len(named) :]:
        ax.remove()
    panels[0].set_label(f"{label or 'the data'} and {len(new)} replications")
    _legend(figure)
    return figure


def _of_tree(tree: Any, label: str) -> tuple[Array, Array, str]:
    found, predicted = group_of(tree, "observed_data"), group_of(tree, "posterior_predictive")
    if label and label not in found:
        raise DataError(f"label: expected {', '.join(map(str, found.data_vars))}, got {label!r}")
    label = label or str(next(iter(found.data_vars)))
    if label not in predicted:
        raise DataError(f"label: the tree's posterior_predictive has no {label!r}")
    return found[label].values, drawn(predicted[label]), label


def _kind(x: Array, y: Array) -> str:
    seen = np.concatenate([x, y[np.isfinite(y)]])
    return "bars" if (seen == seen.round()).all() and len(np.unique(seen)) <= FEW else "density"


def _draw(ax: "Axes", x: Array, drawn: list[Array], kind: str) -> None:
    if kind == "bars":
        values = np.unique(np.concatenate([x, *drawn]))
        ax.bar(values, _shares(x, values), width=0.6, color=colour_of(1), alpha=0.55, linewidth=0)
        each = np.array([_shares(row, values) for row in drawn])
        low, middle, high = np.quantile(each, [0.05, 0.5, 0.95], axis=0)
        ends, look = np.stack([middle - low, high - middle]), {"markersize": 4.0, "elinewidth": 1.4}
        ax.errorbar(values, middle, ends, fmt="o", color=colour_of(0), capsize=2, **look)  # type: ignore[arg-type]
        ax.set_xticks(values[:: 1 + len(values) // 8])
        ax.xaxis.set_major_formatter(lambda value, _: signed(value, "g"))
        ax.set_ylabel("share")
        return
    every = np.concatenate(drawn)
    low, high = np.quantile(every, [0.005, 0.995])
    low, high = min(low, x.min()), max(high, x.max())
    wide = (x.std() or 1.0) * len(x) ** -0.2  # one bandwidth for all, Scott's for the data: like with like
    grid = np.linspace(low - 2 * wide, high + 2 * wide, BINS)
    if kind == "ecdf":
        for row in drawn:
            ax.plot(grid, _below(row, grid), color=colour_of(0), alpha=0.3, linewidth=0.8)
        ax.plot(grid, _below(x, grid), color=colour_of(1), linewidth=2.2)
        ax.set_ylabel("share at or below")
        return
    for row in drawn:
        ax.plot(grid, _smooth(row, grid, wide), color=colour_of(0), alpha=0.3, linewidth=0.8)
    ax.plot(grid, _smooth(x, grid, wide), color=colour_of(1), linewidth=2.2)
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.set_ylabel("density")


def _shares(x: Array, values: Array) -> Array:
    shares: Array = (x[:, None] == values).mean(0)
    return shares


def _below(x: Array, grid: Array) -> Array:
    return np.searchsorted(np.sort(x), grid, side="right") / len(x)


def _smooth(x: Array, grid: Array, wide: float) -> Array:
    kernels = np.exp(-0.5 * ((grid[:, None] - x) / wide) ** 2)
    density: Array = kernels.mean(1) / (wide * np.sqrt(2 * np.pi))
    return density


def _bins(values: Array) -> Any:
    """Whole numbers have a bin each, if they are few."""
    if not len(values) or np.ptp(values) == 0:
        middle = values[0] if len(values) else 0.0
        return [middle - 0.5, middle + 0.5]
    whole = (values == values.round()).all() and np.ptp(values) <= 2 * FEW
    return np.arange(values.min() - 0.5, values.max() + 1.5) if whole else 25


def _columns(label: str, count: int) -> list[str]:
    return [label] if count == 1 else [f"{label}[{i}]" for i in range(count)]


def _folded(name: str) -> str:
    """On two lines where it is long."""
    middle = name.find(" ", len(name) // 2)
    return f"{name[:middle]}\n{name[middle + 1 :]}" if len(name) > 26 and middle > 0 else name


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colour_of(i), linewidth=2.2 - 0.6 * (i == 0)) for i in (1, 0)]
    figure.legend(lines, ["data", "replications"], loc="outside upper left", ncols=2)
