"""The figures. Each draws on ``ax``, or on a new figure in the look of `style`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ppl_gen.calibration import calibration_curve
from ppl_gen.errors import DataError
from ppl_gen.plot.style import MARKERS, PALETTE, drawable, in_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
BINS = 120  # points of a long curve: more cannot be seen
# Curves that lie on one another stay visible.
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), "-.")


@in_style
def elbo(history: Any, *, log_evidence: float | None = None, ax: "Axes | None" = None) -> "Axes":
    """The evidence lower bound, step by step: the running mean as a line, nine steps in ten as a band.

    The vertical axis shows the end of the climb; where it began is written down if it lies far below.

    Args:
        history: the bound in nats, one number for each step.
        log_evidence: where it is known exactly: the height that no bound can pass, on average.

    Raises:
        DataError: no finite number to draw.

    >>> elbo([-9.0, -5.0, -4.0], log_evidence=-3.5).get_ylabel()
    'ELBO (nats)'
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    values = _numbers("history", history, 1)
    steps = np.flatnonzero(np.isfinite(values))
    if not len(steps):
        raise DataError("history: expected at least one finite number, got none")
    values = values[steps]
    ax = _axes(ax)
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
            f"from {_nats(values[0])} at step {steps[0] + 1}",
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
            f"log evidence {_nats(log_evidence)}",
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
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    ax.set_label("evidence lower bound of each step")
    ax.set_xlabel("step")
    ax.set_ylabel("ELBO (nats)")
    return ax


@in_style
def images(
    grid: Any, *, shape: tuple[int, int] = (8, 8), columns: int = 8, ax: "Axes | None" = None
) -> "Axes":
    """Rows of pixels as pictures, side by side on one scale of grey.

    Args:
        grid: (pictures, pixels) or (pictures, height, width).
        shape: height and width of one picture.
        columns: pictures in a row.

    Raises:
        DataError: the pixels do not fill the shape.

    >>> images(np.eye(4).reshape(1, 16), shape=(4, 4)).images[0].get_array().shape
    (4, 4)
    """
    pixels = np.asarray(_array(grid), dtype=float)
    height, width = shape
    if pixels.ndim < 2 or pixels[0].size != height * width or columns < 1:
        raise DataError(
            f"grid: expected pictures of {height} × {width} pixels in 1 column or more, got shape "
            f"{pixels.shape} in {columns}"
        )
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    gap = 1
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, picture in enumerate(pixels.reshape(-1, height, width)):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    ax = _axes(ax, (0.55 * columns + 0.2, 0.55 * rows * height / width + 0.2))
    ax.imshow(sheet, cmap="gray" if _is_dark(ax) else "gray_r", interpolation="nearest")
    ax.set_label(f"{len(pixels)} pictures of {height} × {width} pixels")
    ax.set_axis_off()
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

    x = _numbers("sizes", sizes, 1)
    ax = _axes(ax)
    ends, heights = [], []
    from_second = slice(int(len(x) > 2), None)
    for i, (name, scores) in enumerate(curves.items()):
        y = _numbers(name, scores, 2)
        if y.shape[1:] != x.shape or not len(y):
            raise DataError(f"{name}: expected scores (repeats, {len(x)}), got shape {y.shape}")
        mean = y.mean(0)
        heights.append(mean)
        if len(y) > 1:
            half = t.ppf(0.975, len(y) - 1) * y.std(0, ddof=1) / np.sqrt(len(y))
            ax.fill_between(x, mean - half, mean + half, color=_colour(i), alpha=0.2, linewidth=0)
            heights += [(mean - half)[from_second], (mean + half)[from_second]]
        ax.plot(x, mean, color=_colour(i), marker=MARKERS[i % len(MARKERS)], markersize=4.5)
        ends.append((float(mean[-1]), name, _colour(i)))
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
        ax.yaxis.set_major_formatter(lambda value, _: f"{_number(100 * value, '.6g')}\u00a0%")
    _label_ends(ax, ends)
    ax.set_label(f"learning curves of {', '.join(curves)}")
    ax.set_xlabel("training rows")
    ax.set_ylabel(ylabel)
    return ax


