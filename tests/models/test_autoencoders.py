"""Autoencoders: reconstruction without a density, and the slope of log p that denoising teaches."""

import pytest
import torch

from ppl_gen import MAP, NUTS, SVI, Laplace, ask, check_model, fit, load, save
from ppl_gen.data import wine
from ppl_gen.errors import DataError, NotGenerated, Unanswerable
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


@BOTH
def test_units_do_not_matter(cls):
    """The ELBO in other units is the same less the log Jacobian, up to the rounding of short floats."""
    raw = wine().x
    centre, spread = raw.mean(0), raw.std(0, correction=0)
    u = (raw - centre) / spread
    noisy = u + 0.1 * torch.randn(u.shape, generator=torch.Generator().manual_seed(0), dtype=u.dtype)
    here, there = (
        fit(cls(13, 2), SVI(steps=40, progress=False), x=a * u + b, noisy=a * noisy + b)
        for a, b in ((1.0, 0.0), (spread, centre))
    )
    jacobian = len(u) * spread.log().sum()
    torch.testing.assert_close(there.elbo, here.elbo - jacobian, rtol=0, atol=0.05)
    codes = here.model.encode(u)
    torch.testing.assert_close(there.model.encode(raw), codes, rtol=0, atol=1e-4)
    again = there.model.decode(codes).double()
    torch.testing.assert_close(
        (again - centre) / spread, here.model.decode(codes).double(), rtol=0, atol=1e-4
    )


def test_rows_may_be_arrays_of_any_type():
    model, x = DenoisingAutoencoder(13, 2), X[:5]
    for rows in (x.double(), x.numpy(), x.double().numpy(), x.tolist()):
        torch.testing.assert_close(model.encode(rows), model.encode(x))
        torch.testing.assert_close(model.slope(rows), model.slope(x))
        torch.testing.assert_close(model.corrupted(rows, seed=3), model.corrupted(x, seed=3))
    assert model.decode(model.encode(x).detach().double().numpy()).shape == (5, 13)
    assert model.double().encode(x).dtype == torch.float64
    with pytest.raises(DataError, match=r"x: expected shape \(…, 13\), got \(5, 2\)"):
        model.slope(X[:5, :2])
    with pytest.raises(DataError, match=r"x: expected finite real numbers, got nan at \[0\]"):
        model.corrupted(torch.full((13,), torch.nan))
    x = x.double().requires_grad_()
    assert torch.autograd.grad(model.slope(x).sum(), x)[0].abs().sum() > 0


@pytest.mark.parametrize("method", [MAP(), Laplace(), NUTS()], ids=lambda m: type(m).__name__)
def test_weights_of_networks_are_no_variables(method):
    with pytest.raises(Unanswerable, match=r"Autoencoder is p\(x \| noisy\): all it learns .* Use SVI\(\)"):
        fit(Autoencoder(13, 2), method, x=X[:5], noisy=X[:5])


def test_bad_sizes_are_refused():
    with pytest.raises(DataError, match="noise: expected a positive number, got 0"):
        DenoisingAutoencoder(2, 1, noise=0)
    with pytest.raises(DataError, match="latent: expected a whole number"):
        Autoencoder(2, 0)
