"""Predictive checks: exact where counts are, calibrated where rows are held out, and misfit found by name."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from ppl_gen import EM, SVI, ProbabilisticModel, fit, models
from ppl_gen.core import dtype_of, is_local, run, variables
from ppl_gen.diagnostics import predictive_check
from ppl_gen.diagnostics.criticism import statistics
from ppl_gen.diagnostics.criticism.misfit import adjusted_tails, tails
from ppl_gen.diagnostics.criticism.replications import replications
from ppl_gen.errors import DataError
from ppl_gen.models import (
    BernoulliNaiveBayes,
    GaussianMixture,
    GaussianNaiveBayes,
    LinearRegression,
    LogisticRegression,
)
from ppl_gen.notation import Factorization
from tests.readme import example

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
X[5, 1] = X[7, 2] = np.nan


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


# The statistics ---------------------------------------------------------------------------------------------


def test_statistics_are_those_of_scipy_on_the_cells_that_are_there():
    for j, column in enumerate(X.T):
        x = column[~np.isnan(column)]
        expected = [x.mean(), x.std(), x.min(), x.max(), stats.skew(x), 0.0, len(x)]
        found = [of(X)[j] for of in statistics.COLUMNS.values()]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    whole = X[~np.isnan(X).any(1)]
    np.testing.assert_allclose(statistics.correlations(whole), np.corrcoef(whole.T)[np.triu_indices(3, 1)])
    largest = np.linalg.eigvalsh(np.corrcoef(whole.T))[-1] / 3
    np.testing.assert_allclose(statistics.common(whole), [largest])
    assert statistics.distinct(np.array([[2.0], [2.0], [np.nan]])).tolist() == [1.0]


def test_defaults_suit_the_kind_of_each_variable():
    y = np.arange(60) % 2.0
    counts = RNG.poisson(3.0, 60).astype(float)

    def labels(**values):
        found = statistics.statistics_of(None, values, values, {"y": 2} if "y" in values else {})
        return [label for statistic in found for label in statistic.labels]

    assert labels(x=X[:, 0]) == [f"{s} of x" for s in ("mean", "sd", "min", "max", "skew")]
    assert labels(x=counts) == [f"{s} of x" for s in ("mean", "sd", "max", "zeros", "distinct")]
    assert labels(x=y) == ["mean of x"]
    assert labels(y=y) == ["share of y = 0", "share of y = 1"]
    both = labels(x=X[:, :2], y=y)
    assert "sd of x[1] in y = 0" in both
    assert "correlation of x[0] and x[1] within y" in both
    wide = labels(x=RNG.normal(size=(60, 20)), y=y)
    assert "mean of the sum of x in y = 1" in wide
    assert "variance of x in one direction within y" in wide


# Tail probabilities -----------------------------------------------------------------------------------------


def test_adjusted_tails_flag_sound_data_as_often_as_they_say():
    """Exact for draws that are alike, however the statistics depend on one another or repeat values."""
    rng, rounds, draws = np.random.default_rng(), 2000, 39
    alarms = 0
    for _ in range(rounds):
        every = rng.normal(size=(draws + 1, 3))
        every = np.column_stack([every, every[:, 0] + 0.1 * every[:, 1], every[:, 2].round(), np.exp(every)])
        alarms += adjusted_tails(every[-1], every[:-1]).min() <= 0.05
    low, high = stats.binom.ppf(5e-7, rounds, 0.05), stats.binom.isf(5e-7, rounds, 0.05)
    assert low <= alarms <= high  # 2 of 40 orders


def test_a_tail_is_a_share_of_draws():
    replicated = np.arange(99.0)[:, None]
    p, error = tails(np.array([96.5]), replicated)
    assert p[0] == pytest.approx(2 * 3 / 100)
    assert error[0] == pytest.approx(2 * np.sqrt(0.03 * 0.97 / 100))
    assert tails(np.array([49.0]), replicated)[0][0] == 1
    assert tails(np.array([5.0]), np.full((9, 1), 5.0))[0][0] == 1  # no spread, and no surprise


@pytest.mark.parametrize("kind", ["posterior", "prior", "held out"])
def test_replications_of_counts_are_beta_binomial(kind):
    """pi is Beta, so the count of a class in a replication is Beta-binomial, in each kind of check."""
    y = torch.tensor([0] * 24 + [1] * 16)
    x = torch.zeros(40, 1)
    posterior = fit(BernoulliNaiveBayes(classes=2, features=1, concentration=1.5), x=x, y=y)
    draws, n, seen = 800, 40, np.array([24, 16])
    if kind == "prior":
        check, seen = predictive_check(posterior, ["shares"], prior=True, draws=draws), np.zeros(2)
    elif kind == "held out":
        new = {"x": torch.zeros(10, 1), "y": torch.tensor([1] * 10)}
        check, n = predictive_check(posterior, ["shares"], draws=draws, **new), 10
    else:
        check = predictive_check(posterior, ["shares"], draws=draws)
    assert check.kind == kind
    counts = (check.replicated[:, 0] * n).round()
    law = stats.betabinom(n, *(1.5 + seen))
    every = np.arange(n + 1)
    found = np.bincount(counts.astype(int), minlength=n + 1)
    keep = law.pmf(every) * draws > 5
    expected = np.append(law.pmf(every)[keep], law.pmf(every)[~keep].sum()) * draws
    found = np.append(found[keep], found[~keep].sum())
    kept = expected > 0
    assert stats.chisquare(found[kept], expected[kept]).pvalue > 1e-6


@pytest.mark.slow
def test_held_out_checks_are_calibrated_and_fitted_ones_shy():
    """Data from the prior: held-out tails are uniform; a mean that was fitted is never a surprise."""
    rounds, tail, shy, alarms = 100, [], [], 0
    model = BernoulliNaiveBayes(classes=2, features=2)
    for _ in range(rounds):
        pi, theta = torch.rand(2)[0], torch.rand(2, 2)
        y = (torch.rand(80) < pi).long()
        x = (torch.rand(80, 2) < theta[y]).double()
        posterior = fit(model, x=x, y=y)
        held = predictive_check(posterior, ["mean", "correlation"], split=True, draws=99)
        tail.append(held.p_values[0])
        alarms += held.adjusted.min() <= 0.05
        shy.append(predictive_check(posterior, ["mean"], draws=99).p_values[0])
    assert alarms <= stats.binom.isf(1e-6, rounds, 0.05)
    assert abs(np.mean(tail) - 0.52) < 4.9 / np.sqrt(12 * rounds)  # ties push it up a little
    assert np.mean(shy) > np.mean(tail) + 0.1
    assert sum(p <= 0.05 for p in shy) == 0


# What is found ----------------------------------------------------------------------------------------------


def test_naive_bayes_misses_correlated_columns():
    y = torch.arange(120) % 2
    base = torch.tensor(RNG.normal(size=(120, 1)))
    x = torch.cat([base, base + 0.3 * torch.tensor(RNG.normal(size=(120, 1)))], 1) + 3 * y[:, None]
    posterior = fit(GaussianNaiveBayes(classes=2, features=2), x=x, y=y)
    check = predictive_check(posterior, draws=200, names={"x": ["wide", "long"]})
    assert check.misfit[0] == "correlation of wide and long within y"
    assert "hides misfit" in check.verdict()
    assert check.table()["statistic"][0] == check.misfit[0]
    assert len(check.figure().axes) == 9
    assert [ax.get_xlabel() for ax in check.figure("x").axes] == ["wide", "long"]
    assert "<svg" in check._repr_html_()
    sound = predictive_check(posterior, ["mean", "sd", "shares"], draws=200)
    assert not sound.misfit  # what has a parameter of its own is fitted
    assert "no proof" in sound.verdict()


def test_a_regression_that_bends_is_found_by_a_function_of_ones_own():
    x = torch.linspace(-2, 2, 80, dtype=torch.float64)[:, None]
    y = x[:, 0] ** 2 + 0.1 * torch.tensor(RNG.normal(size=80))
    posterior = fit(LinearRegression(features=1), x=x, y=y)

    def bend(x, y):
        return np.corrcoef(x[:, 0] ** 2, y)[0, 1]

    check = predictive_check(posterior, {"bend": bend, "mean": "mean"}, draws=100)
    assert check.names == ("bend", "mean of y")
    assert check.misfit == ("bend",)
    assert check.adjusted[1] > 0.05
    assert "correlation of y and x[0]" in predictive_check(posterior, draws=20).names


class Groups(ProbabilisticModel):
    joint = "p(mu) p(y | mu, group)"

    def model(self, group):
        mu = pyro.sample("mu", dist.Normal(0.0, 10.0))
        with pyro.plate("data", len(group)):
            return pyro.sample("y", dist.Normal(mu + 0.0 * group, 1.0))


def test_statistics_take_what_the_joint_is_given():
    group = torch.arange(30) % 3
    y = torch.tensor(RNG.normal(size=30)) + 4.0 * (group == 2)
    posterior = fit(Groups(), SVI(steps=50, progress=False), y=y, group=group)

    def by_name(y, group):
        return [y[group == k].mean() for k in range(3)]

    def all_given(y, *, given):
        return np.bincount(given["group"], y) / np.bincount(given["group"])  # whole numbers stay whole

    one, other = (predictive_check(posterior, {"mean": f}, draws=50) for f in (by_name, all_given))
    assert one.names == ("mean[0]", "mean[1]", "mean[2]")
    assert np.allclose(one.replicated, other.replicated)
    assert np.allclose(one.observed, [y[group == k].mean() for k in range(3)])
    assert "mean[2]" in one.misfit
    with pytest.raises(DataError, match="such as lambda group, y: …, of group, y; or of given, a mapping"):
        predictive_check(posterior, {"mean": lambda y, groups: 0.0})


def test_each_variable_may_be_drawn_given_what_was_observed():
    y = torch.arange(40) % 2
    posterior = fit(GaussianNaiveBayes(2, 1), x=20.0 * y[:, None] + torch.randn(40, 1), y=y)
    data = posterior.fitted_data()
    for one in replications(posterior, data, 20, 0, each=True):
        assert ((one["x"][:, 0] > 10) == (y.numpy() == 1)).all()  # the class observed, not the one drawn
        assert (one["y"] != y.numpy()).any()
    assert any(
        ((one["x"][:, 0] > 10) != (y.numpy() == 1)).any() for one in replications(posterior, data, 20, 0)
    )


def test_missing_cells_are_missing_in_replications_too():
    posterior = fit(GaussianMixture(components=1, features=3), EM(), x=X)
    seen = []

    def share(x):
        seen.append(np.isnan(x))
        return np.isnan(x).mean()

    check = predictive_check(posterior, {"gaps": share, "sd": "sd"}, draws=20)
    assert all((mask == np.isnan(X)).all() for mask in seen)
    assert check.p_values[0] == 1
    assert "point" in check.verdict()


def test_absurd_priors_are_told():
    wide = GaussianNaiveBayes(classes=2, features=1, loc=1e4)
    check = predictive_check(wide, x=X[:, :1], y=np.arange(60) % 2, draws=50)
    assert check.kind == "prior"
    assert check.absurd["x"] > 0.9
    assert "Narrow the prior" in check.verdict()
    assert "mean of x[0]" in check.misfit


def test_the_same_seed_gives_the_same_check_and_leaves_no_trace():
    posterior = fit(
        LogisticRegression(classes=2, features=1),
        SVI(steps=20, progress=False),
        x=X[:, :1],
        y=np.arange(60) % 2,
    )
    before = torch.random.get_rng_state()
    first, again = (predictive_check(posterior, draws=30, split=True, seed=3) for _ in range(2))
    assert (first.replicated == again.replicated).all()
    assert (torch.random.get_rng_state() == before).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistics": ["men"]}, "mean"),
        ({"statistics": {"a": lambda z: 0}}, "function of variables"),
        ({"statistics": {"a": lambda x: np.nan}}, "finite number"),
        ({"level": 1.0}, "level"),
        ({"draws": 3}, "draws"),
        ({"names": {"z": ["a"]}}, "names"),
        ({"names": {"x": ["a"]}}, "names"),
        ({"prior": True, "split": True}, "split"),
    ],
)
def test_what_cannot_be_checked_is_refused(options, message):
    posterior = fit(GaussianMixture(components=1, features=3), EM(), x=X)
    with pytest.raises(DataError, match=message):
        predictive_check(posterior, **options)


def test_what_bare_pyro_fitted_is_shown_the_way():
    svi = pyro.infer.SVI(lambda: None, lambda: None, pyro.optim.Adam({}), pyro.infer.Trace_ELBO())
    with pytest.raises(DataError, match=r"got SVI\. Of bare Pyro, to_arviz.* has posterior_predictive"):
        predictive_check(svi)


def test_a_model_alone_needs_data():
    with pytest.raises(DataError, match="pass rows of"):
        predictive_check(GaussianMixture(components=1, features=3))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(models.__all__))
def test_every_model_can_be_checked(name):
    model = example(getattr(models, name))
    given = {}
    for v in Factorization(model.joint).given:
        codes = model.given_levels(v)
        given[v] = (
            torch.arange(12) % codes
            if codes
            else torch.rand(12, *(model.given_shape(v) or (2,)), dtype=dtype_of(model))
        )
    trace = variables(run(model.model, {**given, "n": 12}))
    rows = {k: site["value"].detach() for k, site in trace.items() if is_local(site) and k != "z"}
    posterior = fit(
        model, SVI(steps=20, progress=False) if hasattr(model, "svi") and model.svi else None, **rows, **given
    )
    check = predictive_check(posterior, draws=20)
    assert np.isfinite(check.adjusted).all()
