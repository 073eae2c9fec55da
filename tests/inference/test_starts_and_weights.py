"""EM from given parameters and with a ridge; rows that weigh more than others in MAP, Laplace and Exact."""

import numpy as np
import pytest
import torch

from ppl_gen import EM, MAP, Exact, Laplace, ask, fit
from ppl_gen.errors import DataError, Unreliable
from ppl_gen.models import (
    PPCA,
    BernoulliMixture,
    GaussianMixture,
    LinearRegression,
    LogisticRegression,
)

X = np.random.default_rng(0).normal(size=(40, 2)) + np.repeat([[0.0, 0.0], [4.0, 1.0]], 20, 0)
Y = (X[:, 0] + 3 * np.random.default_rng(1).normal(size=40) > 2).astype(int)
START = {"pi": [0.5, 0.5], "mu": [[0.0, 0.0], [1.0, 0.0]], "tau": np.ones((2, 2))}
MIXTURE = GaussianMixture(components=2, features=2)
WEIGHTS = np.random.default_rng(2).integers(0, 4, 40)


def test_em_starts_where_it_is_told():
    one = fit(MIXTURE, EM(steps=1, start=START), x=X)
    assert torch.equal(one.point["mu"], torch.tensor(START["mu"], dtype=torch.float64))
    assert float(one.elbo[0]) == pytest.approx(float(ask(one, "p(x)").log_prob(x=X).sum()))
    assert one.method.start is None  # which is of that fit
    several = fit(MIXTURE, EM(steps=200, start=START), x=X)
    assert several.elbo[0] == one.elbo[0]
    assert (several.elbo.diff() > -1e-9).all()
    assert several.elbo[-1] > one.elbo[0] + 1
    again = fit(MIXTURE, EM(steps=200, start=several.point), x=X)
    assert len(again.elbo) == 2
    assert again.elbo[0] == pytest.approx(float(several.elbo[-1]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0.5, 0.5], "start: expected a value for each of pi, tau, mu, got list"),
        ({"mu": START["mu"]}, "start: expected a value for each"),
        ({**START, "mu": [[0.0, 0.0, 0.0]]}, "start: mu: expected"),
        ({**START, "tau": -np.ones((2, 2))}, "start: expected tau in its range"),
        ({**START, "pi": [0.5, 0.6]}, "start: expected pi in its range"),
        ({**START, "mu": [[np.nan, 0.0], [0.0, 0.0]]}, "start: mu: expected finite"),
    ],
)
def test_a_bad_start_is_named(bad, message):
    with pytest.raises(DataError, match=message):
        fit(MIXTURE, EM(start=bad), x=X)


@pytest.mark.parametrize("covariance", ["diagonal", "spherical", "tied", "full"])
def test_a_ridge_is_added_to_every_variance(covariance):
    model = GaussianMixture(components=1, features=2, covariance=covariance)
    bare, wide = (fit(model, EM(smoothing=0.0, ridge=r), x=X).point for r in (0.0, 0.7))
    if covariance in ("diagonal", "spherical"):
        before, after = (1 / point["tau"] for point in (bare, wide))
    else:
        before, after = (p["sigma"] @ p["sigma"].mT for p in (bare, wide))
        before, after = (s.diagonal(dim1=-2, dim2=-1) for s in (before, after))
    torch.testing.assert_close(after, before + 0.7)
    with pytest.warns(Unreliable, match="shrunk to a point"):  # nothing else keeps it wide
        flat = fit(model, EM(smoothing=0.0, ridge=0.5), x=np.zeros((5, 2))).point
    assert all(torch.isfinite(value).all() for value in flat.values())


def test_a_ridge_of_what_has_no_variance_is_refused():
    with pytest.raises(DataError, match="ridge"):
        fit(BernoulliMixture(components=2, features=2), EM(ridge=0.1), x=(X > 1).astype(int))
    with pytest.raises(DataError, match="ridge: expected a number from 0 up"):
        EM(ridge=-1.0)