@in_style
def calibration(
    probs: Any, y: Any, *, bins: int = 10, of: int | None = None, ax: "Axes | None" = None
) -> "Axes":
    """A reliability diagram: how often it came true against the probability it was given.

    On the diagonal a model is calibrated. Of the class decided for, the default with ``probs`` (n, classes),
    it is too sure below the diagonal; of one class, or one event, it is too sure where the curve is flatter
    than the diagonal. The bars are 95 % intervals of each bin; one in twenty misses the diagonal by chance.
    The axes show the tenths from the lowest to the highest of all that is drawn.

    Args:
        probs, y, bins, of: as for `ppl_gen.calibration_curve`; or a mapping of names to ``probs``, to compare
            several models on the same rows.

    Raises:
        DataError: the shapes or values do not fit.

    >>> ax = calibration([0.2] * 5 + [0.9] * 2, [0, 0, 1, 0, 0, 1, 1], bins=2)
    >>> ax.get_xlabel(), [text.get_text() for text in ax.texts]
    ('predicted probability', ['expected calibration error 0.029'])
    """
    several = probs if isinstance(probs, Mapping) else {"": probs}
    ax = _axes(ax, (4.4, 4.2))
    ends_of_axes = [1.0, 0.0]
    ax.plot([0, 1], [0, 1], color=PALETTE[-1], linewidth=1.0, linestyle=DASHES[2])
    for i, (name, values) in enumerate(several.items()):
        curve = calibration_curve(values, y, bins=bins, of=of)
        ends = np.stack([curve.observed - curve.low, curve.high - curve.observed])
        look: Any = {"color": _colour(i), "marker": MARKERS[i % len(MARKERS)], "markersize": 4.5}
        ax.errorbar(curve.predicted, curve.observed, ends, elinewidth=1.0, capsize=2, **look)
        drawn = np.concatenate([curve.predicted, curve.low, curve.high])
        ends_of_axes = [min(ends_of_axes[0], drawn.min()), max(ends_of_axes[1], drawn.max())]
        said = f"{name + ', ' if name else ''}expected calibration error {curve.error:.3f}"
        height = 1.02 + 0.075 * (len(several) - 1 - i)  # above the axes, where no curve is
        ax.annotate(said, (0, height), xycoords="axes fraction", va="bottom", color=_colour(i))
    low, high = np.floor(10 * ends_of_axes[0]) / 10, np.ceil(10 * ends_of_axes[1]) / 10
    margin = 0.02 * (high - low)
    ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    ax.set_aspect("equal")
    ax.set_label(f"calibration{' of ' + ', '.join(several) if '' not in several else ''}")
    ax.set_xlabel("predicted probability")
    ax.set_ylabel("observed frequency")
    return ax


