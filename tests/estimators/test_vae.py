"""`VAE`: what it gives is of its own density, and training makes rows likelier."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ppl_gen import ask
from ppl_gen.distributions import BetaBinomial
from ppl_gen.errors import DataError
from ppl_gen.estimators import VAE

X, _ = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def trained():
    settings = {"n_components": 1, "hidden_layer_sizes": (16,), "learning_rate": 0.01, "batch_size": 200}
    return VAE(**settings, steps=400, random_state=0, draws=400).fit(X)


def test_training_makes_rows_likelier(trained):
    start = VAE(1, hidden_layer_sizes=(16,), steps=1, random_state=0).fit(X)
    assert trained.n_iter_ == len(trained.elbo_) == 400
    assert trained.elbo_[:20].mean() < trained.elbo_[-20:].mean() - len(X) * 0.5
    assert trained.score(X) > start.score(X) + 0.5
    error = np.square(trained.inverse_transform(trained.transform(X)) - X).mean()
    assert error < 0.5 * np.square(X.mean(0) - X).mean()


def test_scores_are_log_p_of_the_rows(trained):
    """With a code of one number the integral over it is a sum over a grid."""
    z, p = torch.linspace(-8, 8, 4001, dtype=torch.float64)[:, None], trained.posterior_.model
    with torch.no_grad():
        likelihood = p.likelihood.row(p.decoder(z), p.units)
        joint = likelihood.log_prob(torch.tensor(X[:30, None])) + torch.distributions.Normal(0, 1).log_prob(
            z[:, 0]
        )
    exact = (torch.logsumexp(joint, 1) + np.log(16 / 4000)).numpy()
    found = trained.score_samples(X[:30])
    bound = VAE.score_samples(trained.__class__(**{**trained.get_params(), "draws": 2}).fit(X[:9]), X[:9])
    assert np.isfinite(bound).all()
    assert np.abs(found - exact).max() < 0.2  # 400 weights; what their k-hat allows
    assert np.abs(found - exact).mean() < 0.05


def test_a_seed_decides_everything(trained):
    again = VAE(**trained.get_params()).fit(X)
    np.testing.assert_array_equal(again.transform(X), trained.transform(X))
    np.testing.assert_array_equal(again.score_samples(X), trained.score_samples(X))
    np.testing.assert_array_equal(again.sample(5), trained.sample(5))
    assert (trained.sample(5, random_state=1) != trained.sample(5, random_state=2)).all()


def test_codes_are_the_encoders_means(trained):
    drawn = ask(trained.posterior_, "p(z)").sample(3)
    assert drawn.shape == (3, 1)
    codes = trained.transform(X)
    first = PCA(1).fit_transform(StandardScaler().fit_transform(X))
    assert abs(np.corrcoef(codes[:, 0], first[:, 0])[0, 1]) > 0.9


def test_missing_cells_are_taken(trained):
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    assert np.isfinite(trained.transform(gaps)).all()
    assert np.isfinite(trained.score_samples(gaps)).all()
    found = VAE(1, hidden_layer_sizes=(8,), steps=50, random_state=0).fit(gaps)
    assert found.elbo_[-5:].mean() > found.elbo_[:5].mean()


def test_other_likelihoods_and_pipelines():
    binary = np.greater(X, X.mean(0)).astype(int)
    found = VAE(1, likelihood="bernoulli", hidden_layer_sizes=4, steps=20, random_state=0).fit(binary)
    assert not set(np.unique(found.sample(20))) - {0.0, 1.0}
    levels = np.round(X).astype(int)
    assert VAE(1, likelihood=BetaBinomial(9), hidden_layer_sizes=[4], steps=5).fit(levels).score(levels) < 0
    with pytest.raises(DataError, match="x: expected zeros and ones"):
        VAE(1, likelihood="bernoulli", steps=5).fit(X)
    pipe = make_pipeline(StandardScaler(), VAE(1, hidden_layer_sizes=(4,), steps=5)).set_output(
        transform="pandas"
    )
    assert list(pipe.fit_transform(X).columns) == ["vae0"]


@pytest.mark.parametrize(
    "bad",
    [
        {"n_components": 0},
        {"likelihood": "normal"},
        {"steps": 0},
        {"learning_rate": -1.0},
        {"hidden_layer_sizes": (0,)},
    ],
    ids=str,
)
def test_bad_values_are_named(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=name.partition("_layer")[0]):
        VAE(**bad).fit(X)
