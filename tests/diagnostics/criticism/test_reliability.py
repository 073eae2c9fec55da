"""Probabilities of rows that were not fitted, against what came."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats

from ppl_gen import EM, ask, fit
from ppl_gen.diagnostics import reliability
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.models import GaussianMixture, GaussianNaiveBayes

RNG = np.random.default_rng(0)
Y = torch.tensor(RNG.integers(0, 2, 120))
X = torch.tensor(RNG.normal(size=(120, 1))) + Y[:, None]


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_each_row_is_predicted_by_a_fit_to_the_others():
    nb = GaussianNaiveBayes(classes=2, features=1)
    found = reliability(fit(nb, x=X[:6], y=Y[:6]), folds=6, progress=False)
    for i in range(6):
        rest = torch.arange(6) != i
        without = fit(nb, x=X[:6][rest], y=Y[:6][rest])
        expected = ask(without, "p(y | x)", x=X[i : i + 1]).probs
        np.testing.assert_allclose(found.probs[i], expected[0], atol=1e-12)


def test_new_rows_are_predicted_by_the_posterior_itself():
    posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=X[:60], y=Y[:60])
    found = reliability(posterior, x=X[60:], y=Y[60:])
    np.testing.assert_allclose(found.probs, ask(posterior, "p(y | x)", x=X[60:]).probs)
    assert found.how == "new rows"
    sure, right, error = found.confidence
    assert 0.5 < sure < 1
    assert right == (found.probs.argmax(1) == Y[60:].numpy()).mean()
    assert error > 0
    assert "<svg" in found._repr_html_()


def test_copied_columns_make_naive_bayes_over_confident():
    posterior = fit(GaussianNaiveBayes(classes=2, features=20), x=X.expand(-1, 20), y=Y)
    found = reliability(posterior, progress=False)
    assert found.p_value < 0.01
    assert "over-confident" in found.verdict()


@pytest.mark.slow
def test_alarms_of_a_true_model_are_as_rare_as_they_say():
    alarms, rounds = 0, 50
    posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=X, y=Y)
    for _ in range(rounds):
        x = torch.randn(80, 1, dtype=torch.float64)
        y = torch.distributions.Categorical(ask(posterior, "p(y | x)", x=x).probs).sample()
        alarms += reliability(posterior, x=x, y=y, bins=5).p_value <= 0.05
    assert alarms <= stats.binom.isf(1e-6, rounds, 0.05)


def test_what_is_no_class_is_refused():
    posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=X, y=Y)
    with pytest.raises(Unanswerable, match="'x' is no class"):
        reliability(posterior, "x")
    with pytest.raises(DataError, match="y: expected a class"):
        reliability(posterior, x=X)
    with pytest.raises(DataError, match="folds"):
        reliability(posterior, folds=1)
    mixture = fit(GaussianMixture(components=2, features=1), EM(), x=X)
    with pytest.raises(DataError, match="z: expected a class"):
        reliability(mixture, "z")
