"""Pictures side by side."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import as_array, axes, is_dark
from ppl_gen.plot.style import in_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
