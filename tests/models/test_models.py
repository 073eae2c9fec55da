"""The four models against scikit-learn, closed forms and their own promises."""

import inspect
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.naive_bayes import GaussianNB

from ppl_gen import SVI, Factorization, LowerBound, ProbabilisticModel, ask, fit, models
from ppl_gen.data import breast_cancer, digits, gaussian_mixture, iris, wine
from ppl_gen.distributions import (
    Bernoulli,
    BetaBinomial,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
)
from ppl_gen.errors import DataError
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression
from tests.readme import example

ALL = [getattr(models, name) for name in models.__all__]


@pytest.mark.parametrize("model", ALL, ids=lambda m: m.__name__)
def test_every_file_of_a_model_reads_in_the_same_order(model):
    own = list(vars(model))
    order = [
        name for name in ("__doc__", "joint", "approximation", "__init__", "model", "guide") if name in own
    ]
    assert order == sorted(order, key=own.index)
    assert issubclass(model, ProbabilisticModel)
    Factorization(model.joint), Factorization(model.approximation, "q")
    given = (["n"], ["x"], ["y"], ["noisy"])
    assert list(inspect.signature(model.model).parameters)[1:] in given


@pytest.mark.parametrize("data", [iris(), wine(), breast_cancer()], ids=lambda d: d.name)
def test_naive_bayes_equals_scikit_learns_at_equal_parameters(data):
    theirs = GaussianNB(var_smoothing=0.0).fit(data.x.numpy(), data.y.numpy())
    ours = GaussianNaiveBayes(classes=len(data.classes), features=len(data.features))
    given = {
        "pi": torch.tensor(theirs.class_prior_),
        "mu": torch.tensor(theirs.theta_),
        "tau": 1 / torch.tensor(theirs.var_),
    }
    answer = ask(ours, "p(y | x, pi, mu, tau)", x=data.x, **given)
    expected = torch.tensor(theirs.predict_proba(data.x.numpy()))
    torch.testing.assert_close(answer.probs, expected, rtol=1e-8, atol=1e-12)
    assert answer.how == "enumerated"


def test_logistic_regression_finds_the_posterior_mode_that_scikit_learn_finds():
    data = wine().standardized()
    ours = fit(LogisticRegression(classes=3, features=13), SVI(steps=800), x=data.x, y=data.y)
    theirs = SklearnLogisticRegression(C=1.0).fit(data.x.numpy(), data.y.numpy())  # the same Normal prior
    weights = ask(ours, "p(w)").mean[1:]
    weights = weights - weights.mean(1, keepdim=True)  # softmax does not see a common shift
    start = np.corrcoef(np.zeros(39) + np.arange(39), theirs.coef_.T.flatten())[0, 1]
    assert abs(start) < 0.9
    assert np.corrcoef(weights.flatten(), theirs.coef_.T.flatten())[0, 1] > 0.95
    assert (ask(ours, "p(y | x)", x=data.x).mode == data.y).double().mean() > 0.98


