"""Rows as points of the plane."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import Array, as_array, axes, colour_of, numbers
from ppl_gen.plot.style import MARKERS, PALETTE, drawable, in_style
from ppl_gen.plot.trees import drawn, group_of, is_tree, variable_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@in_style
def latent(
    z: Any,
    labels: Any = None,
    *,
    names: Sequence[str] | None = None,
    var_name: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The rows' latent codes as points, coloured by label.

    Codes of more than two dimensions are seen along their two principal components.

    Args:
        z: (rows, dimensions); or a tree of `to_arviz`, whose draws of a row's code are averaged.
        labels: a whole number for each row; none by default. Of a tree, also the name of what holds them.
        names: what the labels 0, 1, … are called.
        var_name: the code of a tree; by default the only latent that rows have for themselves.

    Raises:
        DataError: rows and labels do not match; or the tree has no such code.

    >>> latent(np.eye(3), [0, 0, 1]).get_xlabel()
    'principal component 1 of z'
    """
    if is_tree(z):
        z, labels = _of_tree(z, labels, var_name)
    z = numbers("z", z, 2)
    what = [f"z[{i}]" for i in range(z.shape[1])]
    if z.shape[1] > 2:
        z = z - z.mean(0)
        z = z @ np.linalg.svd(z, full_matrices=False)[2][:2].T
        what = [f"principal component {i} of z" for i in (1, 2)]
    if z.shape[1] == 1:  # the second axis then only keeps the points apart
        z, what = np.column_stack([z, np.arange(len(z))]), [*what, "row"]
    kinds = np.zeros(len(z), int) if labels is None else np.asarray(as_array(labels)).astype(int)
    if kinds.shape != (len(z),):
        raise DataError(f"labels: expected {len(z)}, one for each row of z, got shape {kinds.shape}")
    ax = axes(ax, (4.4, 3.8))
    groups = np.unique(kinds)
    for i, kind in enumerate(groups):
        scatter(ax, z[kinds == kind], i, len(z))
    if labels is not None:
        called = [drawable(names[kind]) if names is not None else str(kind) for kind in groups]
        badges(ax, called, np.stack([np.median(z[kinds == kind], 0) for kind in groups]))
    ax.set_label(f"codes of {len(z)} rows")
    ax.set_xlabel(what[0])
    ax.set_ylabel(what[1])
    return ax


def _of_tree(tree: Any, labels: Any, var_name: str | None) -> tuple[Array, Any]:
    """The mean code of each row, and its label."""
    if isinstance(labels, str):
        held = [tree[group] for group in ("observed_data", "constant_data") if group in tree.children]
        found = [group[labels].values for group in held if labels in group]
        if not found:
            raise DataError(f"labels: the tree's observed_data and constant_data have no {labels!r}")
        labels = found[0]
    _, values = variable_of(group_of(tree, "posterior"), var_name, "a latent of each row", "row")
    codes = drawn(values).mean(0)
    return codes.reshape(len(codes), -1), labels


def scatter(ax: "Axes", points: Array, i: int, n: int, alpha: Any = 0.65) -> None:
    """Points of the i-th kind among ``n``: filled for as many kinds as there are colours, then hollow."""
    size, hollow = float(np.clip(4000 / max(n, 1), 5, 30)), i >= len(PALETTE)
    look: dict[str, Any] = {"facecolors": "none", "linewidths": 0.9} if hollow else {"linewidths": 0}
    if hollow:
        look["edgecolors"] = colour_of(i)
    else:
        look["color"] = colour_of(i)
    marker = MARKERS[i % len(MARKERS)]
    ax.scatter(points[:, 0], points[:, 1], s=size, marker=marker, alpha=alpha, **look)


def badges(ax: "Axes", names: Sequence[str], places: Array) -> None:
    """Names on their colours, hollow as the points are, moved apart where they would hide one another."""
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    at = ax.transData.transform(places)
    wide = 6.5 * ax.figure.dpi / 72 * np.array([max(len(name), 1) + 1 for name in names])
    high = 19 * ax.figure.dpi / 72
    for _ in range(60):
        for i in range(len(at)):
            for j in range(i):
                apart = at[i] - at[j]
                overlap = np.array([(wide[i] + wide[j]) / 2, high]) - abs(apart)
                if (overlap > 0).all():
                    axis = int(overlap[1] <= overlap[0])
                    step = np.zeros(2)
                    step[axis] = (overlap[axis] / 2 + 0.1) * (1 if apart[axis] >= 0 else -1)
                    at[i], at[j] = at[i] + step, at[j] - step
    for i, (name, place) in enumerate(zip(names, ax.transData.inverted().transform(at), strict=True)):
        hollow, colour = i >= len(PALETTE), colour_of(i)
        box = {
            "boxstyle": "round,pad=0.2",
            "facecolor": ax.get_facecolor() if hollow else colour,
            "edgecolor": colour,
        }
        ink = colour if hollow else "white"
        where = (float(place[0]), float(place[1]))
        ax.annotate(name, where, ha="center", va="center", color=ink, fontweight="bold", bbox=box)


@in_style
def clusters(
    x: Any,
    labels: Any,
    *,
    means: Any = None,
    covariances: Any = None,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """A mixture's components in the space of the data: rows in their colours, and ellipses of two sds.

    Rows of more than two columns are seen along their two principal components, and so are the components.

    Args:
        x: (rows, columns), two or more.
        labels: the component of each row (rows,); or probabilities (rows, components), whose largest tells,
            and pales the point where it is unsure.
        means: (components, columns). covariances: variances of the same shape, or (components, columns,
            columns); for the ellipses.
        names: of the components. columns: what two columns are called.

    Raises:
        DataError: the shapes do not fit.

    >>> clusters(np.eye(2), [0, 1], means=np.eye(2), covariances=np.ones((2, 2))).get_label()
    '2 components in the plane of 2 rows'
    """
    from matplotlib.patches import Ellipse

    rows = numbers("x", x, 2)
    given = np.asarray(as_array(labels), dtype=float)
    if given.shape[:1] != (len(rows),) or given.ndim > 2 or rows.shape[1] < 2:
        raise DataError(
            f"labels: expected one for each of {len(rows)} rows of two columns or more, got {given.shape}"
        )
    sure = given.max(1) if given.ndim == 2 else np.ones(len(rows))
    kinds = given.argmax(1) if given.ndim == 2 else given.astype(int)
    count = given.shape[1] if given.ndim == 2 else int(kinds.max()) + 1
    centre, turn, what = np.zeros(rows.shape[1]), np.eye(rows.shape[1]), list(columns or ("x[0]", "x[1]"))
    if rows.shape[1] > 2:
        centre = rows.mean(0)
        turn = np.linalg.svd(rows - centre, full_matrices=False)[2][:2].T
        what = [f"principal component {i} of x" for i in (1, 2)]
    z = (rows - centre) @ turn
    ax = axes(ax, (4.6, 4.0))
    for k in range(count):
        own = kinds == k
        scatter(ax, z[own], k, len(z), alpha=0.15 + 0.7 * sure[own])
    if means is not None:
        middle = numbers("means", means, 2)
        spread = np.asarray(
            as_array(np.ones_like(middle) if covariances is None else covariances), dtype=float
        )
        if spread.shape == middle.shape:
            spread = spread[:, :, None] * np.eye(middle.shape[1])
        if middle.shape != (count, rows.shape[1]) or spread.shape != (*middle.shape, middle.shape[1]):
            raise DataError(
                f"means: expected ({count}, {rows.shape[1]}), and covariances of these, got {middle.shape} "
                f"and {spread.shape}"
            )
        middle = (middle - centre) @ turn
        for k, matrix in enumerate(turn.T @ spread @ turn if covariances is not None else ()):
            values, vectors = np.linalg.eigh(matrix)
            width, height = 4 * np.sqrt(np.maximum(values[::-1], 0))
            angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
            dashes = "--" if k >= len(PALETTE) else "-"
            ax.add_patch(
                Ellipse(
                    (float(middle[k, 0]), float(middle[k, 1])), width, height, angle=angle, fill=False,
                    edgecolor=colour_of(k), linewidth=1.6, linestyle=dashes,
                )
            )  # fmt: skip
        ax.autoscale_view()
    else:
        middle = np.stack([np.median(z[kinds == k], 0) if (kinds == k).any() else z[0] for k in range(count)])
    told = [k for k in range(count) if means is not None or (kinds == k).any()]
    called = [drawable(names[k]) if names is not None else str(k) for k in range(count)]
    if told == list(range(count)):
        badges(ax, called, middle)
    ax.set_label(f"{count} components in the plane of {len(rows)} rows")
    ax.set_xlabel(drawable(what[0]))
    ax.set_ylabel(drawable(what[1]))
    return ax
