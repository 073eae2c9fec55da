"""Trees for ArviZ hold what they say: shapes and names, densities by hand, no convergence statistics.

Runs on ArviZ 0.23 with its 0.8 parts (Python 3.11) and on ArviZ 1.
"""

import random
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray
from scipy import stats
from scipy.special import logsumexp

from ppl_gen import SVI, Posterior, ProbabilisticModel, fit
from ppl_gen.data import digits, wine
from ppl_gen.diagnostics import summary, to_arviz
from ppl_gen.diagnostics.trees.arviz_bridge import is_legacy
from ppl_gen.errors import DataError
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression
from tests.thinned import thinned

WINE = wine().standardized()
NAMES = {"class": WINE.classes, "feature": WINE.features}
PIXELS = (digits().x[:120] > 8).float()
S = 60
ROWS = {"nb": 178, "gmm": 178, "lr": 178, "vae": 120}
SCORED = {"nb": "x", "gmm": "x", "lr": "y", "vae": "x"}


@cache
def fitted(name: str) -> Posterior:
    svi = SVI(steps=150, progress=False)
    if name == "nb":
        return fit(GaussianNaiveBayes(classes=3, features=13), x=WINE.x, y=WINE.y)
    if name == "gmm":
        return fit(GaussianMixture(components=4, features=13), svi, x=WINE.x)
    if name == "lr":
        return fit(LogisticRegression(classes=3, features=13), svi, x=WINE.x, y=WINE.y)
    return fit(VAE(features=64, latent=2, hidden=(32,)), svi, x=PIXELS)


@cache
def tree(name: str) -> xarray.DataTree:
    return to_arviz(fitted(name), draws=S, coords=NAMES if name in ("nb", "lr") else None)


def raw(values: Any) -> Any:
    return np.asarray(values.values)


@pytest.mark.parametrize(
    ("name", "parameters", "rows"),
    [
        ("nb", {"pi": ("class",), "mu": ("class", "feature"), "tau": ("class", "feature")},
         {"x": ("row", "feature"), "y": ("row",)}),
        ("gmm", {"pi": ("component",), "mu": ("component", "feature"), "tau": ("component", "feature")},
         {"x": ("row", "feature")}),
        ("lr", {"w": ("term", "class")}, {"y": ("row",)}),
        ("vae", {"z": ("row", "latent")}, {"x": ("row", "feature")}),
    ],
)  # fmt: skip
def test_groups_dimensions_and_sizes(name: str, parameters: Any, rows: Any) -> None:
    def dims(group: str, strip: int = 2) -> dict[str, Any]:
        return {str(k): v.dims[strip:] for k, v in tree(name)[group].data_vars.items()}

    t, n = tree(name), ROWS[name]
    assert dims("posterior") == dims("prior") == parameters
    assert dims("posterior_predictive") == dims("prior_predictive") == dims("observed_data", 0) == rows
    assert dims("log_likelihood") == dict.fromkeys(rows, ("row",))
    if name == "vae":  # z belongs to rows, which log_likelihood scores
        assert "log_prior" not in t.children
    else:
        assert dims("log_prior") == dict.fromkeys(parameters, ())
    assert t.posterior.sizes["chain"] == 1
    assert t.posterior.sizes["draw"] == S
    assert t.log_likelihood.sizes["row"] == n
    assert set(t.sample_stats.data_vars) == {"log_p", "log_q", "elbo"}
    assert ("constant_data" in t.children) == (name == "lr")
    for group in t.children.values():
        assert group.attrs["inference_library"] == "pyro"
        assert group.attrs["joint"] == fitted(name).model.joint
        for values in group.data_vars.values():
            assert np.isfinite(raw(values)).all()


def test_coordinates_are_the_names_given() -> None:
    nb, lr = tree("nb").posterior, tree("lr").posterior
    assert tuple(nb.coords["class"].values) == WINE.classes
    assert tuple(lr.coords["term"].values) == ("intercept", *WINE.features)
    t = to_arviz(fitted("gmm"), draws=2, dims={"mu": ["cluster", "column"]}, coords={"cluster": list("abcd")})
    assert t.posterior["mu"].dims == ("chain", "draw", "cluster", "column")
    assert t.posterior["tau"].dims == ("chain", "draw", "component", "feature")


