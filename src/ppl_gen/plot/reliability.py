"""Predicted probabilities against what came true."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.calibration import calibration_curve
from ppl_gen.plot.shared import DASHES, axes, colour_of
from ppl_gen.plot.style import MARKERS, PALETTE, in_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax = axes(ax, (4.4, 4.2))
    ends_of_axes = [1.0, 0.0]
    ax.plot([0, 1], [0, 1], color=PALETTE[-1], linewidth=1.0, linestyle=DASHES[2])
    for i, (name, values) in enumerate(several.items()):
        curve = calibration_curve(values, y, bins=bins, of=of)
        ends = np.stack([curve.observed - curve.low, curve.high - curve.observed])
        look: Any = {"color": colour_of(i), "marker": MARKERS[i % len(MARKERS)], "markersize": 4.5}
        ax.errorbar(curve.predicted, curve.observed, ends, elinewidth=1.0, capsize=2, **look)
        drawn = np.concatenate([curve.predicted, curve.low, curve.high])
        ends_of_axes = [min(ends_of_axes[0], drawn.min()), max(ends_of_axes[1], drawn.max())]
        said = f"{name + ', ' if name else ''}expected calibration error {curve.error:.3f}"
        height = 1.02 + 0.075 * (len(several) - 1 - i)  # above the axes, where no curve is
        ax.annotate(said, (0, height), xycoords="axes fraction", va="bottom", color=colour_of(i))
    low, high = np.floor(10 * ends_of_axes[0]) / 10, np.ceil(10 * ends_of_axes[1]) / 10
    margin = 0.02 * (high - low)
    ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    ax.set_aspect("equal")
    ax.set_label(f"calibration{' of ' + ', '.join(several) if '' not in several else ''}")
    ax.set_xlabel("predicted probability")
    ax.set_ylabel("observed frequency")
    return ax
