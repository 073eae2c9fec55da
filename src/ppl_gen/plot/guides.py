"""Figures of approximate posteriors: k-hat, intervals of parameters, pairs. Each takes arrays or trees."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.draws import elements_of
from ppl_gen.plot.shared import as_array, axes, colour_of, new_panels, numbers, signed
from ppl_gen.plot.style import MARKERS, drawable, in_style
from ppl_gen.plot.trees import drawn, group_of, is_tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXACT = -0.5  # where a k-hat of minus infinity is drawn
MOST_SHOWN = 3.0  # of many k-hats: those beyond stand in the last bar
LEVELS = (0.5, 0.9)  # of the thick and the thin intervals
VECTORS = 300  # points of a panel, beyond which a page holds them as a picture
MOST = 6  # parameters whose pairs can be told apart on one figure


@in_style
def k_hat(values: Any, *, threshold: float = 0.7, interval: Any = None, ax: "Axes | None" = None) -> "Axes":
    """k-hat of importance weights with its range, or of every row's: what lies to the right is not trusted.

    Args:
        values: one number, or one for each row (n,); -inf, of equal weights, stands at the left as "exact".
            Or a tree of `to_arviz`: that of log p - log q in its sample_stats.
        threshold: up to which averages can be trusted.
        interval: (low, high) about a single one.

    >>> k_hat([0.2, 0.5, 0.9], threshold=0.67).get_xlabel()
    'k-hat'
    """
    if is_tree(values):
        values = _k_hat_of(values)
    k = np.atleast_1d(numbers("values", np.atleast_1d(as_array(values)), 1))
    if np.isnan(k).any():
        raise DataError("values: expected k-hats, got nan: too few draws to fit a tail")
    most = np.inf if len(k) == 1 else MOST_SHOWN  # a single one is drawn where it lies
    exact, shown = np.isneginf(k), np.where(np.isneginf(k), EXACT, np.clip(k, 0.7 * EXACT, most))
    ax = axes(ax, (5.0, 1.7 if len(k) == 1 else 2.9))
    ends = [float(shown.max()), *(() if interval is None else (float(interval[1]),))]
    right = max(1.2, 1.05 * max(end for end in ends if np.isfinite(end)) + 0.1)
    left = min(-0.1, float(shown.min()) - 0.15)
    bad = k > threshold
    if len(k) == 1:
        if interval is not None and np.isfinite(interval).all():
            ax.plot(list(interval), [0, 0], color=colour_of(3 if bad[0] else 0), linewidth=4, alpha=0.35)
        ax.plot(shown, [0], MARKERS[1 if bad[0] else 0], color=colour_of(3 if bad[0] else 0), markersize=9)
        text = "exact" if exact[0] else signed(float(k[0]), ".2f")
        ax.annotate(text, (float(shown[0]), 0), (0, 11), textcoords="offset points", ha="center")
        ax.set_ylim(-0.5, 0.8)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    else:
        edges = np.linspace(left, right, 31).tolist()
        both, colours = [shown[~bad], shown[bad]], [colour_of(0), colour_of(3)]
        ax.hist(both, edges, stacked=True, color=colours, rwidth=0.92)
        ax.set_ylabel("rows")
    ax.axvline(threshold, color=colour_of(1), linewidth=1.4)
    above = f", {bad.mean():.0%} of rows above" if len(k) > 1 else ""
    if len(k) > 1:  # room for the words above the bars
        ax.set_ylim(top=1.15 * ax.get_ylim()[1])
    beside = threshold - left < 0.4 * (right - left)  # too near the edge for words
    ax.annotate(
        f"trusted up to {signed(threshold, '.2f')}{above}",
        (threshold, 1.0),
        (4 if beside else -4, -2),
        textcoords="offset points",
        xycoords=ax.get_xaxis_transform(),
        ha="left" if beside else "right",
        va="top",
        color=colour_of(1),
    )
    ax.set_xlim(left, right)
    if exact.any():
        ax.set_xticks([EXACT, *[t for t in ax.get_xticks() if t >= 0]])
    ax.xaxis.set_major_formatter(lambda value, _: "exact" if value == EXACT else signed(value, ".2g"))
    ax.set_xlabel("k-hat")
    ax.set_label("k-hat of importance weights")
    return ax


@in_style
def forest(draws: Any, *, weights: Mapping[str, Any] | None = None, most: int = 20) -> "Figure":
    """Intervals of every parameter, one method beside the other: half of the draws in the thick line, 90 % in
    the thin, the mean as the mark. Parameters of several methods lie in sds of the first about its mean.

    Args:
        draws: method -> its draws: a mapping name -> (draws, …), or a tree with a posterior group. Or such a
            tree alone.
        weights: method -> of its draws (draws,), where they are not equal.
        most: parameters shown, the first ones.

    >>> forest({"guide": {"w": [1.0, 2.0, 3.0]}, "NUTS": {"w": [0.0, 2.0, 4.0]}}).axes[0].get_xlabel()
    'sds of guide from its mean'
    """
    methods = {"draws": draws} if is_tree(draws) else draws
    found = {method: elements_of(method, values) for method, values in methods.items()}
    if not found or not next(iter(found.values())):
        raise DataError("draws: expected methods with draws of at least one parameter, got none")
    first = next(iter(found))
    names = list(found[first])[:most]
    figure, (ax,) = new_panels(1, 1, (5.6, 0.9 + (0.22 + 0.16 * len(found)) * len(names)))
    alone, reach = len(found) == 1, 3.0
    limit = np.inf if alone else 50.0
    for i, (method, elements) in enumerate(found.items()):
        own = (weights or {}).get(method)
        w = None if own is None else np.asarray(as_array(own), dtype=float)
        for row, name in enumerate(names):
            if name not in elements:
                continue
            centre, spread = found[first][name].mean(), max(float(found[first][name].std()), 1e-12)
            z = elements[name] if alone else (elements[name] - centre) / spread
            y = row + 0.2 * (i - (len(found) - 1) / 2)
            ends = [[(1 - level) / 2, (1 + level) / 2] for level in LEVELS]
            for q, width in zip(ends, (3.5, 1.2), strict=True):
                interval = np.clip(_quantiles(z, w, q), -limit, limit)
                reach = max(reach, 1.05 * float(abs(interval).max()))
                ax.plot(interval, [y, y], color=colour_of(i), linewidth=width)
            mean = float(np.average(z, weights=w))
            look: dict[str, Any] = {"color": colour_of(i), "markersize": 5}
            ax.plot([mean], [y], MARKERS[i % len(MARKERS)], label=method if row == 0 else None, **look)
    ax.set_yticks(range(len(names)), [drawable(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    if alone:
        ax.set_xlabel("value")
    else:
        ax.set_xlim(-reach, reach)
        ax.set_xlabel(f"sds of {drawable(first)} from its mean")
    ax.set_label(f"intervals of {', '.join(names)}")
    if len(found) > 1:
        figure.legend(loc="outside upper left", ncols=len(found))
    return figure


@in_style
def pair(draws: Any, *, weights: Any = None, names: Any = None) -> "Figure":
    """Parameters two by two: the draws, and over them as many drawn again by their importance weights.

    Where the two clouds differ, the guide is not the posterior. On the diagonal stand the densities.

    Args:
        draws: a mapping name -> (draws, …), or a tree with a posterior group.
        weights: of the draws (draws,), normalised or not.
        names: which elements, such as ["mu", "w[0]"]; by default the first six.

    >>> len(pair({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.5]}).axes)
    4
    """
    elements = elements_of("draws", draws)
    chosen = list(elements)[:MOST] if names is None else list(names)
    for name in chosen:
        if name not in elements:
            raise DataError(f"names: {name!r} is none of {', '.join(elements)}")
    counts = {name: len(elements[name]) for name in chosen}
    if len(set(counts.values())) != 1:
        told = ", ".join(f"{count} of {name}" for name, count in counts.items()) or "none"
        raise DataError(f"draws: expected as many of each parameter, drawn together, got {told}")
    values = np.stack([elements[name] for name in chosen], 1)
    again = None
    if weights is not None:
        w = numbers("weights", weights, 1)
        if len(w) != len(values) or not (w >= 0).all() or not 0 < w.sum() < np.inf:
            raise DataError(f"weights: expected {len(values)} numbers from 0 up, got shape {w.shape}")
        places = (np.arange(len(w)) + 0.5) / len(w)  # systematic resampling, which draws no random number
        again = values[np.searchsorted(np.cumsum(w / w.sum()), places).clip(max=len(w) - 1)]
    size = len(chosen)
    figure, panels = new_panels(size, size, (1.5 * size + 0.8, 1.35 * size + 0.8))
    sets = [(values, 0, "guide")] + ([] if again is None else [(again, 1, "weighted")])
    for row in range(size):
        for column in range(size):
            ax = panels[row * size + column]
            if column > row:
                ax.set_axis_off()
                continue
            for points, i, label in sets:
                if row == column:
                    low, high = values[:, row].min(), values[:, row].max()
                    edges = np.linspace(low, high if high > low else low + 1, 25).tolist()
                    ax.hist(
                        points[:, row], edges, histtype="step", color=colour_of(i), label=label, linewidth=1.5
                    )
                    ax.set_yticks([])
                else:
                    look: dict[str, Any] = {"s": 7, "alpha": 0.35, "linewidths": 0, "marker": MARKERS[i]}
                    look["rasterized"] = len(points) > VECTORS
                    ax.scatter(points[:, column], points[:, row], color=colour_of(i), **look)
            ax.locator_params(nbins=3)
            ax.set_xlabel(drawable(chosen[column]) if row == size - 1 else "")
            ax.set_ylabel(drawable(chosen[row]) if column == 0 and row else "")
            ax.tick_params(labelbottom=row == size - 1, labelleft=column == 0 and row > 0)
    handles, labels = panels[0].get_legend_handles_labels()
    if again is not None:
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    panels[0].set_label(f"pairs of {', '.join(chosen)}")
    return figure


def _quantiles(values: Any, weights: Any, at: list[float]) -> Any:
    if weights is None:
        return np.quantile(values, at)
    order = np.argsort(values)
    total = np.cumsum(weights[order]) / weights.sum()
    return np.interp(at, total - 0.5 * weights[order] / weights.sum(), values[order])


def _k_hat_of(tree: Any) -> float:
    """Of a guide's draws; the module that computes it is loaded only here."""
    import torch

    from ppl_gen.pareto import pareto_k

    stats = group_of(tree, "sample_stats")
    for name in ("log_p", "log_q"):
        if name not in stats:
            raise DataError(
                f"values: the tree's sample_stats have no {name}: only draws of a guide, made on the rows "
                f"that were fitted, have weights"
            )
    if "log_prior" not in tree.children:
        raise DataError(
            "values: expected the group log_prior, without which each row has weights of its own: "
            "guide_quality(posterior).rows are their k-hats"
        )
    return float(pareto_k(torch.as_tensor(drawn(stats["log_p"] - stats["log_q"])).double()[:, None]))