def test_equal_sizes_are_told_apart() -> None:
    x, y = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1] * 3)
    nb = to_arviz(fit(GaussianNaiveBayes(classes=2, features=2), x=x, y=y), draws=2)
    assert nb.posterior["pi"].dims[2:] == ("class",)
    assert nb.posterior["mu"].dims[2:] == ("class", "feature")
    model = LogisticRegression(classes=3, features=2)
    lr = to_arviz(fit(model, SVI(steps=2, progress=False), x=x, y=y), draws=2)
    assert lr.posterior["w"].dims[2:] == ("term", "class")
    assert lr.constant_data["x"].dims == ("row", "feature")


def test_the_columns_of_a_frame_are_their_own_labels() -> None:
    import pandas

    frame = pandas.DataFrame(WINE.x.numpy(), columns=WINE.features)
    nb = to_arviz(fit(GaussianNaiveBayes(classes=3, features=13), x=frame, y=WINE.y), draws=2)
    assert tuple(nb.posterior.coords["feature"].values) == WINE.features
    assert tuple(nb.observed_data.coords["feature"].values) == WINE.features
    svi = SVI(steps=2, batch_size=20, progress=False)
    lr = to_arviz(fit(LogisticRegression(classes=3, features=13), svi, x=frame, y=WINE.y), draws=2)
    assert tuple(lr.posterior.coords["term"].values) == ("intercept", *WINE.features)
    assert tuple(lr.constant_data.coords["feature"].values) == WINE.features
    named = to_arviz(fitted("nb"), draws=2, x=frame[:5], coords={"feature": list("abcdefghijklm")})
    assert "".join(named.posterior.coords["feature"].values) == "abcdefghijklm"


@pytest.mark.parametrize("name", ["nb", "vae"])
def test_groups_can_be_chosen_and_are_the_same_alone(name: str) -> None:
    for group, values in tree(name).children.items():
        coords = NAMES if name == "nb" else None
        alone = to_arviz(fitted(name), draws=S, groups=[group], coords=coords)
        assert set(alone.children) == {group}
        assert alone[group].equals(values)
    some = to_arviz(fitted(name), draws=2, groups=("log_likelihood", "posterior"))
    assert list(some.children) == ["posterior", "log_likelihood"]
    with pytest.raises(DataError, match=r"groups: expected some of posterior, .*got 'likelihood'"):
        to_arviz(fitted(name), groups=["likelihood"])


@pytest.mark.parametrize("name", ["nb", "gmm", "lr"])
def test_draws_are_those_of_the_posterior(name: str) -> None:
    for k, v in fitted(name).draw(S, seed=0).items():
        assert np.array_equal(raw(tree(name).posterior[k])[0], v.numpy())


def test_naive_bayes_likelihood_by_hand() -> None:
    p, ll = tree("nb").posterior, tree("nb").log_likelihood
    mu, sd = raw(p["mu"])[0][:, WINE.y], raw(p["tau"])[0][:, WINE.y] ** -0.5
    expected = stats.norm.logpdf(WINE.x.numpy(), mu, sd).sum(-1)
    assert raw(ll["x"])[0] == pytest.approx(expected, rel=1e-10)
    assert raw(ll["y"])[0] == pytest.approx(np.log(raw(p["pi"])[0][:, WINE.y]), rel=1e-10)


def test_mixture_sums_components_out() -> None:
    p = tree("gmm").posterior
    mu, sd, x = raw(p["mu"])[0][:, None], raw(p["tau"])[0][:, None] ** -0.5, WINE.x.numpy()[:, None]
    each = stats.norm.logpdf(x, mu, sd).sum(-1) + np.log(raw(p["pi"])[0])[:, None]
    assert raw(tree("gmm").log_likelihood["x"])[0] == pytest.approx(logsumexp(each, -1), rel=1e-10)
    assert tree("gmm").log_likelihood.attrs["how"] == "z summed out exactly"


