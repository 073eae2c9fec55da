"""Leave-one-out: densities row by row, differences of models, and transforms that should be uniform."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import DASHES, as_array, axes, colour_of, new_panels, numbers, signed
from ppl_gen.plot.style import PALETTE, drawable, in_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 8  # rows whose number is written


@in_style
def leave_one_out(rows: Any, k_hat: Any = None, *, limit: float = 0.7, ax: "Axes | None" = None) -> "Axes":
    """Log density of each row given all others; those whose k-hat is above the limit are diamonds, numbered.

    Args:
        rows: in nats (n,). k_hat: (n,), nan where a row has none.

    >>> leave_one_out([-1.0, -9.0], [0.1, 0.9]).texts[0].get_text()
    '1'
    """
    y = numbers("rows", rows, 1)
    k = np.full(len(y), np.nan) if k_hat is None else numbers("k_hat", k_hat, 1)
    if k.shape != y.shape:
        raise DataError(f"k_hat: expected one for each of {len(y)} rows, got {len(k)}")
    ax = axes(ax, (5.4, 3.2))
    x, bad = np.arange(len(y)), k > limit
    size = float(np.clip(1500 / len(y), 2.5, 6))
    ax.plot(x[~bad], y[~bad], "o", color=colour_of(0), markersize=size, alpha=0.7, label="row")
    if bad.any():
        ax.plot(x[bad], y[bad], "D", color=colour_of(1), markersize=6, label=f"k-hat above {limit:.2g}")
        for i in x[bad] if bad.sum() <= NAMED else ():
            ax.annotate(str(i), (i, y[i]), (5, 0), textcoords="offset points", va="center", fontsize=9)
        ax.figure.legend(loc="outside upper left", ncols=2)
    ax.yaxis.set_major_formatter(lambda value, _: signed(value, ",g"))
    ax.set_label(f"leave-one-out densities of {len(y)} rows, {int(bad.sum())} not to be trusted")
    ax.set_xlabel("row")
    ax.set_ylabel("log density, left out (nats)")
    return ax


@in_style
def differences(names: Sequence[str], values: Any, errors: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Differences of elpd from the best model, the best first, with bars of two standard errors.

    >>> differences(["a", "b"], [0.0, -3.0], [0.0, 1.0]).get_yticklabels()[1].get_text()
    'b'
    """
    x, e = numbers("values", values, 1), numbers("errors", errors, 1)
    if not x.shape == e.shape == (len(names),):
        raise DataError(f"values: expected {len(names)} of them and of errors, got {len(x)} and {len(e)}")
    ax = axes(ax, (5.0, 0.9 + 0.34 * len(names)))
    places = np.arange(len(names))
    ax.axvline(0, color=PALETTE[-1], linewidth=1.0, linestyle=DASHES[2])
    ax.errorbar(x, places, xerr=2 * e, fmt="o", color=colour_of(0), markersize=6, capsize=3, elinewidth=1.4)
    ax.set_yticks(places, [drawable(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.xaxis.set_major_formatter(lambda value, _: signed(value, ",g"))
    ax.grid(axis="y", visible=False)
    ax.set_label("differences of elpd from the best model")
    ax.set_xlabel("elpd less the best one's (nats, ± 2 s.e.)")
    return ax


@in_style
def uniform(curves: Mapping[str, Sequence[Any]], label: str = "", *, columns: int = 3) -> "Figure":
    """Distribution functions less the uniform one, each in its simultaneous envelope: a panel each.

    Above zero, values crowd below that point; a curve that rises first and falls last is of predictions too
    narrow.

    Args:
        curves: name -> points, shares of values at or below them, and the envelope's low and high.
        label: what the values are.

    >>> figure = uniform({"x": ([0.5], [0.9], [0.2], [0.8])}, "PIT")
    >>> figure.axes[0].get_title("left")
    'x, outside'
    """
    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    size = (4.6, 3.0) if len(curves) == 1 else (2.5 * columns + 0.5, 1.9 * rows + 0.3)
    figure, panels = new_panels(rows, columns, size)
    for ax, (name, parts) in zip(panels, curves.items(), strict=False):
        z, share, low, high = (np.asarray(as_array(v), dtype=float) for v in parts)
        if z.ndim != 1 or not z.shape == share.shape == low.shape == high.shape:
            raise DataError(f"{name}: expected points, shares, low and high of one length")
        outside = bool(((share < low - 1e-12) | (share > high + 1e-12)).any())
        ax.fill_between(z, low - z, high - z, color=colour_of(6), alpha=0.25, linewidth=0, step="mid")
        ax.axhline(0, color=PALETTE[-1], linewidth=1.0, linestyle=DASHES[2])
        colour = colour_of(1 if outside else 0)
        ax.plot(z, share - z, color=colour, marker="o" if len(z) == 1 else None)
        ax.set_title(drawable(name) + ", outside" * outside, fontsize=9.5, color=colour)
        ax.yaxis.set_major_formatter(lambda value, _: signed(value, ".2g"))
        ax.set_xlim(0, 1)
    for ax in panels[len(curves) :]:
        ax.remove()
    panels[0].set_label(f"{label}: distribution functions less the uniform one")
    figure.supylabel("ECDF − uniform", fontsize="medium")
    figure.supxlabel(label, fontsize="medium")
    return figure
