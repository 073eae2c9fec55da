"""Rows as points of the plane."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import Array, as_array, axes, colour_of, numbers
from ppl_gen.plot.style import MARKERS, PALETTE, drawable, in_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    size = float(np.clip(4000 / max(len(z), 1), 5, 30))
    for i, kind in enumerate(np.unique(kinds)):
        points = z[kinds == kind]
        # Ten classes and seven colours: the markers of a second round differ in shape.
        marker = MARKERS[(i // len(PALETTE)) % len(MARKERS)]
        ax.scatter(
            points[:, 0], points[:, 1], s=size, color=colour_of(i), marker=marker, alpha=0.65, linewidths=0
        )
        if labels is not None:
            _sign(
                ax,
                drawable(names[kind]) if names is not None else str(kind),
                np.median(points, 0),
                colour_of(i),
            )
    ax.set_label(f"codes of {len(z)} rows")
    ax.set_xlabel(what[0])
    ax.set_ylabel(what[1])
    return ax


def _sign(ax: "Axes", text: str, place: Array, colour: str) -> None:
    """White on its colour: to be read on top of points, on light and dark pages."""
    box = {"boxstyle": "round,pad=0.2", "facecolor": colour, "edgecolor": "none"}
    where = (float(place[0]), float(place[1]))
    ax.annotate(text, where, ha="center", va="center", color="white", fontweight="bold", bbox=box)