def test_prior_factors_by_hand() -> None:
    p, prior, model = tree("nb").posterior, tree("nb").log_prior, fitted("nb").prior
    a, b, strength = (float(getattr(model, k).flatten()[0]) for k in ("shape", "rate", "strength"))
    tau, mu = raw(p["tau"])[0], raw(p["mu"])[0]
    assert raw(prior["tau"])[0] == pytest.approx(stats.gamma.logpdf(tau, a, scale=1 / b).sum((1, 2)))
    each = stats.norm.logpdf(mu, 0, (strength * tau) ** -0.5)
    assert raw(prior["mu"])[0] == pytest.approx(each.sum((1, 2)))


@pytest.mark.parametrize("before", [True, False])
def test_predictions_follow_the_draw_beside_them(before: bool) -> None:
    """(x - mu) √tau of the class drawn is standard Normal: of the prior's draws, and of the posterior's."""
    t = tree("nb")
    p, new = (t["prior"], t["prior_predictive"]) if before else (t["posterior"], t["posterior_predictive"])
    y = raw(new["y"])[0].astype(int)
    mu, tau = (np.stack([v[c] for v, c in zip(raw(p[k])[0], y, strict=True)]) for k in ("mu", "tau"))
    z = (raw(new["x"])[0] - mu) * tau**0.5
    assert abs(z.mean()) < 5 / z.size**0.5
    assert abs((z**2).mean() - 1) < 5 * (2 / z.size) ** 0.5
    chosen = np.stack([np.bincount(row, minlength=3) for row in y]) - y.shape[1] * raw(p["pi"])[0]
    spread = (y.shape[1] * raw(p["pi"])[0] * (1 - raw(p["pi"])[0])).sum(0)
    assert (abs(chosen.sum(0)) < 5 * spread**0.5 + 1e-9).all()


def test_the_prior_is_what_was_believed_before() -> None:
    model = fitted("nb").prior
    a, b = (float(getattr(model, k).flatten()[0]) for k in ("shape", "rate"))
    gamma = stats.gamma(a, scale=1 / b)
    assert stats.kstest(raw(tree("nb").prior["tau"]).ravel(), gamma.cdf).pvalue > 1e-6
    assert stats.kstest(raw(tree("nb").posterior["tau"]).ravel(), gamma.cdf).pvalue < 1e-6


def test_exact_posteriors_have_the_evidence_at_every_draw() -> None:
    s = tree("nb").sample_stats
    assert raw(s["log_p"] - s["log_q"]) == pytest.approx(fitted("nb").log_evidence, abs=1e-8)
    half = fit(GaussianNaiveBayes(classes=3, features=13), x=WINE.x[::2], y=WINE.y[::2])
    both = fit(half, x=WINE.x[1::2], y=WINE.y[1::2])
    s = to_arviz(both, draws=3).sample_stats  # the last rows, with yesterday's posterior as prior
    assert raw(s["log_p"] - s["log_q"]) == pytest.approx(both.log_evidence - half.log_evidence, abs=1e-8)


@pytest.mark.parametrize("name", ["gmm", "lr", "vae"])
def test_log_p_minus_log_q_is_the_elbo_on_average(name: str) -> None:
    s = tree(name).sample_stats
    bound, error = fitted(name).estimate_elbo(draws=S, seed=1)
    difference = raw(s["log_p"] - s["log_q"])
    spread = np.hypot(error, difference.std() / np.sqrt(S))
    assert abs(difference.mean() - bound) < 5 * spread + 1e-3