def test_logistic_regression_does_not_mind_the_units_of_x():
    data = wine()
    x = data.x * torch.logspace(-6, 6, 13)
    one = ask(
        fit(LogisticRegression(classes=3, features=13), SVI(steps=200), x=data.x, y=data.y),
        "p(y | x)",
        x=data.x,
    )
    two = ask(fit(LogisticRegression(classes=3, features=13), SVI(steps=200), x=x, y=data.y), "p(y | x)", x=x)
    torch.testing.assert_close(one.probs, two.probs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_mixture_finds_well_separated_components(seed):
    data = gaussian_mixture(rows=600, components=3, features=2, separation=8.0, seed=seed)
    model = GaussianMixture(components=3, features=2)
    posterior = fit(model, SVI(steps=300, seed=seed), x=data.x)
    found = ask(posterior, "p(z | x)", x=data.x).mode
    truth = data.truth
    answer = ask(model, "p(z | x, pi, mu, tau)", x=data.x, pi=truth["pi"], mu=truth["mu"], tau=truth["tau"])
    best = adjusted_rand_score(data.y, answer.mode)  # what the true parameters allow
    assert adjusted_rand_score(data.y, found) > best - 0.05
    assert best > 0.5


def test_kmeans_plus_plus_start_beats_a_start_without_data():
    data = gaussian_mixture(rows=500, components=4, features=2, separation=10.0, seed=0)

    class Blind(GaussianMixture):
        def initialize(self, x, **_):
            pass

    first = [
        fit(cls(components=4, features=2), SVI(steps=1), x=data.x).elbo[0] for cls in (GaussianMixture, Blind)
    ]
    assert first[0] > first[1] + 1000


@pytest.mark.parametrize(
    "likelihood",
    [
        Bernoulli(),
        Binomial(3),
        BetaBinomial(3),
        Categorical(3),
        DiscretizedLogistic(3),
        DiscretizedLogistic(2),
    ],
    ids=repr,
)
def test_likelihoods_sum_to_one(likelihood):
    levels = getattr(likelihood, "levels", 2)
    raw = torch.randn(
        7, 2 * likelihood.outputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    rows = torch.cartesian_prod(*[torch.arange(float(levels), dtype=torch.float64)] * 2)
    total = torch.stack([likelihood(raw).log_prob(row.expand(7, 2)) for row in rows]).exp().sum(0)
    torch.testing.assert_close(total, torch.ones(7, dtype=torch.float64), rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    "likelihood",
    [Bernoulli(), Binomial(17), BetaBinomial(17), Categorical(17), DiscretizedLogistic(17), Gaussian()],
)
def test_decoders_start_as_independent_features(likelihood):
    """The first bias alone reproduces the columns' means: the network has only the rest to learn."""
    x = digits().x[:500].float()
    x = (x > 7).float() if isinstance(likelihood, Bernoulli) else x
    fn = likelihood(likelihood.start(x))
    draws = torch.stack([fn.sample() for _ in range(400)]).double()
    sd = draws.std(0).clamp(min=0.05)
    assert ((draws.mean(0) - x.mean(0)).abs() < 6 * sd / math.sqrt(400) + 0.06 * likelihood.span).all()


def test_vae_takes_any_encoder_and_decoder():
    encoder = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.LazyLinear(4)
    )
    encoder(torch.zeros(1, 64))
    model = VAE(
        features=64,
        latent=2,
        likelihood=Categorical(17),
        encoder=encoder,
        decoder=torch.nn.Linear(2, 64 * 17),
    )
    posterior = fit(model, SVI(steps=60), x=digits().x[:200])
    assert posterior.elbo[-10:].mean() > posterior.elbo[:5].mean()
    assert ask(posterior, "p(x)").sample(3).shape == (3, 64)


def test_vae_refuses_what_is_no_likelihood():
    with pytest.raises(DataError, match="likelihood: expected"):
        VAE(features=2, latent=1, likelihood="bernoulli")
    with pytest.raises(DataError, match="latent: expected a whole number from 1 up"):
        VAE(features=2, latent=0)


@pytest.mark.parametrize(
    ("width", "steps", "ceiling"), [(256, 700, 99.91), pytest.param(512, 2000, 97.4, marks=pytest.mark.slow)]
)
def test_vae_on_digits_beats_the_floors(width, steps, ceiling):
    """Independent pixels need 106.4 nats of test -ELBO, a mixture over labels 99.91 (train [:1000])."""
    x = digits().x
    train, test = x[:1000], x[1350:]
    counts = torch.nn.functional.one_hot(train.long(), 17).sum(0) + 1.0
    log_pixel = (counts / counts.sum(-1, keepdim=True)).log()
    independent = -log_pixel[torch.arange(64), test.long()].sum(1).mean()
    model = VAE(features=64, latent=16, likelihood=BetaBinomial(17), hidden=(width,), dropout=0.2)
    untrained = fit(model, SVI(steps=1), x=train)
    posterior = fit(model, SVI(steps=steps, learning_rate=2e-3), x=train)
    start, found = (-ask(p, "p(x)", LowerBound(30)).log_prob(x=test).mean() for p in (untrained, posterior))
    assert start > independent
    assert found <= ceiling
    assert independent == pytest.approx(106.4, abs=0.5)


@pytest.mark.parametrize("option", ["concentration", "loc", "strength", "shape", "rate"])
@pytest.mark.parametrize("model", [GaussianNaiveBayes, GaussianMixture])
def test_priors_are_checked(model, option):
    with pytest.raises(DataError, match=f"{option}: expected"):
        model(2, 3, **{option: float("nan")})
    with pytest.raises(DataError, match=f"{option}: expected a number or an array that fits"):
        model(2, 3, **{option: torch.ones(5)})
    with pytest.raises(DataError, match=r"features: expected a whole number from 1 up, got 2\.5"):
        model(2, 2.5)


@pytest.mark.parametrize("model", ALL, ids=lambda m: m.__name__)
def test_models_show_themselves(model):
    made = example(model)
    assert str(made) == made.joint
    assert repr(made).splitlines()[0].startswith(f"{model.__name__}(")
    page = made._repr_html_()
    for part in ("<svg", "aria-label", "$$p("):
        assert part in page
    assert "plate" in page.lower()
