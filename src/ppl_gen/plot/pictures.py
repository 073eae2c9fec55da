"""Pictures side by side."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import as_array, axes, is_dark
from ppl_gen.plot.style import drawable, in_style
from ppl_gen.plot.trees import drawn, group_of, is_tree, variable_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWS = 3  # of a tree, a row each


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
    pixels = np.asarray(as_array(grid), dtype=float)
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
    ax = axes(ax, (0.55 * columns + 0.2, 0.55 * rows * height / width + 0.2))
    ax.imshow(sheet, cmap="gray" if is_dark(ax) else "gray_r", interpolation="nearest")
    ax.set_label(f"{len(pixels)} pictures of {height} × {width} pixels")
    ax.set_axis_off()
    return ax


@in_style
def sample_grid(
    groups: Any,
    *,
    shape: tuple[int, int] = (8, 8),
    columns: int = 10,
    var_name: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Pictures of several groups, such as classes, or data and samples: a named row of each.

    Args:
        groups: name -> (pictures, pixels) or (pictures, height, width), of which ``columns`` are shown. Or
            a tree of `to_arviz`: the data, and a row from each of a few posterior predictive draws.
        shape: height and width of one picture.
        var_name: the pictures of a tree; the only variable by default.

    Raises:
        DataError: there is no group, or one has no picture of that shape.

    >>> ax = sample_grid({"data": np.eye(4), "samples": np.zeros((3, 4))}, shape=(2, 2))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['data', 'samples']
    """
    if is_tree(groups):
        groups = _of_tree(groups, var_name)
    found = {name: np.asarray(as_array(v), dtype=float)[:columns] for name, v in groups.items()}
    for name, pixels in found.items():
        if pixels.ndim < 2 or not len(pixels) or pixels[0].size != shape[0] * shape[1]:
            raise DataError(
                f"{name}: expected pictures of {shape[0]} × {shape[1]} pixels, got shape {pixels.shape}"
            )
    if not found:
        raise DataError("groups: expected names and pictures, got none")
    width = max(map(len, found.values()))
    sheet = np.full((len(found), width, shape[0] * shape[1]), np.nan)
    for row, pixels in zip(sheet, found.values(), strict=True):
        row[: len(pixels)] = pixels.reshape(len(pixels), -1)
    named = 0.11 * max(map(len, found))
    ax = axes(ax, (0.55 * width + 0.3 + named, 0.55 * len(found) * shape[0] / shape[1] + 0.2))
    images(sheet.reshape(-1, sheet.shape[2]), shape=shape, columns=width, ax=ax)
    ax.set_axis_on()
    ax.set_xticks([])
    ax.set_yticks(
        [(shape[0] + 1) * i + (shape[0] - 1) / 2 for i in range(len(found))], [drawable(n) for n in found]
    )
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_label(f"pictures of {', '.join(found)}")
    return ax


def _of_tree(tree: Any, var_name: str | None) -> dict[str, Any]:
    """The data, and what draws spread over all chains predict."""
    name, data = variable_of(group_of(tree, "observed_data"), var_name, "pictures")
    predicted = drawn(variable_of(group_of(tree, "posterior_predictive"), name)[1])
    draws = np.linspace(0, len(predicted) - 1, min(DRAWS, len(predicted))).astype(int)
    return {"data": data.values} | {f"draw {i}": predicted[i] for i in draws}
