"""Probabilistic PCA and factor analysis: exact evidence and codes, scikit-learn, and the linear VAE."""

import math
from itertools import pairwise

import numpy as np
import pytest
import sklearn.decomposition
import torch
from torch.distributions import MultivariateNormal

from ppl_gen import SVI, MaximumLikelihood, ask, check_model, fit, load, save
from ppl_gen.data import breast_cancer, wine
from ppl_gen.distributions import LinearGaussian
from ppl_gen.errors import DataError
from ppl_gen.models import PPCA, FactorAnalysis

BOTH = pytest.mark.parametrize("cls", [PPCA, FactorAnalysis], ids=lambda c: c.__name__)
NAN = float("nan")


def linear(features=5, latent=2, seed=0, tied=False):
    """Parameters without symmetry: nothing about them is special."""
    g = torch.Generator().manual_seed(seed)
    weights = torch.randn(features, latent, generator=g, dtype=torch.float64)
    noise = 0.1 + torch.rand(features, generator=g, dtype=torch.float64)
    loc = torch.randn(features, generator=g, dtype=torch.float64)
    return LinearGaussian(loc, weights, noise[0].expand(features) if tied else noise)


def known(cls, seed=0, features=5, latent=2):
    return cls(features, latent).having(linear(features, latent, seed, cls.tied))


def dense(p):
    """log p(x), and p(z | x), by the dense covariance of (z, x): Bishop 2006, equations 2.81 and 2.82."""
    loc, w, variance = p.linear()
    cross = w.detach()
    covariance = cross @ cross.T + torch.diag(variance.detach())
    return loc.detach(), cross, covariance


@BOTH
@pytest.mark.parametrize("noise", [None, 0.5])
def test_contract(cls, noise):
    check_model(cls(features=4, latent=2, noise=noise), n=8)


@BOTH
def test_evidence_is_that_of_the_dense_covariance(cls):
    p = known(cls)
    x = ask(p, "p(x)").sample(7, seed=0)
    loc, _, covariance = dense(p)
    answer = ask(p, "p(x)")
    expected = MultivariateNormal(loc, covariance).log_prob(x)
    torch.testing.assert_close(answer.log_prob(x=x), expected, rtol=1e-10, atol=1e-10)
    assert answer.how == "exact"
    torch.testing.assert_close(answer.mean, loc, rtol=1e-12, atol=1e-12)


@BOTH
@pytest.mark.parametrize("blank", [[], [1], [0, 3, 4], [0, 1, 2, 3, 4]], ids=str)
def test_codes_and_evidence_with_missing_cells_are_exact(cls, blank):
    p = known(cls)
    x = ask(p, "p(x)").sample(3, seed=1)
    whole = x.clone()
    x[1:, blank] = NAN
    loc, w, covariance = dense(p)
    seen = [j for j in range(5) if j not in blank]
    inside, gain = covariance[seen][:, seen], torch.linalg.solve(covariance[seen][:, seen], w[seen]).T
    code = ask(p, "p(z | x)", x=x)
    torch.testing.assert_close(code.mean[1:], (whole[1:, seen] - loc[seen]) @ gain.T, rtol=1e-9, atol=1e-9)
    assert code.how == "exact"
    z = torch.tensor([0.3, -0.4], dtype=torch.float64)
    rest = torch.eye(2, dtype=torch.float64) - gain @ w[seen]
    expected = MultivariateNormal(code.mean[1:], (rest + rest.T) / 2).log_prob(z)
    torch.testing.assert_close(code.log_prob(z=z)[1:], expected, rtol=1e-9, atol=1e-9)
    assert code.sample(4, seed=0).shape == (4, 3, 2)
    evidence = ask(p, "p(x)").log_prob(x=x)[1:]
    known_cells = MultivariateNormal(loc[seen], inside).log_prob(whole[1:, seen]) if seen else torch.zeros(2)
    torch.testing.assert_close(evidence, known_cells.double(), rtol=1e-9, atol=1e-9)


