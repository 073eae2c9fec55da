"""Mixtures keep the contract of every model, and are the naive Bayes of which they hide the labels."""

import math

import pytest
import torch

from ppl_gen import SVI, ask, check_model, fit, load, save
from ppl_gen.errors import DataError
from ppl_gen.models import (
    BernoulliMixture,
    FullGaussianMixture,
    GaussianMixture,
    GaussianNaiveBayes,
    QuadraticDiscriminantAnalysis,
    SphericalGaussianMixture,
    SphericalNaiveBayes,
    TiedGaussianMixture,
)
from tests.inference.test_em import KINDS, rows
from tests.thinned import thinned


@pytest.mark.parametrize("name", thinned(KINDS, 3))
def test_keeps_the_contract(name):
    check_model(KINDS[name][0])


def test_spherical_naive_bayes_keeps_the_contract():
    check_model(SphericalNaiveBayes(3, 2))


@pytest.mark.parametrize("name", KINDS)
def test_with_known_labels_it_is_its_naive_bayes(name):
    mixture, kind = KINDS[name]
    base = next(cls for cls in type(mixture).__mro__ if not cls.__name__.endswith("Mixture"))
    sizes = {"classes" if k == "components" else k: v for k, v in mixture.configuration.items()}
    x, labels = rows(kind), torch.arange(90) % 3
    one, two = fit(mixture, x=x, z=labels), fit(base(**sizes), x=x, y=labels)
    assert one.log_evidence == pytest.approx(two.log_evidence, rel=1e-12)
    torch.testing.assert_close(ask(one, "p(z | x)", x=x).probs, ask(two, "p(y | x)", x=x).probs)


@pytest.mark.parametrize(
    ("covariance", "cls"),
    [("spherical", SphericalGaussianMixture), ("tied", TiedGaussianMixture), ("full", FullGaussianMixture)],
)
def test_covariance_names_the_structure(covariance, cls):
    model = GaussianMixture(components=3, features=2, covariance=covariance, strength=0.5)
    assert type(model) is cls
    assert model.configuration == {"components": 3, "features": 2, "strength": 0.5}


def test_an_unknown_covariance_is_refused():
    with pytest.raises(DataError, match="covariance: expected diagonal, spherical, tied, full, got 'round'"):
        GaussianMixture(2, 2, covariance="round")
    assert type(GaussianMixture(2, 2)) is GaussianMixture
    assert issubclass(GaussianMixture, GaussianNaiveBayes)
    assert issubclass(FullGaussianMixture, QuadraticDiscriminantAnalysis)


@pytest.mark.parametrize("name", KINDS)
def test_svi_starts_near_the_data_and_is_saved(name, tmp_path):
    model, kind = KINDS[name]
    x = rows(kind)

    class Blind(type(model)):
        def initialize(self, x, **_):
            pass

    posterior = fit(model, SVI(steps=40), x=x)
    blind = fit(Blind(**model.configuration), SVI(steps=1), x=x)
    assert posterior.elbo[-10:].mean() > blind.elbo[0] + 1
    save(posterior, tmp_path / "svi.pplgen")
    again = load(tmp_path / "svi.pplgen")
    assert torch.equal(posterior.draw(2, seed=0)["pi"], again.draw(2, seed=0)["pi"])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_known_labels_name_the_components_of_a_guide(turned, seed):
    generator = torch.Generator().manual_seed(0)
    z = torch.arange(60) % 2
    x = 0.3 * torch.randn(60, 2, generator=generator, dtype=torch.float64) + (2.0 * z - 1)[:, None]
    labels = torch.full((60,), math.nan)
    labels[:6] = (1 - z if turned else z)[:6].double()
    posterior = fit(GaussianMixture(2, 2), SVI(steps=100, seed=seed), x=x, z=labels)
    assert torch.equal(ask(posterior, "p(z | x)", x=x).mode, 1 - z if turned else z)


@pytest.mark.parametrize("covariance", ["diagonal", "spherical", "tied", "full"])
@pytest.mark.parametrize("components", ["two", 0, 2.5])
def test_a_mixture_has_components(covariance, components):
    with pytest.raises(DataError, match="components: expected a whole number from 1 up, got"):
        GaussianMixture(components=components, features=2, covariance=covariance)
    with pytest.raises(DataError, match="components: expected a whole number from 1 up, got"):
        BernoulliMixture(components=components, features=2)
