"""Figures of simulation-based calibration, from arrays."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import DASHES
from ppl_gen.plot.style import MARKERS, PALETTE, drawable, in_style
from ppl_gen.plot.trees import drawn, group_of, is_tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = len(DASHES)  # curves in colours and dashes of their own


@in_style
def rank_ecdf(
    u: Any,
    envelope: tuple[Any, Any, Any] | None = None,
    *,
    wrong: Sequence[str] = (),
    ax: "Axes | None" = None,
) -> "Axes":
    """Distribution functions of the truth's places, less the uniform one, and the band they should keep to.

    Above the band: too many truths below that part of the posterior. An arch means that posteriors lie too
    high, a valley too low; an S whose left half is high, that they are too narrow.

    Args:
        u: name -> (simulations,), uniform on (0, 1) where posteriors are right; or a tree of
            `SimulatedCalibration.to_arviz`, with the groups prior_sbc and prior_sbc_envelope.
        envelope: places in (0, 1), and the lowest and highest share of values below them. By default, of a
            tree its own; else the band about the diagonal that all of a right one stays in with probability
            0.95, sqrt(log(2 / 0.05) / (2 simulations)) wide to each side (Massart 1990).
        wrong: names that are coloured; the others stay grey.

    >>> import numpy as np
    >>> rank_ecdf({"w": np.linspace(0.01, 0.99, 20)}, ([0.5], [0.3], [0.7])).get_ylabel()
    'ECDF of u − u'
    """
    if is_tree(u):
        u, envelope = _of_tree(u, envelope)
    if envelope is None:
        envelope = _band(u)
    x, low, high = (np.asarray(v, dtype=float) for v in envelope)
    if not x.shape == low.shape == high.shape:
        raise DataError(
            f"envelope: expected three arrays alike, got shapes {x.shape}, {low.shape}, {high.shape}"
        )
    ax = _axes(ax)
    ends = np.concatenate([[0.0], x, [1.0]])
    lowest, highest = (np.concatenate([[0.0], side - x, [0.0]]) for side in (low, high))
    ax.fill_between(ends, lowest, highest, color=PALETTE[-1], alpha=0.25, linewidth=0, label="expected")
    coloured = list(wrong)[:NAMED]
    for name in sorted(u, key=lambda name: name in coloured):
        values = np.sort(np.asarray(u[name], dtype=float))
        at = np.concatenate([[0.0], np.repeat(values, 2), [1.0]])
        share = np.repeat(np.arange(len(values) + 1) / len(values), 2)
        look: dict[str, Any] = {"color": PALETTE[-1], "linewidth": 0.9, "alpha": 0.8}
        if name in coloured:
            i = coloured.index(name)
            look = {"color": PALETTE[i], "linestyle": DASHES[i], "label": drawable(name)}
        ax.plot(at, share - at, **look)
    ax.set_xlim(0, 1)
    ax.set_xlabel("u, the truth's place in its posterior")
    ax.set_ylabel("ECDF of u − u")
    ax.set_label(f"ECDF differences of {', '.join(u)}; outside the band: {', '.join(coloured) or 'none'}")
    return ax


@in_style
def z_scores(u: Any, *, name: str = "", ax: "Axes | None" = None) -> "Axes":
    """Histogram of the truths' normal scores, and the standard Normal they should follow.

    Args:
        u: (simulations,), places in (0, 1). name: of the quantity.

    >>> z_scores([0.2, 0.5, 0.7], name="w").get_xlabel()
    'z of w'
    """
    from scipy.stats import norm

    z = norm.ppf(np.asarray(u, dtype=float))
    if z.ndim != 1 or not np.isfinite(z).all():
        raise DataError(f"u: expected places between 0 and 1, (simulations,), got shape {z.shape}")
    ax = _axes(ax)
    edge = max(3.5, float(abs(z).max()) + 0.25)
    ax.hist(z, bins=np.arange(-edge, edge + 0.5, 0.5).tolist(), density=True, color=PALETTE[0], alpha=0.45)
    grid = np.linspace(-edge, edge, 200)
    ax.plot(grid, norm.pdf(grid), color=PALETTE[-1], linewidth=1.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"z of {drawable(name)}" if name else "z")
    ax.set_ylabel("density")
    ax.set_label(f"z: mean {z.mean():.2f}, sd {z.std():.2f}")
    return ax


@in_style
def coverage(
    nominal: Any, observed: Mapping[str, tuple[Any, Any, Any]], *, ax: "Axes | None" = None
) -> "Axes":
    """Observed coverage of credible intervals against what they promise, with 95 % intervals.

    Args:
        nominal: (levels,). observed: name -> shares, and the lower and upper ends of their intervals.

    >>> coverage([0.5, 0.9], {"w": ([0.4, 0.8], [0.3, 0.7], [0.5, 0.88])}).get_xlabel()
    'nominal coverage'
    """
    x = np.asarray(nominal, dtype=float)
    ax = _axes(ax)
    ax.plot([0, 1], [0, 1], color=PALETTE[-1], linewidth=1.0)
    for i, (name, columns) in enumerate(observed.items()):
        share, low, high = (np.asarray(v, dtype=float) for v in columns)
        if share.shape != x.shape:
            raise DataError(f"{name}: expected {len(x)} shares, one a level, got shape {share.shape}")
        ax.errorbar(
            x + 0.012 * (i - (len(observed) - 1) / 2),
            share,
            np.stack([share - low, high - share]),
            color=PALETTE[i % len(PALETTE)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=4.5,
            linestyle="none",
            elinewidth=1.2,
            capsize=2,
            label=drawable(name),
        )
    ax.set_xlim(min(x) - 0.08, 1)
    ax.set_ylim(min(float(min(x)) - 0.08, *(float(np.min(v[1])) - 0.02 for v in observed.values())), 1.01)
    ax.set_xlabel("nominal coverage")
    ax.set_ylabel("observed coverage")
    ax.set_label(f"coverage of {', '.join(observed)}")
    return ax


@in_style
def simulated_calibration(
    u: Mapping[str, Any],
    envelope: tuple[Any, Any, Any],
    *,
    wrong: Sequence[str] = (),
    table: Any = None,
) -> "Figure":
    """Three panels: ECDFs of u, the histogram of z, and coverage; of what is ``wrong`` first.

    Args:
        u, envelope, wrong: as in `rank_ecdf`.
        table: of coverage, with columns quantity, nominal, observed, low and high.

    >>> import numpy as np
    >>> len(simulated_calibration({"w": np.linspace(0.01, 0.99, 20)}, ([0.5], [0.3], [0.7])).axes)
    2
    """
    import matplotlib.pyplot as plt

    shown = (list(wrong) or list(u))[:NAMED]
    panels = 2 if table is None else 3
    figure, axes = plt.subplots(1, panels, figsize=(3.2 * panels, 3.2), squeeze=False)
    first, second, *rest = axes[0]
    rank_ecdf(u, envelope, wrong=wrong, ax=first)
    z_scores(u[shown[0]], name=shown[0], ax=second)
    for ax in rest:
        parts = {name: table[table["quantity"] == name] for name in shown}
        observed = {name: (p["observed"], p["low"], p["high"]) for name, p in parts.items()}
        coverage(parts[shown[0]]["nominal"], observed, ax=ax)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper left", ncols=5)
    return figure


def _of_tree(tree: Any, envelope: Any) -> tuple[dict[str, Any], Any]:
    advice = "simulation_based_calibration(model, method).to_arviz() writes it"
    places = group_of(tree, "prior_sbc", advice).data_vars
    if envelope is None:
        band = group_of(tree, "prior_sbc_envelope", advice)
        envelope = band["point"].values, band["low"].values, band["high"].values
    return {str(name): drawn(values) for name, values in places.items()}, envelope


def _band(u: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """The bounds of Dvoretzky, Kiefer and Wolfowitz, with Massart's constant."""
    count = min((len(values) for values in u.values()), default=0)
    if not count:
        raise DataError("u: expected name -> places of simulations, got none")
    x, width = np.linspace(0.005, 0.995, 199), np.sqrt(np.log(2 / 0.05) / (2 * count))
    return x, (x - width).clip(0, 1), (x + width).clip(0, 1)


def _axes(ax: "Axes | None") -> "Axes":
    import matplotlib.pyplot as plt

    return ax if ax is not None else plt.subplots()[1]
