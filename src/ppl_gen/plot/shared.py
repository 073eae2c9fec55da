"""What the figures share: arrays, axes, colours and numbers in words."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ppl_gen.errors import DataError
from ppl_gen.plot.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
BINS = 120  # points of a long curve: more cannot be seen
# Curves that lie on one another stay visible.
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), "-.")


def as_array(values: Any) -> Any:
    """What a tensor or an array holds, for NumPy."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def numbers(name: str, values: Any, dimensions: int) -> Array:
    """An array of floats with so many dimensions, and not empty.

    Raises:
        DataError: it is none.
    """
    array = np.asarray(as_array(values), dtype=float)
    if array.ndim != dimensions or not array.size:
        raise DataError(f"{name}: expected numbers in {dimensions} dimension(s), got shape {array.shape}")
    return array


def axes(ax: "Axes | None", size: tuple[float, float] | None = None) -> "Axes":
    """The caller's axes, or new ones of a ``size`` in inches."""
    return ax if ax is not None else new_panels(1, 1, size)[1][0]


def new_panels(
    rows: int, columns: int, size: tuple[float, float] | None = None
) -> "tuple[Figure, list[Axes]]":
    """A new figure and its axes, row by row."""
    import matplotlib.pyplot as plt

    size = size or ((2.1 * columns + 0.4, 1.7 * rows + 0.5) if rows * columns > 1 else (5.0, 3.2))
    figure, panels = plt.subplots(rows, columns, figsize=size, squeeze=False)
    return figure, list(panels.flat)


def colour_of(i: int) -> str:
    """The colour of the i-th thing drawn; they come round again."""
    return PALETTE[i % len(PALETTE)]


def signed(value: float, form: str = ",.10g") -> str:
    """With a true minus sign, and thousands apart."""
    return f"{value:{form}}".replace("-", "−")


def nats(value: float) -> str:
    """In words, to a tenth."""
    return f"{signed(value, ',.1f')} nats"


def is_dark(ax: "Axes") -> bool:
    """Whether this lies on dark paper."""
    from matplotlib.colors import to_rgb

    return sum(to_rgb(ax.figure.get_facecolor())) < 1.5
