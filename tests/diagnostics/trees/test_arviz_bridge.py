"""What ArviZ's functions mean, in both generations: signs, shapes, and what a guide's draws need."""

import importlib.util
import math
import warnings
from functools import cache
from typing import Any

import arviz_base
import arviz_stats
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray
from pyro.infer import Predictive
from scipy import stats
from scipy.special import logsumexp

from ppl_gen import SVI, fit
from ppl_gen.data import wine
from ppl_gen.diagnostics import cells, compare_models, loo, loo_pit, to_arviz, to_inference_data
from ppl_gen.diagnostics.trees.arviz_bridge import as_draws, is_legacy, leave_one_out
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.evidence import pareto_k
from ppl_gen.isolation import isolated
from ppl_gen.models import GaussianMixture, GaussianNaiveBayes

LEGACY = is_legacy()
WINE = wine().standardized()
DATA = {"x": WINE.x[::4, :3], "y": WINE.y[::4]}

pytestmark = pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")


@cache
def exact() -> xarray.DataTree:
    return to_arviz(fit(GaussianNaiveBayes(classes=3, features=3), **DATA), draws=300)


@cache
def guided() -> xarray.DataTree:
    mixture = GaussianMixture(components=3, features=3)
    return to_arviz(fit(mixture, SVI(steps=60, progress=False), x=DATA["x"]), draws=300)


def draws(values: Any) -> xarray.DataArray:
    return xarray.DataArray(np.atleast_2d(values), dims=("chain", "draw"))


def heavy(draws: int = 2000) -> Any:
    return np.random.default_rng(0).standard_t(3, size=draws)


def test_the_accessor_takes_a_log_likelihood_and_negates_it() -> None:
    weights = heavy()
    as_weights = float(pareto_k(torch.tensor(weights)))  # our own, of log weights
    by_likelihood = float(draws(-weights).azstats.psislw()[1])
    assert abs(by_likelihood - as_weights) < 0.05  # the tail begins at another draw
    assert abs(float(draws(weights).azstats.psislw()[1]) - as_weights) > 0.1


@pytest.mark.skipif(not LEGACY, reason="ArviZ 1 has no psislw of its own")
def test_the_legacy_function_takes_log_weights() -> None:
    import arviz

    weights = heavy()
    legacy = float(arviz.psislw(weights)[1])
    assert legacy == pytest.approx(float(pareto_k(torch.tensor(weights))), rel=1e-9)
    assert abs(legacy - float(draws(weights).azstats.psislw()[1])) > 0.1


def test_equal_weights_are_an_error_there_and_minus_infinity_here() -> None:
    with pytest.raises(ValueError, match="All tail values are the same"):
        draws(np.full(500, -3.2)).azstats.psislw()
    assert pareto_k(torch.full((500,), -3.2)[:, None]).item() == -math.inf


def test_an_exact_guide_has_equal_weights() -> None:
    s = exact()["sample_stats"]
    weights = torch.tensor((s["log_p"] - s["log_q"]).values[0])
    assert weights.std() < 1e-9
    assert pareto_k(weights[:, None]).item() == -math.inf
    approximate = arviz_stats.loo_approximate_posterior(
        exact(), log_p=s["log_p"], log_q=s["log_q"], var_name="x", pointwise=True
    )
    assert approximate.elpd == pytest.approx(arviz_stats.loo(exact(), var_name="x").elpd, abs=1e-6)


def test_plain_loo_cannot_see_a_wrong_guide() -> None:
    narrow = np.random.default_rng(1)
    n, draws_, sd = 20, 1000, 0.3  # the posterior of a normal's mean has sd 20 ** -0.5, the guide 0.3 of it
    x = narrow.normal(size=n)
    mu = x.mean() + sd * n**-0.5 * narrow.normal(size=draws_)
    rows = stats.norm.logpdf(x, mu[:, None], 1)
    log_q = stats.norm.logpdf(mu, x.mean(), sd * n**-0.5)
    groups = {
        "posterior": {"mu": mu[None]},
        "log_likelihood": {"x": rows[None]},
        "log_prior": {"mu": np.zeros((1, draws_))},
        "sample_stats": {"log_p": rows.sum(1)[None], "log_q": log_q[None]},
    }
    tree = arviz_base.from_dict(groups)
    plain = arviz_stats.loo(tree, var_name="x", pointwise=True)
    assert plain.pareto_k.max() < 0.7 < loo(tree).k_hat.min()
    del groups["sample_stats"]
    assert loo(arviz_base.from_dict(groups)).elpd == pytest.approx(plain.elpd)


def test_one_chain_of_draws_or_loo_fails() -> None:
    assert guided().posterior["mu"].dims[:2] == ("chain", "draw")
    assert guided().posterior.sizes["chain"] == 1
    flat = xarray.DataTree.from_dict(
        {
            name: guided()[name].to_dataset().isel(chain=0, drop=True).rename(draw="sample")
            for name in ("posterior", "log_likelihood")
        }
    )
    with pytest.raises((ValueError, KeyError, AttributeError, TypeError)):
        arviz_stats.loo(flat, var_name="x")