@BOTH
def test_bayes_rule_holds_between_the_answers(cls):
    """log p(z) + log p(x | z) = log p(x) + log p(z | x), each asked of its own factors."""
    p = known(cls)
    both = ask(p, "p(x, z)").sample(6, seed=2)
    x, z = both["x"], both["z"]
    forward = ask(p, "p(z)").log_prob(z=z) + ask(p, "p(x | z)", z=z).log_prob(x=x)
    inverse = ask(p, "p(x)").log_prob(x=x) + ask(p, "p(z | x)", x=x).log_prob(z=z)
    torch.testing.assert_close(forward, inverse, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(forward, ask(p, "p(x, z)").log_prob(x=x, z=z), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("data", [wine(), breast_cancer()], ids=lambda d: d.name)
def test_log_likelihood_equals_scikit_learns_at_equal_parameters(data):
    x = data.standardized().x[:, :13]
    pca = sklearn.decomposition.PCA(3, svd_solver="full").fit(x)
    weights = torch.tensor(pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_))
    noise = torch.full((13,), float(pca.noise_variance_), dtype=torch.float64)
    ours = PPCA(13, 3).having(LinearGaussian(torch.tensor(pca.mean_), weights, noise))
    theirs = torch.tensor(pca.score_samples(x.numpy()))
    torch.testing.assert_close(ask(ours, "p(x)").log_prob(x=x), theirs, rtol=1e-8, atol=1e-8)

    fa = sklearn.decomposition.FactorAnalysis(3, svd_method="lapack").fit(x)
    parameters = (fa.mean_, fa.components_.T, fa.noise_variance_)
    ours = FactorAnalysis(13, 3).having(LinearGaussian(*map(torch.tensor, parameters)))
    theirs = torch.tensor(fa.score_samples(x.numpy()))
    torch.testing.assert_close(ask(ours, "p(x)").log_prob(x=x), theirs, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(
        ask(ours, "p(z | x)", x=x).mean, torch.tensor(fa.transform(x.numpy())), rtol=1e-8, atol=1e-8
    )


def test_maximum_likelihood_is_tipping_and_bishops():
    x = wine().standardized().x
    posterior = fit(PPCA(13, 3), x=x)
    pca = sklearn.decomposition.PCA(3, svd_solver="full").fit(x)
    shrunk = (len(x) - 1) / len(x)  # scikit-learn divides by n - 1
    spectrum = torch.tensor(pca.explained_variance_) * shrunk
    _, w, variance = posterior.model.linear()
    noise = torch.tensor(pca.noise_variance_ * shrunk)
    torch.testing.assert_close(variance[0].detach(), noise, rtol=1e-10, atol=0)
    torch.testing.assert_close(w.square().sum(0).detach(), spectrum - noise, rtol=1e-8, atol=0)
    axes = (w / w.norm(dim=0)).detach().T
    torch.testing.assert_close((axes * torch.tensor(pca.components_)).sum(1).abs(), torch.ones(3).double())
    total = ask(posterior, "p(x)").log_prob(x=x).sum().item()
    assert posterior.log_evidence == pytest.approx(total, rel=1e-12)


@BOTH
def test_maximum_likelihood_is_where_the_gradient_vanishes(cls):
    x = wine().x
    p = fit(cls(13, 3), MaximumLikelihood(), x=x).model
    start = cls(13, 3).having(LinearGaussian.start(x, 3))
    sizes = []
    for model in (start, p):
        parameters = [v.detach().requires_grad_() for v in model.linear()]
        if cls.tied:
            parameters[2] = parameters[2][0].detach().requires_grad_()
        at = LinearGaussian(parameters[0], parameters[1], parameters[2].expand(13))
        gradient = torch.autograd.grad(at.log_prob(x).mean(), parameters)
        noise = parameters[2].detach()
        units = (noise.sqrt(), noise.sqrt()[..., None], noise)
        sizes.append(max(float((g * unit).abs().max()) for g, unit in zip(gradient, units, strict=True)))
    assert sizes[0] > 0.01
    assert sizes[1] < 1e-5


@BOTH
def test_em_climbs_at_every_step_to_the_closed_form(cls):
    x = wine().standardized().x[:, :6]
    here = LinearGaussian.start(x, 2)
    best = fit(cls(6, 2), x=x).log_evidence
    assert here.log_prob(x).sum() < best - 50
    history = []
    for _ in range(60):
        history.append(here.log_prob(x).sum().item())
        here = here.improved(x, cls.tied)
    assert min(b - a for a, b in pairwise(history)) > -1e-9
    end = here.em(x, cls.tied, tolerance=1e-12, steps=4000).log_prob(x).sum().item()
    assert best - 0.01 < end < best + 1e-6


@BOTH
def test_missing_cells_are_fitted_by_em(cls):
    """Of 300 rows a fifth of the cells is gone: the likelihood of what is left beats the truth's own."""
    truth = known(cls, seed=3)
    x = ask(truth, "p(x)").sample(300, seed=3)
    holes = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.2
    x = torch.where(holes, NAN, x)
    posterior = fit(cls(5, 2), x=x)
    own = ask(truth, "p(x)").log_prob(x=x).sum().item()
    start = LinearGaussian.start(x, 2).log_prob(x).sum().item()
    assert start < own < posterior.log_evidence
    assert posterior.log_evidence == pytest.approx(ask(posterior, "p(x)").log_prob(x=x).sum().item())
    bound, error = posterior.estimate_elbo(5)
    assert bound == pytest.approx(posterior.log_evidence, rel=1e-10)
    assert error < 1e-9


@BOTH
def test_elbo_under_the_exact_guide_is_the_evidence(cls):
    """Not for one draw does it differ, whatever the parameters."""
    p = known(cls, seed=4)
    x = ask(p, "p(x)").sample(20, seed=0)
    posterior = fit(cls(5, 2), x=x)
    loc, _, covariance = dense(posterior.model)
    exact = MultivariateNormal(loc, covariance).log_prob(x).sum().item()
    for seed in range(3):
        bound, _ = posterior.estimate_elbo(1, seed=seed)
        assert bound == pytest.approx(exact, rel=1e-9)


def collapsing(seed=0, n=400):
    """Three directions above a noise of standard deviation 1, and seven that are noise alone."""
    g = torch.Generator().manual_seed(seed)
    axes, _ = torch.linalg.qr(torch.randn(10, 10, generator=g, dtype=torch.float64))
    z = torch.randn(n, 10, generator=g, dtype=torch.float64)
    x = (z - z.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(z.T @ z / n).mT)  # white
    scale = torch.tensor([4.0, 3.0, 2.0, *[0.8] * 7], dtype=torch.float64)
    return (x - x.mean(0)) * scale @ axes.T


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 5))])
def test_linear_vae_finds_the_evidence_and_collapses_below_the_noise(seed):
    """Lucas et al. 2019, Don't blame the ELBO: the dimensions that the likelihood has no use for collapse."""
    x = collapsing(seed)
    model = PPCA(features=10, latent=6, noise=1.0, seed=seed)
    best = fit(model, MaximumLikelihood(), x=x).log_evidence
    untrained = fit(model, SVI(steps=1, seed=seed), x=x)
    posterior = fit(model, SVI(steps=1000, seed=seed), x=x)

    def of(p):
        bound, error = p.estimate_elbo(200)
        code = p.model.q_scale
        weights = p.model.linear().weights.norm(dim=0)
        return bound, error, (weights > 0.1).sum().item(), (code < 0.9).sum().item()

    bound, error, used, informed = of(untrained)
    assert bound < best - 0.005 * abs(best) - 6 * error
    assert informed == 0
    bound, error, used, informed = of(posterior)
    assert best - 0.005 * abs(best) < bound + 6 * error
    assert bound - 6 * error < best
    assert (used, informed) == (3, 3)


