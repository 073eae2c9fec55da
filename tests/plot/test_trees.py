"""Each figure takes a tree of `to_arviz` where it takes arrays, and draws the same."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray
from matplotlib.figure import Figure

from ppl_gen import SVI, fit, plot, to_arviz
from ppl_gen.diagnostics import simulation_based_calibration
from ppl_gen.errors import DataError
from ppl_gen.models import VAE, GaussianNaiveBayes, LinearRegression, LogisticRegression
from ppl_gen.pareto import pareto_k

RNG = np.random.default_rng(0)
X = torch.as_tensor(RNG.normal(size=(40, 2)))
Y = (X[:, 0] + torch.as_tensor(RNG.normal(size=40)) > 0).long()
PIXELS = (torch.as_tensor(RNG.random((12, 4))) > 0.5).float()
SHORT = SVI(steps=30, progress=False)


@cache
def regression() -> xarray.DataTree:
    return to_arviz(fit(LogisticRegression(classes=2, features=2), SHORT, x=X, y=Y), draws=60)


@cache
def naive_bayes() -> xarray.DataTree:
    return to_arviz(fit(GaussianNaiveBayes(classes=2, features=2), x=X, y=Y), draws=60)


@cache
def pictures() -> xarray.DataTree:
    return to_arviz(fit(VAE(features=4, latent=2, hidden=(4,)), SHORT, x=PIXELS), draws=20)


@cache
def calibrated() -> Any:
    line = LinearRegression(features=1, precision=1.0, shape=3.0, rate=2.0)
    return simulation_based_calibration(line, simulations=20, x=[[-1.0], [0.0], [1.0], [2.0]])


def without(tree: xarray.DataTree, *groups: str) -> xarray.DataTree:
    kept = {name: group.to_dataset() for name, group in tree.children.items() if name not in groups}
    return xarray.DataTree.from_dict({"/": tree.to_dataset(), **kept})


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def drawn(ax: Any) -> list[Any]:
    """All that lies on the axes, as numbers."""
    found = [line.get_xydata() for line in ax.lines]
    found += [np.asarray(points.get_offsets()) for points in ax.collections]
    found += [np.asarray(image.get_array()) for image in ax.images]
    found += [patch.get_verts() for patch in ax.patches]
    return found


def same(one: Any, other: Any) -> None:
    """Two axes, or two figures, hold the same."""
    a, b = ([drawn(ax) for ax in (d.axes if isinstance(d, Figure) else [d])] for d in (one, other))
    assert sum(map(len, a)) > 0
    for one_ax, other_ax in zip(a, b, strict=True):
        for x, y in zip(one_ax, other_ax, strict=True):
            np.testing.assert_allclose(x, y)
    plt.close("all")


def values(tree: xarray.DataTree, group: str, name: str) -> Any:
    """As the tree has it, one chain."""
    return tree[group][name].values[0]


def test_a_tree_is_drawn_as_its_arrays_are() -> None:
    t, v = regression(), pictures()
    same(plot.elbo(t), plot.elbo(t.sample_stats["elbo"].values))
    weights = torch.as_tensor(values(t, "sample_stats", "log_p") - values(t, "sample_stats", "log_q"))
    same(plot.k_hat(t), plot.k_hat(float(pareto_k(weights.double()[:, None]))))
    w = {"w": values(t, "posterior", "w")}
    same(plot.forest(t), plot.forest({"draws": w}))
    same(plot.forest({"tree": t, "again": w}), plot.forest({"tree": w, "again": w}))
    same(plot.pair(t), plot.pair(w))
    same(plot.densities({"tree": t}), plot.densities({"tree": w}))
    new = values(t, "posterior_predictive", "y")
    same(plot.replications(t), plot.replications(Y, new, label="y"))
    shares = np.stack([(new == 0).mean(0), (new == 1).mean(0)], 1)
    same(plot.calibration(t), plot.calibration(shares, Y))
    z = values(v, "posterior", "z").mean(0)
    same(plot.latent(v), plot.latent(z))
    same(plot.latent(v, np.arange(12) % 3), plot.latent(z, np.arange(12) % 3))
    three = {f"draw {i}": values(v, "posterior_predictive", "x")[i] for i in (0, 9, 19)}
    same(plot.sample_grid(v, shape=(2, 2)), plot.sample_grid({"data": PIXELS, **three}, shape=(2, 2)))


def test_labels_of_a_latent_space_can_stand_in_the_tree() -> None:
    t = pictures().copy()
    t["observed_data"]["y"] = xarray.DataArray(np.arange(12) % 2, dims="row")
    same(plot.latent(t, "y"), plot.latent(t, np.arange(12) % 2))
    with pytest.raises(DataError, match=r"labels: .* no 'k'"):
        plot.latent(t, "k")


def test_chains_are_drawn_one_after_the_other() -> None:
    draws = RNG.normal(size=(3, 20, 2))
    t = xarray.DataTree.from_dict({"posterior": xarray.Dataset({"w": (("chain", "draw", "k"), draws)})})
    turned = t["posterior"].to_dataset().transpose("k", "draw", "chain")
    turned = xarray.DataTree.from_dict({"posterior": turned})
    same(plot.pair(t), plot.pair({"w": draws.reshape(60, 2)}))
    same(plot.pair(turned), plot.pair(t))


def test_simulations_are_a_tree_too() -> None:
    found = calibrated()
    t = found.to_arviz()
    assert list(t["prior_sbc"].data_vars) == list(found.names)
    assert t["prior_sbc"]["tau"].dims == ("chain", "draw")
    band = t["prior_sbc_envelope"]
    u = dict(zip(found.names, found.u.T, strict=True))
    same(plot.rank_ecdf(t), plot.rank_ecdf(u, (band["point"], band["low"], band["high"])))
    same(plot.rank_ecdf(t, ([0.5], [0.2], [0.8])), plot.rank_ecdf(u, ([0.5], [0.2], [0.8])))
    import arviz_plots

    arviz_plots.plot_ecdf_pit(t, var_names=["tau"], backend="matplotlib")
    assert plt.get_fignums()


def test_one_method_lies_in_its_own_units_and_several_in_sds() -> None:
    alone = plot.forest({"guide": {"w": [1.0, 2.0, 6.0]}}).axes[0]
    assert [line.get_xdata()[0] for line in alone.lines][-1] == 3
    assert alone.get_xlabel() == "value"
    assert "sds of" in plot.forest({"a": {"w": [1.0, 2.0]}, "b": {"w": [1.0, 2.0]}}).axes[0].get_xlabel()


def test_many_points_are_a_picture() -> None:
    """The text of a page stays small, however many draws there are."""
    sizes = []
    for n in (300, 20_000):
        sizes.append(len(plot.svg(plot.pair({"a": RNG.normal(size=n), "b": RNG.normal(size=n)}))))
    assert sizes[1] < 2 * sizes[0]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plot.elbo(without(regression(), "sample_stats")), "the group sample_stats.*to_arviz"),
        (lambda: plot.k_hat(pictures()), "log_prior.*guide_quality"),
        (lambda: plot.k_hat(without(regression(), "sample_stats")), "the group sample_stats"),
        (lambda: plot.forest(without(regression(), "posterior")), "the group posterior"),
        (lambda: plot.pair(without(regression(), "posterior")), "the group posterior"),
        (lambda: plot.replications(without(regression(), "observed_data")), "the group observed_data"),
        (lambda: plot.replications(without(regression(), "posterior_predictive")), "posterior_predictive"),
        (lambda: plot.calibration(naive_bayes()), "constant_data.*reliability"),
        (lambda: plot.calibration(without(regression(), "observed_data")), "the group observed_data"),
        (lambda: plot.latent(regression()), "a latent of each row of .* none"),
        (lambda: plot.latent(pictures(), var_name="w"), "got 'w'"),
        (lambda: plot.sample_grid(naive_bayes()), "var_name: expected pictures .* x.*; got None"),
        (lambda: plot.rank_ecdf(regression()), "prior_sbc.*simulation_based_calibration"),
        (lambda: plot.rank_ecdf({}), "u: expected name -> places"),
    ],
)  # fmt: skip
def test_what_a_tree_lacks_is_named_and_how_to_get_it(draw: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        draw()


def test_draws_of_chains_have_no_weights() -> None:
    t = regression().copy()
    t["sample_stats"] = t["sample_stats"].to_dataset().drop_vars("log_q")
    with pytest.raises(DataError, match="no log_q: only draws of a guide"):
        plot.k_hat(t)
    t["sample_stats"] = t["sample_stats"].to_dataset().drop_vars("elbo")
    with pytest.raises(DataError, match=r"no elbo: .*elbo=history"):
        plot.elbo(t)


def test_a_regression_of_numbers_predicts_no_classes() -> None:
    line = fit(LinearRegression(features=2), x=X, y=X[:, 0] ** 2)
    with pytest.raises(DataError, match="one class a row, got 'y'"):
        plot.calibration(to_arviz(line, draws=5))
