"""Discriminant analysis against scikit-learn, closed forms and models with columns left out."""

import numpy as np
import pytest
import torch
from pyro.distributions import MultivariateNormal
from sklearn import discriminant_analysis as sklearn
from torch.distributions import Normal

from ppl_gen import SVI, Laplace, ask, check_model, fit
from ppl_gen.data import iris, wine
from ppl_gen.distributions import InverseWishartCholesky, NormalInverseWishart
from ppl_gen.errors import DataError
from ppl_gen.missing import log_prob_seen
from ppl_gen.models import GaussianNaiveBayes, LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

BOTH = [QuadraticDiscriminantAnalysis, LinearDiscriminantAnalysis]
LDA, QDA = LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis


@pytest.mark.parametrize("model", BOTH)
@pytest.mark.parametrize("sizes", [(3, 3), (2, 1)])
def test_contract(model, sizes):
    check_model(model(*sizes, scatter=1.0), n=10)


@pytest.mark.parametrize("data", [iris(), wine()], ids=lambda d: d.name)
def test_predictions_equal_scikit_learns_at_equal_parameters(data):
    x, y = data.x.numpy(), data.y.numpy()
    lda = sklearn.LinearDiscriminantAnalysis(solver="lsqr", store_covariance=True).fit(x, y)
    qda = sklearn.QuadraticDiscriminantAnalysis(store_covariance=True).fit(x, y)
    for ours, theirs in ((LDA, lda), (QDA, qda)):
        sigma = torch.linalg.cholesky(torch.tensor(np.array(theirs.covariance_)))
        given = {"pi": torch.tensor(theirs.priors_), "mu": torch.tensor(theirs.means_), "sigma": sigma}
        answer = ask(ours(3, x.shape[1]), "p(y | x, pi, mu, sigma)", x=x, **given)
        expected = torch.tensor(theirs.predict_proba(x))
        torch.testing.assert_close(answer.probs, expected, rtol=1e-8, atol=1e-8)
        assert answer.how == "enumerated"


@pytest.mark.parametrize("model", BOTH)
def test_hyperparameters_equal_the_closed_form(model):
    """Gelman et al. 2013, section 3.6, with plain sums."""
    data = iris()
    prior = model(3, 4, loc=0.3, strength=0.5, freedom=4.0, scatter=[0.5, 1.0, 2.0, 3.0])
    after = fit(prior, x=data.x, y=data.y).model
    scatters = []
    for k in range(3):
        x = data.x[data.y == k]
        n, mean = len(x), x.mean(0)
        away = (mean - prior.loc[k])[:, None]
        scatters.append((x - mean).T @ (x - mean) + 0.5 * n / (0.5 + n) * away @ away.T)
        torch.testing.assert_close(after.loc[k], (0.5 * prior.loc[k] + n * mean) / (0.5 + n))
    psi = torch.diag(torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64))
    expected = psi + (sum(scatters) if model is LDA else torch.stack(scatters))
    torch.testing.assert_close(after.factor @ after.factor.mT, expected, rtol=1e-12, atol=1e-12)
    assert (after.df == 7 + (150 if model is LDA else 50)).all()