@pytest.mark.parametrize("guide", ["mean_field", "full_rank"])
def test_automatic_guides_are_scored_and_their_auxiliaries_dropped(guide: str) -> None:
    svi = SVI(steps=150, guide=guide, progress=False)
    posterior = fit(LogisticRegression(classes=3, features=13), svi, x=WINE.x, y=WINE.y)
    t = to_arviz(posterior, draws=100)
    assert list(t.posterior.data_vars) == ["w"]
    bound, error = posterior.estimate_elbo(draws=100, seed=1)
    difference = raw(t.sample_stats["log_p"] - t.sample_stats["log_q"])
    assert abs(difference.mean() - bound) < 5 * np.hypot(error, difference.std() / 10)


def test_continued_svi_has_yesterday_as_its_prior() -> None:
    svi = SVI(steps=60, progress=False)
    first = fit(GaussianMixture(components=2, features=13), svi, x=WINE.x[::2])
    then = fit(first, svi, x=WINE.x[1::2])
    t = to_arviz(then, draws=40)
    yesterday = to_arviz(first, draws=40).posterior["mu"]
    spread = float(yesterday.std("draw").max())
    assert abs(float((t.prior["mu"].mean("draw") - yesterday.mean("draw")).max())) < 2 * spread
    bound, error = then.estimate_elbo(draws=40, seed=1)
    difference = raw(t.sample_stats["log_p"] - t.sample_stats["log_q"])
    assert abs(difference.mean() - bound) < 5 * np.hypot(error, difference.std() / np.sqrt(40))


class Line(ProbabilisticModel):
    """A row's continuous latent beside a shared one: log p(x | w) is Normal(w, 2 / t) in closed form."""

    joint = "p(w) p(z) p(x | z, w)"
    approximation = "q(w) q(z | x)"

    def __init__(self) -> None:
        super().__init__()
        self.loc = torch.nn.Parameter(torch.zeros(()))

    def model(self, n: int) -> None:
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(w + z, 1.0))

    def guide(self, n: int, x: torch.Tensor) -> None:
        pyro.sample("w", dist.Normal(self.loc, 0.1))
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal((x - self.loc) / 2, 0.8))


@pytest.mark.parametrize("guide", thinned([None, "mean_field", "full_rank"], 3))
def test_continuous_latents_of_rows_are_integrated_out(guide: str | None) -> None:
    x = torch.randn(5, generator=torch.Generator().manual_seed(3))
    t = to_arviz(fit(Line(), SVI(steps=200, guide=guide, progress=False), x=x), draws=50)
    assert t.posterior["z"].dims == ("chain", "draw", "row")
    if guide == "full_rank":  # rows and parameters have one joint factor: no proposal for a row by itself
        assert "log_likelihood" not in t.children
        return
    assert "importance sampling: 20 draws" in t.log_likelihood.attrs["how"]
    exact = stats.norm.logpdf(x.numpy(), raw(t.posterior["w"])[0][:, None], np.sqrt(2))
    # With p(z | x, w) one standard deviation from the guide, a weight has variance e - 1: of 20, sd 0.29.
    error = raw(t.log_likelihood["x"])[0] - exact
    assert (error**2).mean() ** 0.5 < 0.29
    assert abs(error.mean()) < 0.1


def test_missing_cells_are_nan_and_not_scored() -> None:
    x = WINE.x.clone()
    x[0, 3] = x[5, :] = torch.nan
    t = to_arviz(fit(GaussianNaiveBayes(classes=3, features=13), x=x, y=WINE.y), draws=4)
    assert np.array_equal(raw(t.observed_data["x"]), x.numpy(), equal_nan=True)
    p = t.posterior
    mu, sd = raw(p["mu"])[0][:, WINE.y], raw(p["tau"])[0][:, WINE.y] ** -0.5
    cells = np.nan_to_num(stats.norm.logpdf(x.numpy(), mu, sd))
    assert raw(t.log_likelihood["x"])[0] == pytest.approx(cells.sum(-1), rel=1e-10)
    s = t.sample_stats
    assert raw(s["log_p"] - s["log_q"]).std() < 1e-8


