"""`BayesianLinearRegression` against its twin, number by number, and its exact posterior."""

import numpy as np
import pytest
import sklearn.linear_model
from sklearn.datasets import load_diabetes

from ppl_gen import ask, to_arviz
from ppl_gen.estimators import BayesianLinearRegression

X, Y = load_diabetes(return_X_y=True)
X, Y = X[:120], Y[:120]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"fit_intercept": False},
        {"alpha_1": 0.1, "alpha_2": 0.2, "lambda_1": 0.3, "lambda_2": 0.4},
        {"alpha_init": 2.0, "lambda_init": 1e-3, "max_iter": 3, "tol": 1e-9},
    ],
    ids=str,
)
def test_same_numbers_as_the_twin(settings):
    weight = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
    for x, sample_weight in (
        (X, None),
        (X, weight),
        (X[:, :1], None),
        (np.c_[X, X[:, ::-1] ** 2][:15], None),
    ):
        y = Y[: len(x)]
        ours = BayesianLinearRegression(compute_score=True, **settings).fit(x, y, sample_weight)
        twin = sklearn.linear_model.BayesianRidge(compute_score=True, **settings).fit(x, y, sample_weight)
        assert ours.n_iter_ == twin.n_iter_
        for name in (
            "coef_",
            "intercept_",
            "alpha_",
            "lambda_",
            "sigma_",
            "scores_",
            "X_offset_",
            "X_scale_",
        ):
            mine, theirs = np.asarray(getattr(ours, name)), np.asarray(getattr(twin, name))
            if name == "scores_" and ours.n_iter_ == settings.get("max_iter"):
                mine, theirs = mine[:-1], theirs[:-1]  # the twin's last mixes two steps
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8 * scale, err_msg=name)
        np.testing.assert_allclose(ours.predict(x), twin.predict(x), rtol=1e-7)


@pytest.mark.parametrize(("x", "y"), [(0, 1e7), (0, 1e10), (1e6, 0), (1e8, 0), (1e7, -1e8)])
def test_offsets_cost_nothing(x, y):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    targets = rows @ [1, 2, -1] + 0.3 * np.random.default_rng(1).normal(size=60)
    plain = BayesianLinearRegression().fit(rows, targets)
    moved = BayesianLinearRegression().fit(rows + x, targets + y)
    (mean, std), (far, wide) = plain.predict(rows, True), moved.predict(rows + x, True)
    rounding = 1e-15 * (x + abs(y)) + 1e-9
    np.testing.assert_allclose(far - y, mean, rtol=0, atol=1e2 * rounding)
    np.testing.assert_allclose(wide, std, rtol=1e2 * rounding)
    evidence = moved.posterior_.log_evidence - plain.posterior_.log_evidence
    np.testing.assert_allclose(evidence, 0, atol=1e3 * rounding)
    asked = ask(moved.posterior_, "p(y | x)", x=rows[:1] + x).sample(2000, seed=0).numpy()
    assert abs(asked.std() / std[0] - 1) < 0.08  # 5 standard errors


def test_one_row_leaves_the_deviation_open_and_any_start_leads_there():
    assert BayesianLinearRegression().fit([[1.0, 2.0]], [3.0]).predict([[1.0, 2.0]], True)[1] == np.inf
    plain = BayesianLinearRegression(tol=1e-9).fit(X, Y)
    for start in ({"alpha_init": 0}, {"lambda_init": 0}):
        found = BayesianLinearRegression(tol=1e-9, **start).fit(X, Y)
        np.testing.assert_allclose(found.coef_, plain.coef_, rtol=1e-4)
    for name in ("alpha_", "lambda_", "intercept_"):
        assert isinstance(getattr(plain, name), np.float64)


def test_the_scores_rise_from_the_start():
    found = BayesianLinearRegression(compute_score=True, tol=1e-8).fit(X, Y)
    assert found.scores_[0] < found.scores_[-1] - 1
    assert np.abs(found.scores_[-1] - found.scores_[-2]) < 1e-6


def test_the_posterior_is_exact_and_its_spread_is_students():
    found = BayesianLinearRegression(tol=1e-9).fit(X, Y)
    mean, spread = found.predict(X[:5], return_std=True)
    answer = ask(found.posterior_, "p(y | x)", x=X[:5])
    assert answer.how == "exact"
    np.testing.assert_allclose(answer.mean, mean, rtol=1e-8)
    family = found.posterior_.model.family("weights")
    scale = np.sqrt(
        1 / found.alpha_
        + np.einsum("ij,jk,ik->i", X[:5] - found.X_offset_, found.sigma_, X[:5] - found.X_offset_)
        + 1 / found.alpha_ / len(X)
    )
    df = 2 * float(family.shape)
    assert df == pytest.approx(len(X), abs=1e-5)
    np.testing.assert_allclose(spread, scale * np.sqrt(df / (df - 2)), rtol=1e-5)
    drawn = found.sample_y(X[:1], 20_000, random_state=0)
    assert abs(drawn.mean() - mean[0]) < 4.9 * spread[0] / 20_000**0.5
    assert abs(drawn.std() / spread[0] - 1) < 4.9 / (2 * 20_000) ** 0.5 * 1.1
    assert np.isfinite(found.posterior_.log_evidence)
    assert {"w", "tau"} <= set(to_arviz(found.posterior_).posterior.data_vars)


def test_two_rows_leave_the_spread_open_and_not_nan():
    mean, spread = (
        BayesianLinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]).predict([[0.5]], return_std=True)
    )
    assert mean == pytest.approx(0.5)
    assert spread[0] > 0


def test_constant_targets_and_features_are_no_trouble():
    for x, y in ((X, np.full(len(X), 3.0)), (np.zeros_like(X), Y), (np.zeros_like(X), 0 * Y)):
        for prior in ({}, {"alpha_1": 0, "alpha_2": 0, "lambda_1": 0, "lambda_2": 0}):
            found = BayesianLinearRegression(**prior).fit(x, y)
            np.testing.assert_allclose(found.predict(x), y.mean(), atol=1e-6)


@pytest.mark.parametrize("bad", [{"alpha_1": -1.0}, {"tol": 0.0}, {"max_iter": 0}, {"fit_intercept": "yes"}])
def test_bad_values_are_named(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"'{name}'"):
        BayesianLinearRegression(**bad).fit(X, Y)
    with pytest.raises(ValueError, match="sample_weight"):
        BayesianLinearRegression().fit(X, Y, -np.ones(len(X)))
