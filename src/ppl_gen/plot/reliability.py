"""Predicted probabilities against what came true."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.calibration import calibration_curve
from ppl_gen.errors import DataError
from ppl_gen.plot.shared import DASHES, Array, axes, colour_of
from ppl_gen.plot.style import MARKERS, PALETTE, in_style
from ppl_gen.plot.trees import drawn, group_of, is_tree, variable_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@in_style
def calibration(
    probs: Any,
    y: Any = None,
    *,
    bins: int = 10,
    of: int | None = None,
    var_name: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """A reliability diagram: how often it came true against the probability it was given.

    On the diagonal a model is calibrated. Of the class decided for, the default with ``probs`` (n, classes),
    it is too sure below the diagonal; of one class, or one event, it is too sure where the curve is flatter
    than the diagonal. The bars are 95 % intervals of each bin; one in twenty misses the diagonal by chance.
    The axes show the tenths from the lowest to the highest of all that is drawn.

    Args:
        probs, y, bins, of: as for `ppl_gen.calibration_curve`; or a mapping of names to ``probs``, to compare
            several models on the same rows. Or a tree of a joint that is given x: each row's probability of
            a class is the share of its posterior predictive draws. These rows were fitted: `reliability`
            predicts each by a fit without it.
        var_name: the class variable of a tree; the only one by default.

    Raises:
        DataError: the shapes or values do not fit; or the tree does not predict classes of its rows.

    >>> ax = calibration([0.2] * 5 + [0.9] * 2, [0, 0, 1, 0, 0, 1, 1], bins=2)
    >>> ax.get_xlabel(), [text.get_text() for text in ax.texts]
    ('predicted probability', ['expected calibration error 0.029'])
    """
    if is_tree(probs):
        probs, y = _of_tree(probs, var_name)
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


def _of_tree(tree: Any, var_name: str | None) -> tuple[Array, Array]:
    """Each row's shares of the classes among its predictions, and its class."""
    group_of(
        tree,
        "constant_data",
        "a joint that generates x predicts classes without it: plot.calibration(ask(posterior, 'p(y | x)', "
        "x=x).probs, y), or reliability(posterior)",
    )
    name, y = variable_of(group_of(tree, "observed_data"), var_name, "the class variable")
    predicted = group_of(tree, "posterior_predictive")
    codes, draws = (
        np.asarray(y.values, dtype=float),
        drawn(predicted[name]) if name in predicted else np.empty(0),
    )
    if draws.shape[1:] != codes.shape or codes.ndim != 1 or (draws != draws.round()).any():
        raise DataError(f"var_name: expected predictions of one class a row, got {name!r} of other values")
    classes = np.arange(int(max(draws.max(), codes.max())) + 1)
    shares: Array = (draws[..., None] == classes).mean(0)
    return shares, codes.astype(int)
