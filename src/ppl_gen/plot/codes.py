"""Figures of approximations and of codes. Each takes arrays, never a model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.pictures import images
from ppl_gen.plot.shared import as_array, axes, colour_of, nats, new_panels, numbers, signed
from ppl_gen.plot.style import MARKERS, drawable, in_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINEAR = 0.01  # up to here the scale is linear, and so has a zero; beyond it is logarithmic

FAR = 100  # times farther below than all else: off the axis


@in_style
def ladder(names: Sequence[str], gaps: Any, means: Any, sds: Any) -> "Figure":
    """Methods one below the other: how far each bound lies below the log evidence, and its errors.

    The axes are linear up to 0.01, so that nil has a place, and logarithmic from there.

    Args:
        names: of the methods.
        gaps: log evidence less bound, in nats; nan where a method has no bound.
        means, sds: errors of posterior means, in standard deviations, and relative errors of those.

    >>> ladder(["exact", "SVI"], [0.0, 2.5], [0.0, 0.1], [0.0, 0.4]).axes[0].get_xlabel()
    'nats below the log evidence (log scale from 0.01 on)'
    """
    rows = np.arange(len(names))
    columns = [np.asarray(as_array(v), dtype=float) for v in (gaps, means, sds)]
    for name, column in zip(("gaps", "means", "sds"), columns, strict=True):
        if column.shape != rows.shape:
            raise DataError(f"{name}: expected one for each of {len(names)} names, got shape {column.shape}")
    figure, (left, right) = new_panels(1, 2, (7.4, 0.9 + 0.34 * len(names)))
    shown = (
        (left, ((columns[0], ""),), "nats below the log evidence"),
        (
            right,
            ((columns[1], "means (in sds)"), (columns[2], "sds (fraction)")),
            "error of the posterior",
        ),
    )
    for ax, series, label in shown:
        for i, (values, name) in enumerate(series):
            at = np.maximum(values, 0.0)  # a bound by draws may lie above by chance
            ax.plot(
                at,
                rows + (0.13 if i else -0.13) * (ax is right),
                MARKERS[i],
                color=colour_of(i + (ax is right)),
                label=name,
                markersize=6,
            )
            if ax is left:
                for place, row, value in zip(at, rows, values, strict=True):
                    if np.isfinite(value):
                        text = signed(value, ",.2f") if abs(value) >= 0.005 else "0"
                        look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 9}
                        ax.annotate(text, (float(place), float(row)), (7, 0), **look)
        for row in rows[~np.isfinite([values for values, _ in series]).any(0)]:
            what = "no bound" if ax is left else "not comparable"
            ax.annotate(what, (0.0, float(row)), (0, 2), textcoords="offset points", fontsize=9, alpha=0.7)
        finite = np.concatenate([values[np.isfinite(values)] for values, _ in series])
        ax.set_xscale("symlog", linthresh=LINEAR)
        ax.set_xlim(-LINEAR / 5, 8 * max([1.0, *finite]))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_yticks(rows, list(names) if ax is left else [""] * len(names))
        ax.set_xlabel(f"{label} (log scale from {LINEAR:g} on)")
        ax.minorticks_off()
    right.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    left.set_label(f"bounds of {', '.join(names)}")
    right.set_label("errors of posterior means and standard deviations")
    return figure


@in_style
def choices(
    ks: Any,
    criteria: Mapping[str, tuple[Any, Any, int | None]],
    *,
    unsure: Mapping[str, Sequence[int]] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Criteria of model size, each as nats below its own best, with standard errors; its choice is ringed.

    The vertical axis is linear down to one nat below the best, logarithmic from there. What lies a hundred
    times farther than all else stands at the lower edge, with its number.

    Args:
        ks: the sizes.
        criteria: name -> differences from the best, at most 0, nan where there is none; their standard
            errors; the K chosen, or None.
        unsure: name -> sizes whose numbers are not to be trusted: hollow.

    >>> choices([1, 2, 3], {"LOO": ([-9.0, -0.5, 0.0], [3.0, 0.7, 0.0], 2)}).get_ylabel()
    'nats below the best K (log scale from 1 on)'
    """
    sizes = numbers("ks", ks, 1)
    ax = axes(ax, (5.6, 3.6))
    doubted = dict(unsure or {})
    floor = _floor([numbers(name, below, 1) for name, (below, _, _) in criteria.items()])
    low, high = floor, 0.5
    for i, (name, (below, errors, chosen)) in enumerate(criteria.items()):
        y, e = (numbers(name, v, 1) for v in (below, errors))
        if not y.shape == e.shape == sizes.shape or chosen not in (None, *sizes):
            raise DataError(f"{name}: expected {len(sizes)} differences and errors, and one of the sizes")
        x = sizes + 0.09 * (i - (len(criteria) - 1) / 2)  # side by side, or the best would hide one another
        colour, hollow = colour_of(i), np.isin(sizes, list(doubted.get(name, ())))
        ax.errorbar(x, y, yerr=e, color=colour, linewidth=1.2, elinewidth=1.2, capsize=2)
        look: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "linestyle": "none", "color": colour}
        ax.plot(x[~hollow], y[~hollow], label=drawable(name), markersize=5.5, **look)
        ax.plot(x[hollow], y[hollow], markersize=8, markerfacecolor="none", **look)
        if chosen is not None:
            ring: dict[str, Any] = {"markersize": 14, "markerfacecolor": "none", "markeredgewidth": 1.6}
            ax.plot(x[sizes == chosen], y[sizes == chosen], "o", color=colour, **ring)
        far = y < floor
        for place, value in zip(x[far], y[far], strict=True):
            ax.plot(place, floor, marker="v", color=colour, markersize=7)
            look = {
                "textcoords": "offset points",
                "ha": "left",
                "va": "center",
                "fontsize": 9,
                "color": colour,
            }
            ax.annotate(f"{-value:,.0f}", (place, floor), (0, 7 + 10 * i), **look)
        y, e = np.where(far, np.nan, y), np.where(far, 0, e)
        low = min(low, max(float(np.nanmin(y - e)), 10 * floor))
        high = max(high, float(np.nanmax(y + e)))
    ax.set_yscale("symlog", linthresh=1.0)
    ax.set_ylim(1.6 * low, 1.6 * high)
    decades = -(10.0 ** np.arange(0, np.ceil(np.log10(-1.6 * low))))
    ax.set_yticks([0.0, *decades[:: 1 + len(decades) // 6]])
    ax.yaxis.set_major_formatter(lambda value, _: f"{-value:,.0f}" if value else "0")
    ax.set_xticks(sizes, [f"{k:g}" for k in sizes])
    ax.minorticks_off()
    hint = "; hollow: not to be trusted" if any(len(found) for found in doubted.values()) else ""
    ax.set_xlabel(f"K (ringed: chosen{hint})")
    ax.set_ylabel("nats below the best K (log scale from 1 on)")
    ax.figure.legend(loc="outside upper left", ncols=4)
    return ax


def _floor(below: Sequence[Any]) -> float:
    """The lowest of the differences, less those a hundred times beyond the next ones."""
    lowest = 1.0
    for size in np.sort(-np.concatenate(below)):  # nan last
        if size > FAR * lowest or np.isnan(size):
            break
        lowest = max(lowest, float(size))
    return -lowest


@in_style
def bounds(
    k: Any, values: Any, errors: Any = None, *, log_evidence: float | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Importance-weighted bounds against the draws inside the logarithm, rising to the log evidence.

    Args:
        k: numbers of draws; 1 is the ELBO.
        values: the bounds in nats, and their standard errors, drawn as bars of two.
        log_evidence: where it is known.

    >>> bounds([1, 10], [-9.0, -8.5], log_evidence=-8.4).get_xlabel()
    'draws inside the logarithm, K'
    """
    x, y = numbers("k", k, 1), numbers("values", values, 1)
    if x.shape != y.shape:
        raise DataError(f"values: expected one for each of {len(x)} k, got {len(y)}")
    ax = axes(ax)
    error = None if errors is None else 2 * numbers("errors", errors, 1)
    ax.errorbar(x, y, error, color=colour_of(0), marker="o", markersize=4.5, capsize=2, elinewidth=1.2)
    ax.set_xscale("log")
    ax.set_xticks(x, [f"{value:,.0f}" for value in x])
    ax.minorticks_off()
    if log_evidence is not None:
        ax.axhline(log_evidence, color=colour_of(1), linewidth=1.4)
        ax.annotate(
            f"log evidence {nats(log_evidence)}", (0, log_evidence), (2, 3), textcoords="offset points",
            xycoords=ax.get_yaxis_transform(), va="bottom", color=colour_of(1),
        )  # fmt: skip
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.08 * (high - low))
    ax.yaxis.set_major_formatter(lambda value, _: signed(value))
    ax.set_label("importance-weighted bounds")
    ax.set_xlabel("draws inside the logarithm, K")
    ax.set_ylabel("bound (nats)")
    return ax


@in_style
def kl_terms(kl: Any, *, active: Any = None, ax: "Axes | None" = None) -> "Axes":
    """What the code costs, dimension by dimension: the mean KL divergence of q(z | x) from the prior.

    Args:
        kl: nats a row, (latent,). active: which dimensions carry information; the others are pale.

    >>> kl_terms([2.0, 0.01]).get_ylabel()
    'KL (nats a row)'
    """
    values = numbers("kl", kl, 1)
    alive = np.ones(len(values), bool) if active is None else np.asarray(as_array(active)).astype(bool)
    if alive.shape != values.shape:
        raise DataError(f"active: expected {len(values)}, one for each dimension, got shape {alive.shape}")
    ax = axes(ax)
    for i, (value, on) in enumerate(zip(values, alive, strict=True)):
        ax.bar(i, value, width=0.7, color=colour_of(0), alpha=1.0 if on else 0.35)
    ax.set_xticks(range(len(values))[:: max(1, len(values) // 12)])
    ax.grid(axis="x", visible=False)
    ax.set_label(f"KL of {len(values)} latent dimensions, {int(alive.sum())} of them active")
    ax.set_xlabel("dimension of z")
    ax.set_ylabel("KL (nats a row)")
    return ax


@in_style
def reconstructions(
    x: Any, again: Any, *, shape: tuple[int, int] = (8, 8), ax: "Axes | None" = None
) -> "Axes":
    """Rows above, what their codes are decoded to below.

    >>> reconstructions(np.eye(4)[:2], np.eye(4)[:2], shape=(2, 2)).images[0].get_array().shape
    (5, 5)
    """
    above, below = numbers("x", x, 2), numbers("again", again, 2)
    if above.shape != below.shape:
        raise DataError(f"again: expected shape {above.shape}, as x, got {below.shape}")
    ax = images(np.concatenate([above, below]), shape=shape, columns=len(above), ax=ax)
    ax.set_label(f"{len(above)} pictures, and below each its reconstruction")
    return ax


@in_style
def traversals(grid: Any, *, shape: tuple[int, int] = (8, 8), ax: "Axes | None" = None) -> "Axes":
    """One row for each latent dimension: the decoded means as that code moves and the others stay.

    Args:
        grid: (dimensions, steps, pixels), such as `diagnostics.traversal` gives.

    >>> traversals(np.zeros((3, 5, 4)), shape=(2, 2)).get_label()
    '3 latent dimensions, 5 steps each'
    """
    values = numbers("grid", grid, 3)
    ax = images(values.reshape(-1, values.shape[2]), shape=shape, columns=values.shape[1], ax=ax)
    ax.set_label(f"{len(values)} latent dimensions, {values.shape[1]} steps each")
    return ax
