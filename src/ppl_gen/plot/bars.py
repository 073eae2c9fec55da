"""Bars from the strongest down: what each feature says for a class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import axes, colour_of, numbers
from ppl_gen.plot.style import drawable, in_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    odds = numbers("values", values, 1)
    if len(names) != len(odds) or not len(odds):
        raise DataError(f"values: expected one for each of {len(names)} names, got {len(odds)}")
    ax = axes(ax, (5.0, 0.6 + 0.26 * len(odds)))
    places = np.arange(len(odds))
    ax.barh(places, odds, color=[colour_of(0) if v >= 0 else colour_of(1) for v in odds], height=0.7)
    ax.axvline(0, color=ax.spines["left"].get_edgecolor(), linewidth=0.8)
    ax.set_yticks(places, [drawable(name) for name in names])
    ax.set_ylim(len(odds) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_label("log odds of each feature")
    ax.set_xlabel(label)
    return ax