@pytest.mark.parametrize("model", BOTH)
def test_one_feature_of_one_class_is_naive_bayes(model):
    """The defaults give each feature the prior that naive Bayes gives it."""
    x, y = iris().x[:50, :1], torch.zeros(50, dtype=torch.long)
    nb, da = (fit(m(1, 1), x=x, y=y) for m in (GaussianNaiveBayes, model))
    assert da.log_evidence == pytest.approx(nb.log_evidence, rel=1e-12)
    x, y = iris().x[:, :1], iris().y % 2
    nb, da = (ask(fit(m(2, 1), x=x, y=y), "p(y | x)", x=x).probs for m in (GaussianNaiveBayes, QDA))
    torch.testing.assert_close(da, nb, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("model", BOTH)
def test_log_evidence_is_the_product_of_sequential_predictives(model):
    data = wine().standardized()[torch.arange(0, 178, 8)]  # fewer rows of a class than features
    total, posterior = 0.0, model(classes=3, features=13)
    for row, label in zip(data.x, data.y, strict=True):
        total += ask(posterior, "p(x, y)").log_prob(x=row, y=int(label)).item()
        posterior = fit(posterior, x=row[None], y=label[None])
    whole = fit(model(classes=3, features=13), x=data.x, y=data.y)
    assert whole.log_evidence == pytest.approx(total, rel=1e-9)
    assert posterior.log_evidence == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("model", BOTH)
def test_log_evidence_is_the_integral(model):
    """Two dimensions, mean and standard deviation, by the trapezium rule."""
    x = torch.tensor([0.3, 1.1, -0.4, 0.8], dtype=torch.float64)
    prior = model(1, 1, strength=0.7, freedom=5.0, scatter=2.0)
    u = torch.linspace(-4, 3.5, 1500, dtype=torch.float64)  # log sigma
    mu = torch.linspace(-12, 12, 4000, dtype=torch.float64)[:, None]
    sigma = u.exp()
    density = prior.family("features").covariances().log_prob(sigma[:, None, None]) + u
    density = density + Normal(0.0, sigma / 0.7**0.5).log_prob(mu)
    for cell in x:
        density = density + Normal(mu, sigma).log_prob(cell)
    integral = torch.trapezoid(torch.trapezoid(density.exp(), mu[:, 0], dim=0), u)
    found = fit(prior, x=x[:, None], y=torch.zeros(4, dtype=torch.long)).log_evidence
    assert found == pytest.approx(integral.log().item(), abs=1e-7)


@pytest.mark.parametrize("model", BOTH)
def test_elbo_under_the_exact_posterior_is_the_log_evidence_on_every_draw(model):
    data = iris()
    posterior = fit(model(3, 4), x=data.x, y=data.y)
    for seed in range(3):
        value, _ = posterior.estimate_elbo(draws=1, seed=seed)
        assert value == pytest.approx(posterior.log_evidence, rel=1e-10)


@pytest.mark.parametrize("model", BOTH)
def test_missing_cells_are_as_if_the_column_were_not_there(model):
    """The marginal of an inverse Wishart is one: leaving a column out keeps freedom and scatter."""
    data = wine().standardized()[torch.arange(0, 178, 2)]
    kept = [0, 2, 3, 6, 12]
    x = torch.full_like(data.x, torch.nan)
    x[:, kept] = data.x[:, kept]
    x[4] = torch.nan  # a row of which nothing is seen
    whole = fit(model(3, 13), x=data.x, y=data.y)
    part = fit(model(3, 5), x=data.x[:, kept], y=data.y)
    answer = ask(whole, "p(y | x)", x=x)
    assert answer.how == "enumerated"
    expected = ask(part, "p(y | x)", x=data.x[:, kept]).probs
    rows = torch.arange(len(x)) != 4
    torch.testing.assert_close(answer.probs[rows], expected[rows], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(answer.probs[4], ask(whole, "p(y)").probs, rtol=1e-10, atol=1e-12)
    for given in ({}, {"y": data.y}):
        question = "p(x | y)" if given else "p(x)"
        found = ask(whole, question, **given).log_prob(x=x)[rows]
        torch.testing.assert_close(
            found, ask(part, question, **given).log_prob(x=data.x[:, kept])[rows], rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("model", BOTH)
def test_missing_cells_at_given_parameters_and_in_many_patterns(model):
    data = iris()
    x = data.x.clone()
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.4] = torch.nan
    draw = {name: v[0] for name, v in fit(model(3, 4), x=data.x, y=data.y).draw(1, seed=0).items()}
    found = ask(model(3, 4), "p(x | y, mu, sigma)", y=data.y, mu=draw["mu"], sigma=draw["sigma"])
    by_hand = []
    for row, label in zip(x, data.y, strict=True):
        seen = ~row.isnan()
        sigma = draw["sigma"] if model is LDA else draw["sigma"][label]
        covariance = (sigma @ sigma.T)[seen][:, seen]
        normal = torch.distributions.MultivariateNormal
        some = bool(seen.any())
        by_hand.append(
            normal(draw["mu"][label][seen], covariance).log_prob(row[seen]) if some else row.new_zeros(())
        )
    torch.testing.assert_close(found.log_prob(x=x), torch.stack(by_hand), rtol=1e-10, atol=1e-10)


def test_missing_cells_under_a_guide_are_summed_out_too():
    data = iris()
    x = data.x.clone()
    x[::2, 1] = torch.nan
    svi = fit(QDA(3, 4), SVI(steps=400), x=data.x, y=data.y)
    probs = ask(svi, "p(y | x)", x=x).probs
    exact = ask(fit(QDA(3, 4), x=data.x, y=data.y), "p(y | x)", x=x).probs
    assert (probs - exact).abs().mean() < 0.02


@pytest.mark.parametrize("model", BOTH)
def test_missing_cells_at_fit_are_summed_out_by_laplace(model):
    x = torch.randn(14, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(14) % 2
    x[0, 1] = x[3, 0] = torch.nan
    x[5] = torch.nan
    found = fit(model(2, 2), Laplace(draws=100), x=x, y=y)
    assert torch.isfinite(found.elbo).all()
    assert ask(found, "p(y | x)", x=x).probs[5].sub(0.5).abs().max() < 0.1  # nothing seen, classes balanced


@pytest.mark.parametrize("pattern", [(True, False, True), (False, True, True), (True, True, True)])
def test_the_density_of_seen_cells_has_the_gradient_of_the_marginal(pattern):
    seen = torch.tensor(pattern)
    factor = torch.tensor([[1.0, 0, 0], [0.5, 2, 0], [-1, 0.3, 0.7]], dtype=torch.float64)
    value = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64)
    gradients = []
    for marginal in (True, False):
        at = factor.clone().requires_grad_()
        if marginal:
            fn = MultivariateNormal(torch.zeros(3).double(), scale_tril=at, validate_args=False)
            total = log_prob_seen(fn, value, seen[None]).sum()
        else:
            covariance = (at @ at.T)[seen][:, seen]
            total = MultivariateNormal(torch.zeros(int(seen.sum())).double(), covariance).log_prob(
                value[:, seen]
            )
        gradients += torch.autograd.grad(total.sum(), at)
    torch.testing.assert_close(gradients[0].tril(), gradients[1].tril())


@pytest.mark.parametrize("model", BOTH)
def test_missing_cells_at_fit_are_refused(model):
    with pytest.raises(DataError, match="full covariance have no conjugate update"):
        fit(model(2, 2), x=[[0.0, float("nan")], [1.0, 1.0]], y=[0, 1])


@pytest.mark.parametrize("model", BOTH)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_offsets_and_scales_cost_no_digits(model, scale):
    data, offset = iris(), 1e8 * scale
    x = data.x * scale
    moved = (x + offset) - offset  # the digits that the moved data still hold
    here = fit(model(3, 4, scatter=1e-6), x=moved, y=data.y).model
    there = fit(model(3, 4, loc=offset, scatter=1e-6), x=x + offset, y=data.y).model
    torch.testing.assert_close(there.factor, here.factor, rtol=1e-6, atol=1e-9 * scale)
    probs = ask(there, "p(y | x)", x=x + offset).probs
    torch.testing.assert_close(probs, ask(here, "p(y | x)", x=moved).probs, rtol=1e-5, atol=1e-6)


def test_one_row_of_many_features_far_from_the_prior():
    posterior = fit(LDA(2, 30), x=1e9 * torch.randn(3, 30, dtype=torch.float64), y=[0, 1, 1])
    assert torch.isfinite(ask(posterior, "p(x)").log_prob(x=torch.zeros(30)))


def test_soft_labels_are_rows_counted_by_their_weight():
    """What a mixture with full covariances needs; a row of weight two is the row twice."""
    rows = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loc, one = torch.zeros(2, 2).double(), torch.ones(2).double()
    eye = torch.eye(2).double()
    for prior in (
        NormalInverseWishart(loc, one, 4 * one, torch.stack([eye, eye])),
        NormalInverseWishart(loc, one, 4 * one[0], eye),
    ):
        weights = torch.tensor([[2.0, 0.0], [1, 1], [0, 3], [0, 1], [1, 0], [0, 0]], dtype=torch.float64)
        repeated = torch.cat([rows[[0, 0, 1, 4]], rows[[1, 2, 2, 2, 3]]])
        hard = torch.nn.functional.one_hot(torch.tensor([0] * 4 + [1] * 5)).double()
        for a, b in zip(prior.updated(weights, rows), prior.updated(hard, repeated), strict=True):
            torch.testing.assert_close(a, b)


def test_inverse_wishart_moments():
    """E[L] in closed form, and E[L Lᵀ] = Ψ / (df - features - 1), within 5.5 standard errors."""
    factor = torch.tensor([[1.0, 0, 0], [0.5, 2, 0], [-1, 0.3, 0.7]], dtype=torch.float64)
    fn = InverseWishartCholesky(torch.tensor(12.0, dtype=torch.float64), factor)
    torch.manual_seed(0)
    draws = fn.sample((20_000,))
    for values, mean in ((draws, fn.mean), (draws @ draws.mT, factor @ factor.T / (12 - 3 - 1))):
        error = values.std(0) / len(values) ** 0.5
        assert ((values.mean(0) - mean).abs() <= 5.5 * error + 1e-12).all()


@pytest.mark.parametrize("model", [LDA, pytest.param(QDA, marks=pytest.mark.slow)])
def test_svi_reaches_the_evidence_that_its_guide_can_reach(model):
    data = iris()
    exact = fit(model(3, 4), x=data.x, y=data.y).log_evidence
    start = fit(model(3, 4), SVI(steps=1), x=data.x, y=data.y).estimate_elbo()[0]
    bound, error = fit(model(3, 4), SVI(steps=500), x=data.x, y=data.y).estimate_elbo()
    assert start < exact - 50
    assert exact - 6 < bound < exact + 5 * error


@pytest.mark.parametrize("option", ["loc", "strength", "freedom", "scatter", "concentration"])
def test_priors_are_checked(option):
    with pytest.raises(DataError, match=f"{option}: expected"):
        QDA(2, 3, **{option: float("nan")})
    with pytest.raises(DataError, match="scatter: expected a symmetric positive definite"):
        QDA(2, 2, scatter=[[1.0, 2.0], [2.0, 1.0]])
