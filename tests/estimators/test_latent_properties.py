"""What holds for any rows: order, repetition, units, one row at a time, and a pickle change nothing."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppl_gen.estimators import PPCA, VAE, BayesianLinearRegression, GaussianMixture, LogisticRegression
from tests.estimators.examples import examples
from tests.thinned import thinned

SEEDS = st.integers(0, 2**16)
few = examples(6)
KINDS = ["mixture", "ppca", "logistic", "regression"]


def rows(seed, kind=""):
    """Rows, classes and targets; of a mixture in two heaps, for a component of few rows may shrink to one."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(24, 3)) @ generator.normal(size=(3, 3)) + generator.normal(size=3)
    if kind == "mixture":
        x[12:, 0] += 10 * x[:, 0].std()
    y = (x @ generator.normal(size=3) + generator.logistic(size=24) > 0).astype(int)
    y[:2] = 0, 1
    return x, y, x @ generator.normal(size=3) + 0.3 * generator.normal(size=24)


def made(kind, x, y, t, weight=None):
    """The estimator fitted, with starts that go with the rows."""
    if kind == "mixture":  # the start has the units of the rows
        low = (
            x[:, 0] < (x[:, 0].min() + x[:, 0].max()) / 2
        )  # the heaps: from elsewhere, one may shrink to a row
        start = {"means_init": [x[low].min(0), x[~low].max(0)], "weights_init": [0.4, 0.6]}
        start["precisions_init"] = [1 / x[low].var(0), 1 / x[~low].var(0)]
        return GaussianMixture(2, covariance_type="diag", reg_covar=0.0, tol=1e-9, max_iter=500, **start).fit(
            x
        )
    if kind == "ppca":
        return PPCA(2).fit(x)
    if kind == "logistic":
        return LogisticRegression(C=10.0).fit(x, y, weight)
    return BayesianLinearRegression(tol=1e-8).fit(x, t, weight)


def told(kind, estimator, x):
    """What it says of each row."""
    if kind == "mixture":
        return np.c_[estimator.score_samples(x), estimator.predict_proba(x)]
    if kind == "ppca":
        return np.c_[estimator.score_samples(x), estimator.transform(x)]
    if kind == "logistic":
        return np.c_[estimator.predict_proba(x), estimator.decision_function(x)]
    return np.stack(estimator.predict(x, return_std=True), 1)


def alike(one, other, tolerance=1e-6):
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1, np.abs(other).max()))


@pytest.mark.parametrize("kind", thinned(KINDS, 2))
@few
@given(seed=SEEDS)
def test_the_order_of_rows_plays_no_part(kind, seed):
    x, y, t = rows(seed, kind)
    order = np.random.default_rng(seed).permutation(len(x))
    alike(told(kind, made(kind, x[order], y[order], t[order]), x), told(kind, made(kind, x, y, t), x))


@pytest.mark.parametrize("kind", thinned(KINDS, 2))
@few
@given(seed=SEEDS)
def test_rows_that_come_twice_weigh_two(kind, seed):
    """Without weights, all rows twice: the likelihood peaks where it did."""
    x, y, t = rows(seed, kind)
    if kind in ("mixture", "ppca"):
        twice, once = made(kind, *(np.r_[v, v] for v in (x, y, t))), made(kind, x, y, t)
    else:
        weight = np.random.default_rng(seed).integers(0, 3, len(x))
        weight[:2] = 1
        twice = made(kind, *(np.repeat(v, weight, 0) for v in (x, y, t)))
        once = made(kind, x, y, t, weight)
    said, expected = told(kind, twice, x), told(kind, once, x)
    if kind == "ppca":  # whose variances are divided by n - 1: its axes alone stay
        said, expected = said[:, 1:], expected[:, 1:]
    alike(said, expected)


@pytest.mark.parametrize("kind", thinned(["mixture", "ppca", "regression"], 2))
@few
@given(seed=SEEDS, shift=st.floats(-100, 100), log_scale=st.floats(-3, 3))
def test_units_of_the_features_change_what_they_should(kind, seed, shift, log_scale):
    """Densities are by volume; a ridge, whose width is learned, is in the units of its feature."""
    x, y, t = rows(seed, kind)
    scale = 10**log_scale
    if kind == "regression":
        one = BayesianLinearRegression(tol=1e-10, lambda_1=0, lambda_2=0, lambda_init=1.0).fit(x, t)
        settings = {"tol": 1e-10 / scale, "lambda_1": 0, "lambda_2": 0, "lambda_init": scale**2}
        other = BayesianLinearRegression(**settings).fit(scale * x + shift, t)
        alike(told(kind, other, scale * x + shift), told(kind, one, x))
        return
    one, other = (
        told(kind, made(kind, x, y, t), x),
        told(kind, made(kind, scale * x + shift, y, t), scale * x + shift),
    )
    other[:, 0] += 3 * np.log(scale)
    if kind == "ppca":
        other[:, 1:] /= scale
    alike(other, one)


@pytest.mark.parametrize("name", ["classes", "targets"])
@few
@given(seed=SEEDS)
def test_names_of_classes_and_units_of_targets(name, seed):
    x, y, t = rows(seed)
    if name == "classes":
        one, other = made("logistic", x, y, t), made("logistic", x, 1 - y, t)
        alike(other.predict_proba(x)[:, ::-1], one.predict_proba(x))
        words = np.array(["no", "yes"])
        np.testing.assert_array_equal(made("logistic", x, words[y], t).predict(x), words[one.predict(x)])
    else:
        one = BayesianLinearRegression(tol=1e-10, alpha_2=0, alpha_1=0).fit(x, t)
        other = BayesianLinearRegression(tol=1e-8, alpha_2=0, alpha_1=0, lambda_init=1e-4).fit(x, 100 * t + 7)
        alike(other.predict(x), 100 * one.predict(x) + 7, 1e-4)


@pytest.mark.parametrize("kind", thinned(KINDS, 2))
@few
@given(seed=SEEDS)
def test_a_row_by_itself_and_a_pickle_say_the_same(kind, seed):
    x, y, t = rows(seed, kind)
    found = made(kind, x, y, t)
    alone = np.concatenate([told(kind, found, row[None]) for row in x[:5]])
    alike(alone, told(kind, found, x)[:5], 1e-10)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(told(kind, again, x), told(kind, found, x))
    assert again.posterior_.model.joint == found.posterior_.model.joint


@examples(3)
@given(seed=SEEDS, power=st.integers(-20, 20))
def test_the_same_of_a_vae(seed, power):
    """It trains in units of the rows, which powers of two leave as they are to the last digit."""
    x, _, _ = rows(seed)
    scale = 2.0**power
    vae = VAE(1, hidden_layer_sizes=(4,), steps=10, draws=5, random_state=seed)
    one = vae.fit(x)
    codes, scores = one.transform(x), one.score_samples(x)
    order = np.random.default_rng(seed).permutation(len(x))
    alike(one.transform(x[order]), codes[order], 1e-10)
    alike(one.score_samples(x[order]), scores[order], 1e-10)
    alike(one.score_samples(x[:1]), scores[:1], 1e-10)
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.transform(x), codes)
    np.testing.assert_array_equal(again.score_samples(x), scores)
    np.testing.assert_array_equal(again.sample(2, random_state=0), one.sample(2, random_state=0))
    other = VAE(**vae.get_params()).fit(scale * x)
    alike(other.transform(scale * x), codes, 1e-4)
    alike(other.score_samples(scale * x) + 3 * np.log(scale), scores, 1e-4)
