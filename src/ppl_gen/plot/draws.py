"""Draws of parameters, as several methods find them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import BINS, DASHES, Array, as_array, colour_of, new_panels
from ppl_gen.plot.style import in_style
from ppl_gen.plot.trees import drawn, group_of, is_tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    found = {method: elements_of(method, values) for method, values in draws.items()}
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
    figure, panels = new_panels(rows, columns)
    for ax, name in zip(panels, wanted, strict=False):
        for i, (method, elements) in enumerate(found.items()):
            _density(ax, elements[name], method, color=colour_of(i), linestyle=DASHES[i % len(DASHES)])
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


def elements_of(method: str, draws: Any) -> dict[str, Array]:
    """Every scalar of a method's draws: "mu[0, 1]" -> (draws,)."""
    if is_tree(draws):
        draws = {k: drawn(v) for k, v in group_of(draws, "posterior").data_vars.items()}
    found = {}
    for name, values in draws.items():
        array = np.asarray(as_array(values), dtype=float)
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
