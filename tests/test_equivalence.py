"""A naive Bayes and the logistic regression that it equals give the same logits."""

import pytest
import torch

from ppl_gen import MaximumLikelihood, ask, fit, logistic_equivalent
from ppl_gen.data import iris
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.models import (
    GaussianNaiveBayes,
    LogisticRegression,
    MixedNaiveBayes,
    SharedGaussianNaiveBayes,
)
from tests.models.naive_bayes import MODELS, draw, parameters

LINEAR = ["shared", "bernoulli", "multinomial", "poisson"]


def logits(model, x, values):
    """log p(x, y | parameters) of every class, that of the first class taken away."""
    answer = ask(model, f"p(x, y | {', '.join(values)})", **values)
    each = torch.stack([answer.log_prob(x=x, y=torch.full((len(x),), c)) for c in range(model.classes)], 1)
    return each - each[:, :1]


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("seed", range(3))
def test_logits_are_equal_on_random_rows(name, seed):
    model = MODELS[name]()
    values = parameters(model, seed=seed)
    x, _ = draw(model, 500, seed=seed + 100)  # rows of other parameters
    twin = logistic_equivalent(model, **values)
    assert twin.weights.shape == (4, 3)
    assert twin.intercepts.shape == (3,)
    assert (twin.logits(x) - logits(model, x, values)).abs().max() < 1e-6
    probs = ask(model, f"p(y | x, {', '.join(values)})", x=x, **values).probs
    torch.testing.assert_close(twin.logits(x).softmax(1), probs, rtol=1e-8, atol=1e-12)


def test_weights_are_the_textbooks():
    model = MODELS["shared"]()
    values = parameters(model, seed=1)
    pi, tau, mu = values["pi"], values["tau"], values["mu"]
    twin = logistic_equivalent(model, **values)
    weights, intercepts = tau[:, None] * mu.T, pi.log() - 0.5 * (tau * mu**2).sum(1)
    torch.testing.assert_close(twin.weights, weights - weights[:, :1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(twin.intercepts, intercepts - intercepts[0], rtol=1e-9, atol=1e-9)


def test_a_posterior_gives_its_parameters_means():
    """Integrating theta out of a Bernoulli row leaves its mean: the twin then equals the posterior itself."""
    model = MODELS["bernoulli"]()
    x, y = draw(model, 40)
    posterior = fit(model, x=x, y=y)
    found = logistic_equivalent(posterior).logits(x).softmax(1)
    torch.testing.assert_close(found, ask(posterior, "p(y | x)", x=x).probs, rtol=1e-8, atol=1e-12)
    after = posterior.model
    values = {"theta": after.ones / (after.ones + after.zeros), "pi": after.concentration}
    values["pi"] = values["pi"] / values["pi"].sum()
    torch.testing.assert_close(
        logistic_equivalent(model, **values).weights, logistic_equivalent(posterior).weights
    )


def test_what_is_not_linear_is_refused():
    data = iris()
    posterior = fit(GaussianNaiveBayes(classes=3, features=4), x=data.x, y=data.y)
    with pytest.raises(Unanswerable, match="no linear function of x"):
        logistic_equivalent(posterior)
    mixed = MixedNaiveBayes(2, ["gaussian", "bernoulli"])
    with pytest.raises(Unanswerable, match="no linear function of x"):
        logistic_equivalent(mixed, **parameters(mixed))
    with pytest.raises(DataError, match="theta: not given"):
        logistic_equivalent(MODELS["bernoulli"](), pi=torch.ones(3) / 3)
    with pytest.raises((Unanswerable, DataError)):
        logistic_equivalent(LogisticRegression(classes=2, features=2))


@pytest.mark.parametrize("offset", [0.0, 2e3, 1e5, 1e8])
def test_features_far_from_zero_lose_no_digits(offset):
    """At an offset, x itself has fewer digits left: the bound is what those of the logit can be."""
    x = torch.randn(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + offset
    y = (x[:, 0] > offset).long()
    posterior = fit(SharedGaussianNaiveBayes(classes=2, features=2), MaximumLikelihood(), x=x, y=y)
    twin = logistic_equivalent(posterior)
    truth = ask(posterior, "p(y | x)", x=x).probs.logit()[:, 1]
    logits = twin.logits(x)
    near = truth.abs() < 20  # further out, a probability has not the digits to hold the logit against
    assert near.sum() > 50
    bound = 1e-8 + 64 * 2.3e-16 * offset * twin.weights.abs().sum()
    assert ((logits[:, 1] - logits[:, 0]) - truth)[near].abs().amax() < bound
