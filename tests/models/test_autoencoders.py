"""Autoencoders: reconstruction without a density, and the slope of log p that denoising teaches."""

import pytest
import torch

from ppl_gen import SVI, ask, check_model, fit, load, save
from ppl_gen.data import wine
from ppl_gen.errors import DataError, NotGenerated
from ppl_gen.models import Autoencoder, DenoisingAutoencoder

X = wine().standardized().x.float()
BOTH = pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])


@BOTH
def test_contract(cls):
    check_model(cls(features=3, latent=2), noisy=torch.randn(8, 3))


def test_a_linear_autoencoder_finds_what_pca_finds():
    """Baldi and Hornik 1989: the least reconstruction error is that of the principal components."""
    x = X - X.mean(0)
    model = Autoencoder(13, 3, encoder=torch.nn.Linear(13, 3), decoder=torch.nn.Linear(3, 13))
    best = torch.linalg.svdvals(x)[3:].square().sum().item()
    errors = []
    for steps in (1, 1500):
        posterior = fit(model, SVI(steps=steps, learning_rate=0.02, batch_size=0), x=x, noisy=x)
        again = ask(posterior, "p(x | noisy)", noisy=x).mean
        errors.append((again - x).square().sum().item())
    assert errors[0] > 1.5 * best
    assert 0.999 * best < errors[1] < 1.01 * best
    code = posterior.model.encode(x)
    torch.testing.assert_close(posterior.model.decode(code), again)


@BOTH
def test_refuses_densities_and_says_what_to_ask(cls):
    posterior = fit(cls(13, 2), SVI(steps=2), x=X, noisy=X)
    with pytest.raises(NotGenerated, match=r"p\(x \| noisy\).*no p\(z\).*ask a VAE.*for p\(x\)"):
        ask(posterior, "p(x)")
    with pytest.raises(NotGenerated, match="'noisy' is given"):
        fit(cls(13, 2), SVI(steps=2), x=X)


def test_denoising_learns_the_slope_of_log_p():
    """Of Normal rows the noisy ones are N(0, S + noise² I), whose log density has the slope -(S + …)⁻¹ x."""
    g = torch.Generator().manual_seed(0)
    root = torch.tensor([[2.0, 0.0], [0.9, 0.5]])
    x = torch.randn(4000, 2, generator=g) @ root.T
    model = DenoisingAutoencoder(
        2, 2, noise=0.7, encoder=torch.nn.Linear(2, 2), decoder=torch.nn.Linear(2, 2)
    )
    noisy = model.corrupted(x, seed=1)
    posterior = fit(model, SVI(steps=800, learning_rate=0.02, batch_size=0), x=x, noisy=noisy)
    at = torch.eye(2)
    expected = -torch.linalg.solve(noisy.T @ noisy / 4000, at)
    assert (model.slope(at) - model.slope(0 * at) - expected).abs().max() > 0.3
    slope = posterior.model.slope(at) - posterior.model.slope(0 * at)
    # regression coefficients over 4000 rows: sd below noise / sqrt(4000 · 0.5) = 0.016, over noise²
    assert (slope - expected).abs().max() < 5 * 0.016 / 0.49


@BOTH
def test_saved_and_loaded(cls, tmp_path):
    posterior = fit(cls(13, 2), SVI(steps=3), x=X, noisy=X)
    save(posterior, tmp_path / "ae.pplgen")
    again = load(tmp_path / "ae.pplgen")
    assert torch.equal(again.model.encode(X), posterior.model.encode(X))


def test_bad_sizes_are_refused():
    with pytest.raises(DataError, match="noise: expected a positive number, got 0"):
        DenoisingAutoencoder(2, 1, noise=0)
    with pytest.raises(DataError, match="latent: expected a whole number"):
        Autoencoder(2, 0)