def test_other_rows_and_fewer_variables() -> None:
    t = to_arviz(fitted("nb"), draws=3, x=WINE.x[:7])
    assert list(t.log_likelihood.data_vars) == ["x"]
    assert t.log_likelihood.attrs["how"] == "y summed out exactly"
    assert t.sizes == {} or "row" not in t.sizes
    assert t.log_likelihood.sizes["row"] == 7
    assert "log_p" not in t.sample_stats  # it would weigh these rows' posterior, not the fitted one
    assert "log_p" in to_arviz(fitted("vae"), draws=3, x=PIXELS[:7]).sample_stats


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "draws"),
        ({"draws": True}, "draws"),
        ({"draws": 10**6}, "GiB"),
        ({"seed": -1}, "seed"),
        ({"dims": {"mu": ["class"]}}, "'mu'"),
        ({"dims": {"nu": ["class"]}}, "'nu'"),
        ({"coords": {"klass": [1]}}, "'klass'"),
        ({"coords": {"class": ["a"]}}, "3 labels of 'class'"),
        ({"x": WINE.x[:0]}, "rows"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_arviz(fitted("nb"), **{"draws": 2, **options})


def test_changed_and_absent_data_are_refused() -> None:
    from dataclasses import replace

    x = WINE.x[:20].numpy().copy()
    posterior = fit(GaussianNaiveBayes(classes=3, features=13), x=x, y=WINE.y[:20])
    absent = replace(posterior, data=None)
    with pytest.raises(DataError, match="pass them by name, x=…, y=…"):
        to_arviz(absent, groups=["posterior", "log_likelihood"])
    rowless = to_arviz(absent, draws=3, seed=1)
    assert list(rowless.children) == ["posterior", "prior"]
    assert "for the other groups pass x=…, y=…" in rowless.attrs["note"]
    assert rowless.posterior.equals(to_arviz(posterior, draws=3, seed=1).posterior)
    assert posterior.data is not None
    posterior.data.observed["x"][0, 0] += 1
    with pytest.raises(DataError, match="changed in place"):
        to_arviz(posterior)
    assert to_arviz(posterior, draws=2, x=x, y=WINE.y[:20]).posterior.sizes["draw"] == 2


def test_all_global_state_is_as_before() -> None:
    def state() -> tuple[Any, ...]:
        return (
            torch.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            sorted(pyro.get_param_store()),
            torch.distributions.Distribution._validate_args,
            dict(matplotlib.rcParams),
            list(warnings.filters),
        )

    before = state()
    first = to_arviz(fitted("vae"), draws=3)
    summary(first)
    assert state() == before
    assert first.equals(to_arviz(fitted("vae"), draws=3))


@pytest.mark.parametrize("name", ROWS)
def test_survives_a_file(name: str, tmp_path: Path) -> None:
    tree(name).to_netcdf(tmp_path / "tree.nc")
    with xarray.open_datatree(tmp_path / "tree.nc") as again:
        assert set(again.children) == set(tree(name).children)
        for group, values in tree(name).children.items():
            xarray.testing.assert_allclose(again[group].to_dataset(), values.to_dataset())
            assert dict(again[group].attrs) == dict(values.attrs)


# What ArviZ does with the trees -----------------------------------------------------------------------------


@pytest.fixture
def _advice() -> Iterator[None]:
    """ArviZ may advise: these fits are short, classes are no continuous variable."""
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)
        warnings.filterwarnings("ignore", "(?s).*(discrete variable|look discrete)", UserWarning)
        warnings.filterwarnings("ignore", ".*looks? binary", UserWarning)
        yield
    plt.close("all")


@pytest.mark.parametrize("name", thinned(ROWS, 4))
def test_summary_has_no_convergence_statistics(name: str) -> None:
    for what in (fitted(name), tree(name)):
        table = summary(what, var_names=["z"] if name == "vae" else None)
        assert not [c for c in table.columns if "hat" in c or "ess" in c or "mcse" in c]
        assert {"mean", "sd"} <= set(table.columns)
    with pytest.raises(DataError, match="independent"):
        summary(tree(name), kind="all")


