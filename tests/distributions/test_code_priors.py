"""Priors of codes: their samplers draw from their densities, and what is learned moves the bound."""

import math

import pytest
import torch

from ppl_gen import SVI, ask, fit, load, save
from ppl_gen.distributions import CouplingFlow, Gaussian, LearnedNormal, NormalMixture, StandardNormal
from ppl_gen.errors import DataError
from ppl_gen.models import VAE
from ppl_gen.testing import check_model
from tests.thinned import thinned

LEARNED = [LearnedNormal(), NormalMixture(3), CouplingFlow(3, 8)]
ALL = [StandardNormal(), *LEARNED]


def moved(prior, latent=2, seed=0):
    """The module of a prior with parameters away from its start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = prior.module(latent).double()
        with torch.no_grad():
            for w in module.parameters():
                w.add_(0.4 * torch.randn_like(w))
    return module


@pytest.mark.parametrize("prior", ALL, ids=repr)
def test_densities_integrate_to_one(prior):
    """On a grid of step 0.1 out to 30, less what a flow's long tails leave outside."""
    axis = torch.arange(-30, 30, 0.1, dtype=torch.float64)
    with torch.no_grad():
        grid = torch.cartesian_prod(axis, axis)
        total = moved(prior)().log_prob(grid).exp().sum() * 0.01
    assert total.item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("prior", ALL, ids=repr)
@pytest.mark.parametrize("seed", range(2))
def test_samplers_draw_from_their_densities(prior, seed):
    """E exp(-|z - 1|²) by draws and by the grid: at most 5.3 standard errors apart (10⁻⁷ a test)."""
    fn, n = moved(prior)(), 20_000
    axis = torch.arange(-5, 7, 0.05, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)

    def height(z):
        return (-(z - 1).square().sum(-1)).exp()

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        drawn = height(fn.sample((n,)))
        truth = (fn.log_prob(grid).exp() * height(grid)).sum() * 0.05**2
        wrong = (StandardNormal().module(2)().log_prob(grid).exp() * height(grid)).sum() * 0.05**2
    error = drawn.std() / math.sqrt(n)
    assert (drawn.mean() - truth).abs() / error < 5.3
    if list(prior.module(2).parameters()):  # another density does fail
        assert (drawn.mean() - wrong).abs() / error > 5.3


@pytest.mark.parametrize("prior", ALL, ids=repr)
def test_models_with_them_keep_the_contract_and_are_saved(prior, tmp_path):
    model = VAE(features=3, latent=2, hidden=(8,), prior=prior)
    check_model(model, n=9)
    x = torch.randint(0, 2, (12, 3)).float()
    posterior = fit(model, SVI(steps=3, progress=False), x=x)
    save(posterior, tmp_path / "vae.pplgen")
    again = load(tmp_path / "vae.pplgen")
    assert again.estimate_elbo(5, x=x) == posterior.estimate_elbo(5, x=x)
    assert torch.equal(ask(again, "p(z)").sample(4, seed=1), ask(posterior, "p(z)").sample(4, seed=1))


@pytest.mark.parametrize("prior", thinned(LEARNED, 3), ids=repr)
def test_what_is_learned_comes_nearer_to_codes_in_two_heaps(prior):
    """x is the code of two far heaps, seen with little noise: the best prior of the code is not N(0, 1)."""
    generator = torch.Generator().manual_seed(0)
    centre = 4 * torch.randint(0, 2, (300, 1), generator=generator) + 3.0
    x = centre + 0.3 * torch.randn(300, 2, generator=generator)
    method = SVI(steps=400, learning_rate=1e-2, batch_size=0, progress=False)
    bounds = [
        fit(VAE(features=2, latent=2, likelihood=Gaussian(), hidden=(), prior=p), method, x=x).elbo[-50:]
        for p in (StandardNormal(), prior)
    ]
    assert bounds[1].mean() > bounds[0].mean()


def test_settings_are_checked():
    with pytest.raises(DataError, match="latent: expected at least 2 numbers for a coupling flow, got 1"):
        VAE(features=2, latent=1, prior=CouplingFlow())
    with pytest.raises(DataError, match=r"prior: expected StandardNormal\(\), .* got str"):
        VAE(features=2, latent=1, prior="mixture")
    with pytest.raises(DataError, match="components: expected a whole number from 1 up"):
        NormalMixture(0)
