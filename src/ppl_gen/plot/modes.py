"""Modes of generated rows against those of real ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import DASHES, colour_of, new_panels, numbers
from ppl_gen.plot.style import PALETTE, drawable, in_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@in_style
def modes(
    names: Sequence[str],
    real: Any,
    generated: Any,
    ratios: Any,
    *,
    rows: Sequence[int] | None = None,
    wrong: Sequence[bool] | None = None,
) -> "Figure":
    """Each mode's share of real and of generated rows, and its generated sd over the real one.

    Args:
        names: of the modes.
        real, generated: shares (modes,).
        ratios: (modes,), nan where rows are too few.
        rows: how many real and generated rows there are: bars of two standard errors.
        wrong: modes that differ, in bold.

    >>> figure = modes(["a", "b"], [0.5, 0.5], [1.0, 0.0], [1.1, np.nan])
    >>> figure.axes[1].get_xlabel()
    'sd, generated over real'
    """
    mine, theirs, ratio = (
        numbers(n, v, 1) for n, v in (("real", real), ("generated", generated), ("ratios", ratios))
    )
    if not mine.shape == theirs.shape == ratio.shape == (len(names),):
        raise DataError(f"real: expected {len(names)} shares, as many generated, and ratios")
    figure, (left, right) = new_panels(1, 2, (6.8, 1.0 + 0.34 * len(names)))
    places = np.arange(len(names))
    for i, (share, label, n) in enumerate(((mine, "real", 0), (theirs, "generated", 1))):
        error = 2 * np.sqrt(share * (1 - share) / rows[n]) if rows else None
        look: Any = {"height": 0.36, "color": colour_of(1 - i), "alpha": 0.75, "label": label}
        left.barh(
            places + 0.19 * (2 * i - 1),
            share,
            xerr=error,
            error_kw={"elinewidth": 1.0, "ecolor": left.spines["left"].get_edgecolor()},
            **look,
        )
    right.axvline(1, color=PALETTE[-1], linewidth=1.0, linestyle=DASHES[2])
    right.plot(ratio, places, "o", color=colour_of(0), markersize=6)
    for place in places[~np.isfinite(ratio)]:
        right.annotate(
            "too few rows", (1, float(place)), (5, 0), textcoords="offset points", va="center", fontsize=9
        )
    finite = abs(np.log(ratio[np.isfinite(ratio) & (ratio > 0)]))
    reach = float(np.exp(max([0.3, *finite]) * 1.2))
    right.set_xscale("log")
    right.set_xlim(1 / reach, reach)
    right.set_xticks([v for v in (0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10) if 1 / reach < v < reach])
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    right.minorticks_off()
    left.set_yticks(places, [drawable(name) for name in names])
    for label_, bad in zip(left.get_yticklabels(), wrong or (), strict=False):
        label_.set_fontweight("bold" if bad else "normal")
    right.set_yticks(places, [""] * len(names))
    for ax in (left, right):
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(axis="y", visible=False)
    left.set_xlim(left=0)
    left.set_xlabel("share of rows")
    right.set_xlabel("sd, generated over real")
    left.set_label(f"shares of {len(names)} modes among real and generated rows")
    right.set_label("spreads of the modes")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure
