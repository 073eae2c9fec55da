"""`LogisticRegression` against its twin at its optimum, and what the twin lacks."""

import numpy as np
import pytest
import sklearn.linear_model
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from ppl_gen import ask, to_arviz
from ppl_gen.estimators import LogisticRegression, logistic_regression

X, Y = load_iris(return_X_y=True)
TWO = Y < 2


def twin(**settings):
    """scikit-learn's own optimum, to more digits than by default."""
    return sklearn.linear_model.LogisticRegression(
        solver="newton-cholesky", tol=1e-12, max_iter=1000, **settings
    )


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"C": 0.01},
        {"C": 100.0},
        {"fit_intercept": False},
        {"class_weight": "balanced"},
        {"class_weight": {1: 3.0}},
    ],
    ids=str,
)
def test_same_mode_as_the_twin(settings, two):
    x, y = (X[Y != 0], Y[Y != 0]) if two else (X, Y)
    weight = np.random.default_rng(0).integers(0, 4, len(x))
    for sample_weight in (None, weight):
        ours = LogisticRegression(**settings).fit(x, y, sample_weight)
        exact = twin(**settings).fit(x, y, sample_weight)
        assert ours.coef_.shape == exact.coef_.shape
        assert np.abs(exact.coef_).max() > 0.1  # where the climb starts, they are zero
        np.testing.assert_allclose(ours.coef_, exact.coef_, atol=1e-5)
        np.testing.assert_allclose(ours.intercept_, exact.intercept_, atol=1e-5)
        np.testing.assert_allclose(ours.predict_proba(x), exact.predict_proba(x), atol=1e-6)
        np.testing.assert_allclose(ours.predict_log_proba(x), exact.predict_log_proba(x), atol=1e-4)
        np.testing.assert_allclose(ours.decision_function(x), exact.decision_function(x), atol=1e-4)
        np.testing.assert_array_equal(ours.predict(x), exact.predict(x))


def test_without_a_prior_it_is_maximum_likelihood():
    some = Y != 0  # no hyperplane parts these two classes
    for free in ({"C": np.inf}, {"penalty": None}):
        found = LogisticRegression(**free).fit(X[some], Y[some])
        exact = twin(C=np.inf).fit(X[some], Y[some])
        np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-4)


def test_many_parameters_take_the_way_of_l_bfgs(monkeypatch):
    monkeypatch.setattr(logistic_regression, "CURVED", 0)
    exact = twin().fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        hurried = LogisticRegression(max_iter=3).fit(X, Y)
    assert np.abs(hurried.coef_ - exact.coef_).max() > 0.05
    found = LogisticRegression(tol=1e-6).fit(X, Y)
    assert found.posterior_.point
    assert 3 < found.n_iter_[0] < 100
    np.testing.assert_allclose(found.coef_, exact.coef_, atol=1e-4)


def test_the_posterior_is_wider_than_its_mode():
    found = LogisticRegression(C=10.0).fit(X[TWO], Y[TWO])
    between = X[TWO].mean(0, keepdims=True) + np.array([[0.0, 0.0, 0.6, 0.0]])
    mean = ask(found.posterior_, "p(y | x)", x=between).probs.numpy()
    mode = found.predict_proba(between)
    assert 0.5 < mean.max() < mode.max()  # an average of sigmoids on one side of a half is nearer to it
    drawn = found.sample_y(between, 400, random_state=0)
    error = np.sqrt(mean[0, 1] * mean[0, 0] / drawn.size)
    assert abs(drawn.mean() - mean[0, 1]) < 4.9 * error + 4.9 * 0.5 / 1000**0.5  # of draws, and of ask's own
    assert to_arviz(found.posterior_).posterior["w"].shape[-2:] == (5, 2)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"penalty": "l1"}, "penalty: expected the ridge"),
        ({"l1_ratio": 0.5}, "l1_ratio: expected the ridge"),
        ({"C": 0.0}, "'C'"),
        ({"max_iter": 0}, "'max_iter'"),
        ({"class_weight": "even"}, "'class_weight'"),
    ],
)
def test_bad_values_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        LogisticRegression(**bad).fit(X, Y)


def test_what_data_cannot_tell_is_refused():
    with pytest.raises(ValueError, match=r"y: .*2 classes"):
        LogisticRegression().fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="sample_weight"):
        LogisticRegression().fit(X, Y, -np.ones(len(X)))
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit(np.where(X > 7, np.nan, X), Y)
    with pytest.warns(UserWarning, match="ignore the C"):
        LogisticRegression(penalty=None, C=3.0).fit(X[Y != 0], Y[Y != 0])


def test_perfect_separation_and_any_scale():
    for scale in (1e-100, 1e-3, 1.0, 1e3, 1e100):
        found = LogisticRegression().fit(X[TWO] * scale, Y[TWO])
        proba = found.predict_proba(X[TWO] * scale)
        np.testing.assert_allclose(proba.sum(1), 1)
        assert scale < 1 or (found.predict(X[TWO] * scale) == Y[TWO]).all()