def test_predictive_adds_dimensions_and_the_tree_does_not() -> None:
    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        with pyro.plate("rows", 4):
            pyro.sample("x", dist.Normal(mu[..., :1], 1.0), obs=torch.zeros(4))

    def guide() -> None:
        pyro.sample("mu", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    with isolated(0):
        found = Predictive(model, guide=guide, num_samples=3, parallel=True)()
    assert found["mu"].shape == (3, 1, 2)  # a singleton of its own
    tree = to_arviz(guide, model, draws=3)
    assert tree.posterior["mu"].shape == (1, 3, 2)
    assert tree.posterior_predictive["x"].shape == (1, 3, 4)


def test_the_dictionary_has_groups_in_it() -> None:
    tree = arviz_base.from_dict({"posterior": {"mu": np.zeros((1, 5, 2))}})
    assert tree.posterior["mu"].dims == ("chain", "draw", "mu_dim_0")


def test_the_enumerated_likelihood_of_a_mixture() -> None:
    p = guided().posterior
    mu, sd, x = p["mu"].values[0][:, None], p["tau"].values[0][:, None] ** -0.5, DATA["x"].numpy()[:, None]
    each = stats.norm.logpdf(x, mu, sd).sum(-1) + np.log(p["pi"].values[0])[:, None]
    assert guided().log_likelihood["x"].values[0] == pytest.approx(logsumexp(each, -1), abs=1e-6)


def test_the_limit_of_k_hat_is_that_of_the_number_of_draws() -> None:
    found = loo(exact(), "x")
    assert found.limit == found.elpd_data.good_k == pytest.approx(min(1 - 1 / math.log10(300), 0.7))


def test_comparison_is_arviz_s_but_for_its_sign() -> None:
    trees = {"exact": only_x(exact()), "guided": guided()}
    found = {name: loo(tree, "x") for name, tree in trees.items()}
    ours = compare_models(trees, "x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = arviz_stats.compare({name: each.elpd_data for name, each in found.items()})
    assert list(theirs.index) == list(ours.names)
    table, (best, worst) = ours.table(), ours.names
    assert ours.differences[0] == 0
    assert float(ours.differences[1]) == pytest.approx(found[worst].elpd - found[best].elpd)
    assert ours.differences[1] < 0
    assert (float(theirs.loc[worst, "elpd_diff"]) > 0) == LEGACY  # the flip
    apart = found[worst].rows - found[best].rows
    assert float(ours.standard_errors[1]) == pytest.approx(float(apart.std()) * len(apart) ** 0.5)
    if LEGACY:  # 1 rounds to text
        assert float(theirs.loc[worst, "dse"]) == pytest.approx(float(ours.standard_errors[1]), rel=0.02)
    for name in trees:
        assert table.loc[name, "k-hat too high"] == int((found[name].k_hat > found[name].limit).sum())
        assert float(theirs.loc[name, "weight"]) == pytest.approx(table.loc[name, "weight"], abs=0.02)


def only_x(tree: xarray.DataTree) -> xarray.DataTree:
    """Without the classes' likelihood, so that leaving out x leaves out the row, as ArviZ has it."""
    groups = {name: group.to_dataset() for name, group in tree.children.items()}
    groups["log_likelihood"] = groups["log_likelihood"][["x"]]
    return xarray.DataTree.from_dict({"/": tree.to_dataset(), **groups})


def test_loo_of_a_guide_weighs_its_draws() -> None:
    s = guided()["sample_stats"]
    weights = {key: s[key] for key in ("log_p", "log_q")}
    theirs = arviz_stats.loo_approximate_posterior(guided(), **weights, var_name="x", pointwise=True)
    ours = loo(guided())
    assert ours.rows.numpy() == pytest.approx(theirs.elpd_i.values)
    assert ours.k_hat.numpy() == pytest.approx(theirs.pareto_k.values, abs=1e-6)
    plain = arviz_stats.loo(guided(), var_name="x", pointwise=True)
    assert abs(ours.rows.numpy() - plain.elpd_i.values).max() > 1e-3
    mixture = fit(GaussianMixture(components=3, features=3), SVI(steps=60, progress=False), x=DATA["x"])
    found = leave_one_out(mixture, draws=300)
    rows = (found.log_weights + found.log_likelihood).logsumexp(0)
    assert rows.numpy() == pytest.approx(theirs.elpd_i.values)
    assert found.k_hat.numpy() == pytest.approx(theirs.pareto_k.values)
    assert found.limit == theirs.good_k


def test_a_tree_and_its_posterior_have_one_loo() -> None:
    """The same draws, the same rows left out whole: the same numbers, which compare."""
    posterior = fit(GaussianNaiveBayes(classes=3, features=3), **DATA)
    of_posterior, of_tree = loo(posterior, by="PSIS", draws=300), loo(exact())
    torch.testing.assert_close(of_tree.rows, of_posterior.rows)
    torch.testing.assert_close(of_tree.k_hat, of_posterior.k_hat, rtol=0, atol=1e-5)
    assert (of_tree.question, of_tree.model) == ("p(y, x)", "GaussianNaiveBayes")
    assert of_tree.limit == of_posterior.limit
    assert of_tree.fingerprint == of_posterior.fingerprint
    assert of_tree.p_loo == pytest.approx(of_posterior.p_loo)
    parts = [loo(exact(), name) for name in ("y", "x")]
    assert [part.question for part in parts] == ["p(y)", "p(x | y)"]
    assert all(torch.equal(part.k_hat, of_tree.k_hat) for part in parts)  # the row is left out whole
    same = loo(posterior, "p(x | y)", by="PSIS", draws=300)
    torch.testing.assert_close(parts[1].rows, same.rows)
    torch.testing.assert_close(loo(exact(), "p(x | y)").rows, same.rows)
    both = compare_models({"tree": exact(), "posterior": of_posterior})
    assert float(both.differences.abs().max()) == pytest.approx(0, abs=1e-8)
    assert list(loo_pit(exact()).found) == list(loo_pit(posterior, draws=300).found)


def test_draws_come_chain_after_chain() -> None:
    values = xarray.DataArray(np.arange(12.0).reshape(2, 2, 3), dims=("row", "chain", "draw"))
    assert as_draws(values).tolist() == [[i, i + 6] for i in range(6)]


def test_loo_pit_is_arviz_s_where_that_runs() -> None:
    tree = only_x(exact())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = arviz_stats.loo_pit(cells(tree, "x"), var_names=["x"], random_state=0)["x"].values
    ours = loo_pit(tree).found
    each = np.stack([ours[f"x[{j}]"].values for j in range(3)], 1).ravel()
    assert each == pytest.approx(theirs, abs=1 / 300)  # ours count the value itself as one more draw
    flat = cells(exact(), "x")
    assert np.array_equal(flat.observed_data["x"].values, DATA["x"].numpy().ravel())
    assert np.array_equal(
        flat.posterior_predictive["x"].values[0], exact().posterior_predictive["x"].values[0].reshape(300, -1)
    )
    assert np.array_equal(
        flat.log_likelihood["x"].values[0], np.repeat(exact().log_likelihood["x"].values[0], 3, 1)
    )


def test_missing_cells_have_no_place_among_predictions() -> None:
    x = DATA["x"].clone()
    x[0, 1] = math.nan
    t = to_arviz(fit(GaussianNaiveBayes(classes=3, features=3), x=x, y=DATA["y"]), draws=50)
    sizes = {name: len(u.values) for name, u in loo_pit(t).found.items()}
    assert sizes == {"y": 45, "x[0]": 45, "x[1]": 44, "x[2]": 45}
    assert cells(t, "x").observed_data.sizes["cell"] == x.numel() - 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: loo(t, "z"), DataError, "expected one of y, x, or p"),
        (lambda t: loo(t, "p(y | x)"), Unanswerable, r"tree holds p\(y\), p\(x \| y\) of each row"),
        (lambda t: loo(t, by="refit"), DataError, "take the posterior itself"),
        (lambda t: loo(t, draws=9), DataError, "draws of its own"),
        (lambda t: loo_pit(t, draws=9), DataError, "draws of its own"),
        (lambda t: cells(t, "z"), DataError, "observed variable, got 'z'"),
        (lambda t: loo(t.isel(draw=slice(9))), DataError, "25 draws or more.*got 9"),
        (lambda t: compare_models({"one": t}), DataError, "two posteriors or more"),
        (lambda t: compare_models({"one": t, "two": 3}), DataError, "a posterior, a tree, or"),
        (lambda t: loo(without(t, "log_likelihood")), DataError, "log_likelihood group"),
        (lambda t: loo_pit(without(t, "posterior_predictive")), DataError, "posterior_predictive: to_arviz"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call(exact())


def without(tree: xarray.DataTree, group: str) -> xarray.DataTree:
    return xarray.DataTree.from_dict({k: v.to_dataset() for k, v in tree.children.items() if k != group})


def test_the_container_of_arviz_0() -> None:
    if not LEGACY:
        with pytest.raises(DataError, match="has no InferenceData"):
            to_inference_data(exact())
        return
    import arviz

    data = to_inference_data(exact())
    assert isinstance(data, arviz.InferenceData)
    assert set(data.groups()) == set(exact().children)
    assert np.array_equal(data.posterior["mu"].values, exact().posterior["mu"].values)
    assert data.log_likelihood["x"].dims == ("chain", "draw", "row")
    assert arviz.loo(data, var_name="x").elpd_loo == pytest.approx(loo(exact(), "x").elpd, abs=0.5)


@pytest.mark.skipif(importlib.util.find_spec("zarr") is None, reason="the extra [zarr] is not installed")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*Zarr:UserWarning")
def test_survives_a_zarr_store(tmp_path: Any) -> None:
    for tree in (exact(), guided()):
        tree.to_zarr(tmp_path / "tree.zarr", mode="w")
        with xarray.open_datatree(tmp_path / "tree.zarr", engine="zarr") as again:
            assert set(again.children) == set(tree.children)
            for group, values in tree.children.items():
                xarray.testing.assert_equal(again[group].to_dataset(), values.to_dataset())
                assert dict(again[group].attrs) == dict(values.attrs)
