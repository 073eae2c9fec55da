"""`LogisticRegression` against its twin at its optimum, and what the twin lacks."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from ppl_gen import ask, fit, models, to_arviz
from ppl_gen.estimators import LogisticRegression, climbing, logistic_regression
from ppl_gen.inference import Laplace
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated

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
    monkeypatch.setattr(logistic_regression, "QUICK", 0)
    exact = twin().fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        hurried = LogisticRegression(max_iter=3).fit(X, Y)
    assert np.abs(hurried.coef_ - exact.coef_).max() > 0.05
    found = LogisticRegression(tol=1e-6).fit(X, Y)
    assert found.posterior_.point["w"].shape == (5, 3)
    assert 3 < found.n_iter_[0] < 100
    np.testing.assert_allclose(found.coef_, exact.coef_, atol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"fit_intercept": False}, {"C": 0.03}], ids=str)
@pytest.mark.parametrize("two", [False, True])
def test_the_closed_form_is_the_joint(two, settings):
    """Height, slope, curvature and ELBO by hand against those that the program's trace gives."""
    x, y = torch.tensor(X[Y != 0] if two else X), (Y[Y != 0] - 1 if two else Y)
    weights = np.random.default_rng(0).random(len(y))
    made = LogisticRegression(**settings)
    made.classes_ = np.unique(y)
    for worth in (None, weights):
        joint = made._joint(x, y, worth)
        p = models.LogisticRegression(
            len(made.classes_), x.shape[1], scale=joint.scale, intercept=made.fit_intercept
        )
        start = torch.randn(joint.ridge.shape, generator=torch.Generator().manual_seed(1)).double()
        at = joint.whole(start).reshape(-1).requires_grad_()
        along = torch.autograd.functional.jacobian(joint.whole, start).reshape(at.numel(), -1)
        with isolated(0, grad=True):
            target = Unconstrained(p, None, admit(p, {"x": x, "y": y}), None, "MAP", worth)
            value = target(at)
            (slope,) = torch.autograd.grad(value, at, create_graph=True)
            bend = torch.stack([torch.autograd.grad(s, at, retain_graph=True)[0] for s in slope])
        height, found, probs = joint.slope(start)
        constant = torch.distributions.Normal(0.0, joint.scale).log_prob(torch.zeros(())).sum()
        np.testing.assert_allclose(height + constant, value.item(), rtol=1e-10)
        np.testing.assert_allclose(joint.height(start), height, rtol=1e-12)
        np.testing.assert_allclose(found.reshape(-1), along.T @ slope.detach(), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(joint.curvature(probs), -along.T @ bend @ along, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("two", [False, True])
def test_the_posterior_is_that_of_the_verb(two):
    """`Laplace`, by Pyro's trace, finds the same mode, spread and evidence; the ELBO is one of its draws."""
    x, y = (X[Y != 0], Y[Y != 0] - 1) if two else (X, Y)
    made = LogisticRegression(C=2.0).fit(x, y)
    ours = made.posterior_
    p = models.LogisticRegression(3 - two, 4, scale=made._found.scale)
    verb = fit(p, Laplace(), x=x, y=y)
    one, other = (posterior.guide.auto.get_posterior() for posterior in (ours, verb))
    for name in ("loc", "stddev", "scale_tril"):
        here, there = getattr(one, name).detach(), getattr(other, name).detach()
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-4)  # what no row tells has sd 1e5
    assert ours.note == verb.note
    elbo, error = ours.estimate_elbo(400, x=x, y=y)
    draws = ours.weighted(400, x=x, y=y)[0].std().item()
    assert abs(ours.elbo.item() - elbo) < 5 * draws + 5 * error
    w = made._at(made._found.centre.numpy(), made._found.spread.numpy())
    asked = ask(ours, "p(y | x, w)", x=x, w=w)
    np.testing.assert_allclose(made.predict_proba(x), asked.probs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("order", ["shuffled", "sorted"])
def test_many_rows_start_where_an_eighth_of_them_ends(order, monkeypatch):
    """The mode is the same; a part that misleads, or whose own mode is far, only costs steps."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(9000, 3)) * [1.0, 5.0, 0.1] + [0.0, 1e4, 1.0]
    y = (x[:, 0] + 5 * x[:, 2] - 5 + generator.logistic(size=9000) > 0).astype(int)
    if order == "sorted":
        rows = np.lexsort((x[:, 0], y))
        x, y = x[rows], y[rows]
        y[::8] = 0  # the part that is looked at first has one class
    weight = generator.integers(0, 3, 9000)
    for worth in (None, weight):
        ours, exact = LogisticRegression().fit(x, y, worth), twin().fit(x, y, worth)
        np.testing.assert_allclose(ours.predict_proba(x), exact.predict_proba(x), atol=1e-6)
        with monkeypatch.context() as patch:
            patch.setattr(climbing, "FEW", 10_000)
            alone = LogisticRegression().fit(x, y, worth)
        np.testing.assert_allclose(ours.coef_, alone.coef_, rtol=1e-6)  # GAIN is 4e-6 of a standard deviation
        one, other = (made.posterior_.guide.auto.get_posterior().stddev for made in (ours, alone))
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=1e-4)


def test_a_warm_start_goes_on_where_the_last_fit_ended():
    for x, y in ((X, Y), (X[Y != 0], Y[Y != 0])):
        exact = twin().fit(x, y).coef_
        made = LogisticRegression(max_iter=3, warm_start=True)
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            hurried = made.fit(x, y).coef_
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for _ in range(10):
                made.fit(x, y)
            cold = LogisticRegression(max_iter=3).fit(x, y)
        assert np.abs(hurried - exact).max() > 0.05
        np.testing.assert_array_equal(cold.coef_, hurried)
        assert np.abs(made.coef_ - exact).max() < np.abs(hurried - exact).max() / 4
        made.set_params(max_iter=100).fit(x[:, :2], y)  # of other features: afresh
        np.testing.assert_allclose(made.coef_, twin().fit(x[:, :2], y).coef_, atol=1e-5)


def test_no_step_at_all_leaves_the_start():
    with pytest.warns(ConvergenceWarning, match="failed to converge in 0 iterations: raise max_iter"):
        found = LogisticRegression(max_iter=0).fit(X, Y)
    assert not found.coef_.any()
    assert found.n_iter_[0] == 0
    np.testing.assert_allclose(found.predict_proba(X), 1 / 3)


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
        ({"max_iter": -1}, "'max_iter'"),
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