@in_style
def log_odds(
    names: Sequence[str], values: Any, *, label: str = "log odds (nats)", ax: "Axes | None" = None
) -> "Axes":
    """What each feature says for a class, as bars from the strongest down: right of zero for, left against.

    Args:
        names: of the features, such as ``Explanation.features``.
        values: their log odds (features,).
        label: of the axis.

    Raises:
        DataError: names and values do not match.

    >>> log_odds(["fever", "cough"], [2.1, -0.2]).get_yticklabels()[0].get_text()
    'fever'
    """
    odds = _numbers("values", values, 1)
    if len(names) != len(odds) or not len(odds):
        raise DataError(f"values: expected one for each of {len(names)} names, got {len(odds)}")
    ax = _axes(ax, (5.0, 0.6 + 0.26 * len(odds)))
    places = np.arange(len(odds))
    ax.barh(places, odds, color=[_colour(0) if v >= 0 else _colour(1) for v in odds], height=0.7)
    ax.axvline(0, color=ax.spines["left"].get_edgecolor(), linewidth=0.8)
    ax.set_yticks(places, [drawable(name) for name in names])
    ax.set_ylim(len(odds) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_label("log odds of each feature")
    ax.set_xlabel(label)
    return ax


@in_style
def densities(
    draws: Mapping[str, Any], *, parameters: Sequence[str] | None = None, columns: int = 3
) -> "Figure":
    """The posterior of a few parameters as several methods find it: one panel each, smoothed draws.

    Args:
        draws: method -> its draws: a mapping from parameter to an array (draws, …), or a tree of `to_arviz`.
        parameters: which, by name; elements as ``"mu[0, 1]"``. All by default.
        columns: panels in a row.

    Raises:
        DataError: a method lacks a parameter; nothing or more than 24 panels to draw.

    >>> rng = np.random.default_rng(0)
    >>> figure = densities({"exact": {"w": rng.normal(size=(99, 2))}, "SVI": {"w": rng.normal(size=(99, 2))}})
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['w[0]', 'w[1]']
    """
    found = {method: _elements(method, values) for method, values in draws.items()}
    every = list(dict.fromkeys(name for elements in found.values() for name in elements))
    wanted = (
        every
        if parameters is None
        else [
            name
            for p in parameters
            for name in ([e for e in every if e == p or e.startswith(f"{p}[")] or [p])
        ]
    )
    for method, elements in found.items():
        if lacking := [name for name in wanted if name not in elements]:
            raise DataError(f"{method}: expected draws of {lacking[0]!r}, got {', '.join(elements)}")
    if not 1 <= len(wanted) <= 24:
        raise DataError(f"parameters: expected 1 to 24 to draw, got {len(wanted)}; choose some by name")
    columns = min(columns, len(wanted))
    rows = -(-len(wanted) // columns)
    figure, panels = _panels(rows, columns)
    for ax, name in zip(panels, wanted, strict=False):
        for i, (method, elements) in enumerate(found.items()):
            _density(ax, elements[name], method, color=_colour(i), linestyle=DASHES[i % len(DASHES)])
        ax.set_xlabel(name)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_ylim(bottom=0)
    for ax in panels[len(wanted) :]:
        ax.remove()
    panels[0].set_label(f"densities of draws by {', '.join(found)}")
    panels[0].set_ylabel("density")
    if len(found) > 1:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


@in_style
def latent(
    z: Any, labels: Any = None, *, names: Sequence[str] | None = None, ax: "Axes | None" = None
) -> "Axes":
    """The rows' latent codes as points, coloured by label.

    Codes of more than two dimensions are seen along their two principal components.

    Args:
        z: (rows, dimensions).
        labels: a whole number for each row; none by default.
        names: what the labels 0, 1, … are called.

    Raises:
        DataError: rows and labels do not match.

    >>> latent(np.eye(3), [0, 0, 1]).get_xlabel()
    'principal component 1 of z'
    """
    z = _numbers("z", z, 2)
    what = [f"z[{i}]" for i in range(z.shape[1])]
    if z.shape[1] > 2:
        z = z - z.mean(0)
        z = z @ np.linalg.svd(z, full_matrices=False)[2][:2].T
        what = [f"principal component {i} of z" for i in (1, 2)]
    if z.shape[1] == 1:  # the second axis then only keeps the points apart
        z, what = np.column_stack([z, np.arange(len(z))]), [*what, "row"]
    kinds = np.zeros(len(z), int) if labels is None else np.asarray(_array(labels)).astype(int)
    if kinds.shape != (len(z),):
        raise DataError(f"labels: expected {len(z)}, one for each row of z, got shape {kinds.shape}")
    ax = _axes(ax, (4.4, 3.8))
    size = float(np.clip(4000 / max(len(z), 1), 5, 30))
    for i, kind in enumerate(np.unique(kinds)):
        points = z[kinds == kind]
        # Ten classes and seven colours: the markers of a second round differ in shape.
        marker = MARKERS[(i // len(PALETTE)) % len(MARKERS)]
        ax.scatter(
            points[:, 0], points[:, 1], s=size, color=_colour(i), marker=marker, alpha=0.65, linewidths=0
        )
        if labels is not None:
            _sign(
                ax,
                drawable(names[kind]) if names is not None else str(kind),
                np.median(points, 0),
                _colour(i),
            )
    ax.set_label(f"codes of {len(z)} rows")
    ax.set_xlabel(what[0])
    ax.set_ylabel(what[1])
    return ax


# What the figures share -------------------------------------------------------------------------------------


def _array(values: Any) -> Any:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _numbers(name: str, values: Any, dimensions: int) -> Array:
    array = np.asarray(_array(values), dtype=float)
    if array.ndim != dimensions or not array.size:
        raise DataError(f"{name}: expected numbers in {dimensions} dimension(s), got shape {array.shape}")
    return array


def _axes(ax: "Axes | None", size: tuple[float, float] | None = None) -> "Axes":
    return ax if ax is not None else _panels(1, 1, size)[1][0]


def _panels(rows: int, columns: int, size: tuple[float, float] | None = None) -> "tuple[Figure, list[Axes]]":
    import matplotlib.pyplot as plt

    size = size or ((2.1 * columns + 0.4, 1.7 * rows + 0.5) if rows * columns > 1 else (5.0, 3.2))
    figure, panels = plt.subplots(rows, columns, figsize=size, squeeze=False)
    return figure, list(panels.flat)


def _colour(i: int) -> str:
    return PALETTE[i % len(PALETTE)]


def _number(value: float, form: str = ",.10g") -> str:
    """With a true minus sign, and thousands apart."""
    return f"{value:{form}}".replace("-", "−")


def _nats(value: float) -> str:
    return f"{_number(value, ',.1f')} nats"


def _is_dark(ax: "Axes") -> bool:
    from matplotlib.colors import to_rgb

    return sum(to_rgb(ax.figure.get_facecolor())) < 1.5


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


def _sign(ax: "Axes", text: str, place: Array, colour: str) -> None:
    """White on its colour: to be read on top of points, on light and dark pages."""
    box = {"boxstyle": "round,pad=0.2", "facecolor": colour, "edgecolor": "none"}
    where = (float(place[0]), float(place[1]))
    ax.annotate(text, where, ha="center", va="center", color="white", fontweight="bold", bbox=box)


def _elements(method: str, draws: Any) -> dict[str, Array]:
    """Every scalar of a method's draws: "mu[0, 1]" -> (draws,)."""
    groups = getattr(draws, "children", {})
    if "posterior" in groups:  # chain and draw come first, and become one
        draws = {k: v.values.reshape(-1, *v.shape[2:]) for k, v in draws["posterior"].data_vars.items()}
    found = {}
    for name, values in draws.items():
        array = np.asarray(_array(values), dtype=float)
        if array.ndim < 1 or not np.isfinite(array).all():
            raise DataError(f"{method}, {name}: expected finite draws (draws, …), got shape {array.shape}")
        for index in np.ndindex(array.shape[1:]):
            found[f"{name}[{', '.join(map(str, index))}]" if index else name] = array[(slice(None), *index)]
    return found


def _density(ax: "Axes", draws: Array, label: str, **look: Any) -> None:
    from scipy.stats import gaussian_kde

    if np.ptp(draws) <= 1e-9 * abs(draws).max():  # a point estimate has no density
        ax.axvline(draws.mean(), label=label, **look)
        return
    x = np.linspace(draws.min(), draws.max(), BINS)
    ax.plot(x, gaussian_kde(draws)(x), label=label, **look)