@pytest.mark.parametrize("verb", [to_arviz, summary])
@pytest.mark.parametrize(
    ("model", "called"),
    [
        (GaussianNaiveBayes(classes=2, features=1), "GaussianNaiveBayes"),
        (LogisticRegression(classes=2, features=1), "LogisticRegression"),
        (VAE, "the class VAE"),
        (None, "NoneType"),
    ],
)
def test_a_model_that_was_not_fitted_is_refused_in_words(verb: Any, model: Any, called: str) -> None:
    with pytest.raises(DataError, match=f"posterior: expected .*got {called}"):
        verb(model)


def test_summary_rounds_each_row_to_two_digits_of_its_spread() -> None:
    """A row of a large spread keeps two decimals, and one of a tiny spread as many as tell two digits."""
    sds = [123.456, 0.05678, 1.2345e-6]
    draws = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    less = 0 if is_legacy() else 1  # what ArviZ's own sd divides by: draws, or one less
    draws = (draws - draws.mean(0)) / draws.std(0, correction=less) * torch.tensor(sds, dtype=torch.float64)
    values = {"w": (("chain", "draw", "size"), draws[None].numpy() + np.array([1.0, 0.123456, 1e-3]))}
    given = xarray.DataTree.from_dict({"posterior": xarray.Dataset(values)})
    given["posterior"].attrs["independent_draws"] = "yes"
    table = summary(given)
    assert table["sd"].tolist() == [123.46, 0.057, 1.2e-6]
    assert table["mean"].tolist() == [1.0, 0.123, 1e-3]
    exact = summary(given, round_to="none")
    assert exact["sd"].tolist() == pytest.approx(sds, rel=1e-9)
    for column in table.columns:
        for shown, true, place in zip(table[column], exact[column], (2, 3, 7), strict=True):
            assert shown == round(true, place)
    constant = {"w": (("chain", "draw"), np.full((1, 50), 0.123456))}
    given = xarray.DataTree.from_dict({"posterior": xarray.Dataset(constant)})
    given["posterior"].attrs["independent_draws"] = "yes"
    assert summary(given).loc["w", "mean"] == 0.12


def test_summary_of_a_chain_is_that_of_arviz() -> None:
    rng = np.random.default_rng(0)
    draws = xarray.Dataset({"w": (("chain", "draw"), rng.normal(size=(4, 100)))})
    assert "r_hat" in summary(xarray.DataTree.from_dict({"posterior": draws})).columns


@pytest.mark.usefixtures("_advice")
@pytest.mark.parametrize("name", ROWS)
def test_loo_and_plots(name: str) -> None:
    import arviz_plots
    import arviz_stats

    t, scored = tree(name), SCORED[name]
    found = arviz_stats.loo(t, var_name=scored)
    assert np.isfinite(found.elpd)
    assert found.n_data_points == ROWS[name]
    parameter = next(iter(t.posterior.data_vars))
    dim = t.posterior[parameter].dims[2]
    some = {dim: t.posterior.coords[dim].values[:2]}
    arviz_plots.plot_dist(t, var_names=[parameter], coords=some, backend="matplotlib")
    arviz_plots.plot_ppc_dist(t, var_names=[scored], num_samples=5, backend="matplotlib")


@pytest.mark.usefixtures("_advice")
@pytest.mark.parametrize("name", ROWS)
def test_both_lines_of_arviz_take_the_tree(name: str) -> None:
    import arviz

    t, scored = tree(name), SCORED[name]
    if not arviz.__version__.startswith("0."):
        assert np.isfinite(arviz.loo(t, var_name=scored).elpd)
        return
    data = arviz.from_datatree(t)
    assert np.isfinite(arviz.loo(data, var_name=scored).elpd_loo)
    parameter = next(iter(t.posterior.data_vars))
    dim = t.posterior[parameter].dims[2]
    first = {dim: t.posterior.coords[dim].values[:1]}
    arviz.plot_posterior(data, var_names=[parameter], coords=first)
    arviz.plot_ppc(data, var_names=[scored], num_pp_samples=5)