@pytest.mark.parametrize("method", [MAP, Laplace])
def test_weights_of_rows_are_repetitions(method):
    model = LogisticRegression(classes=2, features=2)
    rows = dict(x=X, y=Y)
    once = fit(model, method(), **rows)
    weighed = fit(model, method(weights=WEIGHTS), **rows)
    repeated = fit(model, method(), **{name: np.repeat(v, WEIGHTS, 0) for name, v in rows.items()})
    assert weighed.method.weights is None

    def weights_of(posterior):
        """In units of x, where those of the model differ with the rows."""
        p = posterior.model
        at = posterior.point["w"] if posterior.point else posterior.guide.auto.loc.reshape(3, 2)
        return at[1:] / p.spread[:, None]

    assert (weights_of(once) - weights_of(weighed)).abs().max() > 0.01
    # The prior is in units of the rows, whose spread the repetitions change a little.
    wide = LogisticRegression(classes=2, features=2, scale=1e3)
    weighed, repeated = (
        fit(wide, method(weights=WEIGHTS), **rows),
        fit(wide, method(), **{name: np.repeat(v, WEIGHTS, 0) for name, v in rows.items()}),
    )
    one, other = (weights_of(p)[:, 1] - weights_of(p)[:, 0] for p in (weighed, repeated))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_weights_of_a_regression_are_repetitions():
    t = X @ [1.0, -2.0] + np.random.default_rng(3).normal(size=40)
    model = LinearRegression(features=2)
    weighed = fit(model, Exact(weights=WEIGHTS), x=X, y=t)
    repeated = fit(model, Exact(), x=np.repeat(X, WEIGHTS, 0), y=np.repeat(t, WEIGHTS))
    for name in ("loc", "root", "shape", "rate"):
        torch.testing.assert_close(getattr(weighed.model, name), getattr(repeated.model, name))
    assert weighed.log_evidence == pytest.approx(repeated.log_evidence)


@pytest.mark.parametrize("bad", [np.ones(39), -np.ones(40), np.zeros(40), np.full(40, np.nan)])
def test_bad_weights_are_named(bad):
    model = LogisticRegression(classes=2, features=2)
    for method in (MAP(weights=bad), Laplace(weights=bad)):
        with pytest.raises(DataError, match="weights: expected"):
            fit(model, method, x=X, y=Y)
    with pytest.raises(DataError, match="weights: expected"):
        fit(LinearRegression(features=2), Exact(weights=bad), x=X, y=X[:, 0])


def test_weights_of_hidden_labels_are_refused():
    with pytest.raises(DataError, match="weights: expected rows of which nothing is hidden"):
        fit(MIXTURE, MAP(weights=np.ones(40)), x=X)


def test_a_prior_for_each_weight_and_no_intercept():
    tight = LogisticRegression(classes=2, features=2, scale=[[10.0, 10.0], [10.0, 10.0], [1e-6, 1e-6]])
    w = fit(tight, MAP(), x=X, y=Y).point["w"]
    assert w[1].abs().max() > 0.5
    assert w[2].abs().max() < 1e-6
    bare = fit(LogisticRegression(classes=2, features=2, intercept=False), MAP(), x=X, y=Y)
    assert bare.point["w"].shape == (2, 2)
    assert ask(bare, "p(y | x)", x=[[0.0, 0.0]]).probs.flatten().tolist() == pytest.approx([0.5, 0.5])


def test_as_many_axes_as_features_are_the_full_covariance():
    posterior = fit(PPCA(features=2, latent=2), x=X)
    linear = posterior.model.linear()
    covariance = linear.weights @ linear.weights.T + linear.variance.diag()
    torch.testing.assert_close(covariance.detach(), torch.tensor(np.cov(X.T, bias=True)))
    assert fit(PPCA(features=1, latent=1), x=X[:, :1]).model.linear().variance > 0
