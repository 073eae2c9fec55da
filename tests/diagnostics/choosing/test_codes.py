"""The tools of the VAE chapter on the linear VAE, where every exact answer is known."""

import math

import pytest
import scipy.stats as st
import torch

from ppl_gen import SVI, fit
from ppl_gen.data import iris, wine
from ppl_gen.diagnostics import (
    amortization_gap,
    elbo_terms,
    gradient_variance,
    importance_bounds,
    reconstruct,
    traversal,
)
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.models import PPCA, GaussianMixture, GaussianNaiveBayes, SemiSupervisedVAE

X = wine().standardized().x[:40, :6]
Z = st.norm.isf(1e-6 / 2)


def worse(posterior, shift=0.4, factor=1.3):
    """The same linear VAE with an encoder that is off by known amounts."""
    model = posterior.model.having(posterior.model.linear())
    with torch.no_grad():
        model.loc.add_(0)
        model.q_scale = factor * model.q_scale
        model.q_weights.mul_(1 - shift)
    one = fit(model, SVI(steps=1, learning_rate=1e-12), x=X)
    return one


@pytest.fixture(scope="module")
def exact():
    return fit(PPCA(6, 2), x=X)


def test_terms_add_up_to_the_closed_form(exact):
    found = elbo_terms(exact, draws=300)
    assert not found.kl.requires_grad
    linear = exact.model.linear()
    code = linear.codes(X)
    variance, mean = code.variance, code.mean
    kl = 0.5 * (variance + mean.square() - 1 - variance.log()).mean(0)
    torch.testing.assert_close(found.kl, kl.detach(), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(found.variance, mean.var(0, correction=0).detach())
    assert abs(len(X) * found.elbo - exact.log_evidence) < Z * len(X) * found.error
    assert found.elbo == pytest.approx(found.reconstruction - found.kl.sum().item())
    assert found.active.all()
    assert found.alarm == ""


def test_the_alarm_names_a_collapse():
    x = X - X.mean(0)
    noise = torch.linalg.svdvals(x).square()[2].sqrt().item() / len(x) ** 0.5 * 1.01
    collapsed = fit(PPCA(6, 4, noise=noise), x=x)  # two directions of six lie above such a noise
    found = elbo_terms(collapsed, draws=10)
    assert found.active.tolist() == [True, True, False, False]
    assert found.kl[2:].abs().max() < 1e-10
    assert found.alarm.startswith("posterior collapse: 2 of 4 dimensions are active")
    assert "posterior collapse" in str(found)
    nothing = elbo_terms(fit(PPCA(6, 2, noise=10.0), x=x), draws=10)
    assert "says nothing of the row" in nothing.alarm


def test_no_row_gains_on_an_exact_encoder_and_each_gains_on_a_bad_one(exact):
    gap, error = amortization_gap(exact, steps=300, draws=100)
    assert gap.shape == error.shape == (40,)
    assert (gap.abs() < 0.02 + Z * error).all()
    off = worse(exact)
    gap, error = amortization_gap(off, steps=300, draws=100)
    linear = off.model.linear()
    right = linear.codes(X)
    q_loc = ((X - off.model.centre) / off.model.spread - off.model.loc) @ off.model.q_weights
    q = torch.distributions.Normal(q_loc.detach(), off.model.q_scale.detach())
    best = torch.distributions.Normal(right.mean.detach(), right.stddev.detach())
    truth = torch.distributions.kl_divergence(q, best).sum(1)  # posterior codes are uncorrelated here
    assert truth.min() > 0.02
    assert ((gap - truth).abs() < 0.05 + Z * error).all()


def test_both_gradients_estimate_one_and_the_score_function_scatters_more(exact):
    off = worse(exact)
    found = gradient_variance(off, draws=400)
    (one, narrow), (two, wide) = found["reparameterised"], found["score function"]
    linear = off.model.linear()
    code = linear.codes(X)
    q_loc = ((X - off.model.centre) / off.model.spread - off.model.loc) @ off.model.q_weights
    truth = ((code.mean - q_loc)[:, None] @ code.precision_matrix)[:, 0].detach()
    for mean, variance in ((one, narrow), (two, wide)):
        assert ((mean - truth) / (variance / 400).sqrt()).abs().max() < st.t.isf(1e-6 / 160, 60)
    assert wide.mean() > 5 * narrow.mean()


def test_bounds_rise_with_k_to_the_evidence(exact):
    off = worse(exact)
    values, errors = importance_bounds(off, (1, 4, 16, 64), draws=640)
    assert (values.diff() > 0).all()
    assert values[0] + 5 * errors[0] < exact.log_evidence
    assert values[-1] < exact.log_evidence + 5 * errors[-1]
    with pytest.raises(DataError, match="k: expected at most half"):
        importance_bounds(off, (400,), draws=500)


def test_reconstructions_and_traversals_are_linear(exact):
    linear = exact.model.linear()
    again = reconstruct(exact)
    mean = linear.codes(X).mean
    torch.testing.assert_close(again, (linear.loc + mean @ linear.weights.T).detach())
    grid = traversal(exact, 3, reach=2.0, steps=5)
    assert grid.shape == (2, 5, 6)
    torch.testing.assert_close(grid[1, 4] - grid[1, 0], 4 * linear.weights[:, 1].detach())
    torch.testing.assert_close(grid[0, 2], (linear.loc + mean[3, 1] * linear.weights[:, 1]).detach())
    with pytest.raises(DataError, match="row: expected 0 to 39, got 40"):
        traversal(exact, 40)


def test_models_without_one_code_are_refused():
    data = iris()
    nb = fit(GaussianNaiveBayes(3, 4), x=data.x, y=data.y)
    with pytest.raises(Unanswerable, match="one hidden variable"):
        elbo_terms(nb)
    mixture = fit(GaussianMixture(2, 4), SVI(steps=2), x=data.x)
    with pytest.raises(Unanswerable, match="one hidden variable"):
        amortization_gap(mixture)
    with pytest.raises(DataError, match="posterior: expected what fit returned"):
        reconstruct(PPCA(3, 1))


def test_codes_of_labelled_rows_are_those_of_their_own_labels():
    x = torch.randint(0, 2, (30, 4), generator=torch.Generator().manual_seed(0)).float()
    y = torch.arange(30) % 3
    model = SemiSupervisedVAE(classes=3, features=4, latent=2, hidden=(8,))
    posterior = fit(model, SVI(steps=300, batch_size=0, learning_rate=1e-2), x=x, y=y)
    found = elbo_terms(posterior, draws=200)
    value, error = posterior.estimate_elbo(200)
    assert abs(30 * found.elbo - value) < 6 * math.hypot(30 * found.error, error)
    assert torch.equal(reconstruct(posterior), reconstruct(posterior))  # nothing is drawn
    assert traversal(posterior, steps=3).shape == (2, 3, 4)
    some = torch.where(torch.arange(30) < 5, y.float(), torch.nan)
    with pytest.raises(Unanswerable, match="expected one hidden variable, a code of each row, got y, z"):
        elbo_terms(posterior, x=x, y=some)