@BOTH
def test_units_and_offsets_do_not_matter_to_the_fit(cls):
    x = wine().standardized().x[:, :6]
    one = fit(cls(6, 2), SVI(steps=300), x=x)
    two = fit(cls(6, 2), SVI(steps=300), x=1e4 * x + 1e6)
    shift = x.numel() * math.log(1e4)
    assert two.elbo[-1].item() + shift == pytest.approx(one.elbo[-1].item(), rel=1e-6)


@BOTH
def test_saved_and_loaded(cls, tmp_path):
    x = wine().standardized().x[:, :6]
    for method in (MaximumLikelihood(), SVI(steps=20)):
        posterior = fit(cls(6, 2), method, x=x)
        save(posterior, tmp_path / "codes.pplgen")
        again = load(tmp_path / "codes.pplgen")
        for question, given in (("p(x)", {}), ("p(z | x)", {"x": x})):
            named = {"z": torch.zeros(2).double()} if given else {"x": x}
            torch.testing.assert_close(
                ask(again, question, **given).log_prob(**named),
                ask(posterior, question, **given).log_prob(**named),
                rtol=0, atol=0,
            )  # fmt: skip


def test_bad_sizes_and_data_are_refused():
    with pytest.raises(DataError, match="latent: expected at most the 3 features, got 4"):
        PPCA(features=3, latent=4)
    with pytest.raises(DataError, match="x: expected more noise"):
        fit(PPCA(features=3, latent=2), x=torch.randn(4, 1).double() * torch.ones(3))
    with pytest.raises(DataError, match=r"x: expected columns that vary, .*; column 2 is constant: drop it"):
        fit(FactorAnalysis(features=3, latent=1), x=torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 5.0]]))
    with pytest.raises(DataError, match="all rows at once"):
        fit(PPCA(features=3, latent=2), MaximumLikelihood(), [{"x": torch.zeros(3, 3)}])


@pytest.mark.parametrize("gap", [False, True], ids=["whole", "with gaps"])
def test_columns_that_leave_the_likelihood_open_are_named(gap):
    x = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    constant, empty = x.clone(), x.clone()
    constant[:, [0, 3]] = torch.tensor([7.0, 0.0], dtype=torch.float64)
    if gap:
        x[0, 1] = constant[0, 1] = constant[2, 0] = NAN
    empty[:, 2] = NAN
    for cls in (PPCA, FactorAnalysis):
        fit(cls(features=5, latent=2), x=x)
        with pytest.raises(DataError, match="at least one cell in every column, got none in column 2: drop"):
            fit(cls(features=5, latent=2), x=empty)
    fit(PPCA(features=5, latent=2), x=constant)  # one noise for all is learned from the others
    with pytest.raises(DataError, match=r"x: expected columns that vary.*; columns 0, 3 are constant: drop"):
        fit(FactorAnalysis(features=5, latent=2), x=constant)
    if not gap:
        with pytest.raises(DataError, match="beyond 3 latent dimensions: columns 0, 3 are constant: drop"):
            fit(PPCA(features=5, latent=3), x=constant)
