"""Curves: a bound step by step, and a score against the number of training rows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import BINS, DASHES, Array, axes, colour_of, nats, numbers, signed
from ppl_gen.plot.style import MARKERS, PALETTE, in_style
from ppl_gen.plot.trees import group_of, is_tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@in_style
def elbo(history: Any, *, log_evidence: float | None = None, ax: "Axes | None" = None) -> "Axes":
    """The evidence lower bound, step by step: the running mean as a line, nine steps in ten as a band.

    The vertical axis shows the end of the climb; where it began is written down if it lies far below.

    Args:
        history: the bound in nats, one number for each step; or a tree of `to_arviz`, whose sample_stats
            have it as elbo.
        log_evidence: where it is known exactly: the height that no bound can pass, on average.

    Raises:
        DataError: no finite number to draw; or the tree has no history.

    >>> elbo([-9.0, -5.0, -4.0], log_evidence=-3.5).get_ylabel()
    'ELBO (nats)'
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    if is_tree(history):
        stats = group_of(history, "sample_stats")
        if "elbo" not in stats:
            raise DataError(
                "history: the tree's sample_stats have no elbo: trees of SVI have it, of bare Pyro "
                "to_arviz(svi, model, data, elbo=history)"
            )
        history = stats["elbo"].values
    values = numbers("history", history, 1)
    steps = np.flatnonzero(np.isfinite(values))
    if not len(steps):
        raise DataError("history: expected at least one finite number, got none")
    values = values[steps]
    ax = axes(ax)
    parts = np.array_split(np.arange(len(steps)), min(BINS, len(steps)))
    x = np.array([steps[part].mean() + 1 for part in parts])
    mean = np.array([values[part].mean() for part in parts])
    low, high = (np.array([np.quantile(values[part], q) for part in parts]) for q in (0.05, 0.95))
    ax.fill_between(x, low, high, color=PALETTE[0], alpha=0.25, linewidth=0)
    ax.plot(x, mean, color=PALETTE[0], marker="o" if len(x) == 1 else None, markersize=5)
    ends = [high.max()] if log_evidence is None else [high.max(), log_evidence]
    late = low[len(low) // 10 :]
    bottom, top = min(late.min(), *ends), max(ends)
    margin = 0.08 * (top - bottom) or 0.05 * abs(top) or 1.0
    floor = bottom
    if mean[0] < bottom - margin:  # on a strip that the late curve never enters
        floor -= margin
        ax.annotate(
            f"from {nats(values[0])} at step {steps[0] + 1}",
            (0.99, 0.03),
            xycoords="axes fraction",
            ha="right",
            alpha=0.8,
        )
    ax.set_ylim(floor - margin, top + 2 * margin)
    clear = [height for height in ax.get_yticks() if bottom <= height <= top]
    if len(clear) > 1:  # no line of the grid through the words above and below
        ax.set_yticks(clear)
    if log_evidence is not None:
        ax.axhline(log_evidence, color=PALETTE[1], linewidth=1.4)
        ax.annotate(
            f"log evidence {nats(log_evidence)}",
            (1, log_evidence),
            (0, 3),
            textcoords="offset points",
            xycoords=ax.get_yaxis_transform(),
            ha="right",
            va="bottom",
            color=PALETTE[1],
        )
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True) if len(x) > 1 else FixedLocator(list(x)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: signed(value)))
    ax.set_label("evidence lower bound of each step")
    ax.set_xlabel("step")
    ax.set_ylabel("ELBO (nats)")
    return ax


@in_style
def learning_curves(
    sizes: Any,
    curves: Mapping[str, Any],
    *,
    ylabel: str,
    crossing: tuple[float, float, float] | None = None,
    percent: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """A score against the number of training rows: means over repeats, with 95 % intervals of the mean.

    The vertical axis holds every mean, and the bands from the second of three sizes or more on: that of the
    smallest, often wide enough to flatten all else, may run off it. Bands of models that saw the same rows
    may overlap where one is ahead: that is told by paired differences.

    Args:
        sizes: training rows, (sizes,).
        curves: name -> scores (repeats, sizes). One repeat has no interval.
        ylabel: the score and its unit.
        crossing: the rows where two curves cross, and the ends of its interval: a line and a shade.
        percent: whether the scores are shares, to be shown in per cent.

    Raises:
        DataError: a curve does not fit the sizes.

    >>> ax = learning_curves([10, 100], {"naive Bayes": [[.5, .3], [.4, .3]]}, ylabel="test error")
    >>> [text.get_text() for text in ax.texts]
    ['naive Bayes']
    """
    from matplotlib.ticker import FixedLocator, NullLocator
    from scipy.stats import t

    x = numbers("sizes", sizes, 1)
    ax = axes(ax)
    ends, heights = [], []
    from_second = slice(int(len(x) > 2), None)
    for i, (name, scores) in enumerate(curves.items()):
        y = numbers(name, scores, 2)
        if y.shape[1:] != x.shape or not len(y):
            raise DataError(f"{name}: expected scores (repeats, {len(x)}), got shape {y.shape}")
        mean = y.mean(0)
        heights.append(mean)
        if len(y) > 1:
            half = t.ppf(0.975, len(y) - 1) * y.std(0, ddof=1) / np.sqrt(len(y))
            ax.fill_between(x, mean - half, mean + half, color=colour_of(i), alpha=0.2, linewidth=0)
            heights += [(mean - half)[from_second], (mean + half)[from_second]]
        ax.plot(x, mean, color=colour_of(i), marker=MARKERS[i % len(MARKERS)], markersize=4.5)
        ends.append((float(mean[-1]), name, colour_of(i)))
    if crossing is not None:
        at, low, high = crossing
        ax.axvspan(low, high, color=PALETTE[-1], alpha=0.15, linewidth=0)
        ax.axvline(at, color=PALETTE[-1], linewidth=1.2, linestyle=DASHES[2])
        ax.annotate(
            f"cross at {at:,.0f}",
            (at, 1),
            (4, -2),
            textcoords="offset points",
            xycoords=ax.get_xaxis_transform(),
            va="top",
            color=PALETTE[-1],
        )
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(FixedLocator(list(_apart(x))))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    low, high = np.concatenate(heights).min(), np.concatenate(heights).max()
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    ax.set_ylim(low - margin, high + margin)
    if percent:
        ax.yaxis.set_major_formatter(lambda value, _: f"{signed(100 * value, '.6g')}\u00a0%")
    _label_ends(ax, ends)
    ax.set_label(f"learning curves of {', '.join(curves)}")
    ax.set_xlabel("training rows")
    ax.set_ylabel(ylabel)
    return ax


def _apart(sizes: Array) -> Array:
    """Sizes far enough apart on a log scale for their numbers to stand side by side, with the last one."""
    kept = [sizes[-1]]
    for size in sizes[-2::-1]:
        if abs(np.log(kept[-1] / size)) > np.log(sizes.max() / sizes.min()) / 8:
            kept.append(size)
    return np.array(kept[::-1])


def _label_ends(ax: "Axes", ends: list[tuple[float, str, str]]) -> None:
    """Names at the right ends of lines, pushed apart where they would overlap."""
    low, high = ax.get_ylim()
    step = (high - low) / 14
    heights: list[float] = []
    for height, _, _ in sorted(ends):
        heights.append(max(height, heights[-1] + step) if heights else height)
    for height, (_, name, colour) in zip(heights, sorted(ends), strict=True):
        ax.annotate(
            name,
            (1.01, height),
            xycoords=ax.get_yaxis_transform(),
            va="center",
            color=colour,
            fontweight="bold",
        )
