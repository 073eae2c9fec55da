"""Linear regression and naive Bayes for a real target: closed forms, scikit-learn, and who wins when."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import BayesianRidge, Ridge
from torch.distributions import Gamma, Normal

from ppl_gen import Importance, ask, check_model, fit
from ppl_gen.errors import DataError, NotGenerated
from ppl_gen.models import GaussianRegression, LinearRegression


def rows(n, features=3, seed=0, noise=0.5):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, features, generator=g, dtype=torch.float64)
    w = torch.linspace(-1, 2, features, dtype=torch.float64)
    return x, 0.7 + x @ w + noise * torch.randn(n, generator=g, dtype=torch.float64)


def test_contract():
    x, _ = rows(10)
    check_model(LinearRegression(3), x=x)
    check_model(GaussianRegression(3), n=10)


def test_posterior_mean_is_ridge_regression():
    x, y = rows(40)
    posterior = fit(LinearRegression(3, precision=[1e-12, 2.5, 2.5, 2.5]), x=x, y=y).model
    theirs = Ridge(alpha=2.5, tol=1e-14).fit(x.numpy(), y.numpy())
    torch.testing.assert_close(posterior.loc[1:], torch.tensor(theirs.coef_), rtol=1e-8, atol=1e-8)
    assert posterior.loc[0].item() == pytest.approx(theirs.intercept_, abs=1e-8)


def test_posterior_at_given_noise_is_bayesian_ridge():
    x, y = rows(40)
    x, y = x - x.mean(0), y - y.mean()
    theirs = BayesianRidge(fit_intercept=False).fit(x.numpy(), y.numpy())
    ratio = theirs.lambda_ / theirs.alpha_
    after = fit(LinearRegression(3, precision=ratio), x=x, y=y).model
    torch.testing.assert_close(after.loc[1:], torch.tensor(theirs.coef_), rtol=1e-8, atol=1e-8)
    covariance = torch.linalg.inv(after.root.T @ after.root)[1:, 1:] / theirs.alpha_
    torch.testing.assert_close(covariance, torch.tensor(theirs.sigma_), rtol=1e-8, atol=1e-8)


def test_hyperparameters_equal_the_closed_form():
    """Murphy 2012, equations 7.69 to 7.73, with plain sums."""
    x, y = rows(25)
    prior = LinearRegression(3, loc=[0.1, 0.2, 0.3, 0.4], precision=0.7, shape=2.0, rate=3.0)
    after = fit(prior, x=x, y=y).model
    design = prior.basis(x)
    precision = 0.7 * torch.eye(4).double() + design.T @ design
    loc = torch.linalg.solve(precision, 0.7 * prior.loc + design.T @ y)
    rate = 3 + (y @ y + 0.7 * prior.loc @ prior.loc - loc @ precision @ loc) / 2
    torch.testing.assert_close(after.root.T @ after.root, precision)
    torch.testing.assert_close(after.loc, loc)
    torch.testing.assert_close(after.rate, rate)
    assert after.shape == 2 + 25 / 2
    assert torch.equal(after.root, after.root.tril())


@pytest.mark.parametrize("gap", [False, True])
def test_evidence_of_linear_regression_is_the_product_of_sequential_predictives(gap):
    x, y = rows(20)
    posterior, total = LinearRegression(3), 0.0
    for row, target in zip(x, y, strict=True):
        total += ask(posterior, "p(y | x)", x=row).log_prob(y=target).item()
        posterior = fit(posterior, x=row[None], y=target[None])
    if gap:  # a target that is missing tells nothing
        x, y = torch.cat([x, torch.ones(1, 3)]), torch.cat([y, torch.tensor([math.nan])])
    whole = fit(LinearRegression(3), x=x, y=y)
    assert whole.log_evidence == pytest.approx(total, rel=1e-9)
    assert posterior.log_evidence == pytest.approx(total, rel=1e-9)


def test_evidence_of_linear_regression_is_the_integral():
    x, y = torch.tensor([-1.0, 0.5, 2.0]).double(), torch.tensor([0.2, 0.4, 1.5]).double()
    prior = LinearRegression(1, precision=1.5, shape=4.0, rate=3.0)
    found = fit(prior, x=x[:, None], y=y).log_evidence
    a = torch.linspace(-6.5, 6.5, 157, dtype=torch.float64)
    w0, w1, u = torch.meshgrid(a, a, torch.linspace(-4.5, 3.0, 91, dtype=torch.float64), indexing="ij")
    tau = u.exp()
    density = Gamma(4.0, 3.0).log_prob(tau) + u
    for w in (w0, w1):
        density = density + Normal(0.0, (1.5 * tau).rsqrt()).log_prob(w)
    for xi, yi in zip(x, y, strict=True):
        density = density + Normal(w0 + w1 * xi, tau.rsqrt()).log_prob(yi)
    cell = (a[1] - a[0]) ** 2 * 7.5 / 90
    assert found == pytest.approx((density.logsumexp((0, 1, 2)) + cell.log()).item(), abs=1e-6)


def test_evidence_of_gaussian_regression_is_the_product_of_sequential_predictives():
    x, y = rows(20)
    posterior, total = GaussianRegression(3), 0.0
    for row, target in zip(x, y, strict=True):
        total += ask(posterior, "p(x, y)").log_prob(x=row, y=target).item()
        posterior = fit(posterior, x=row[None], y=target[None])
    assert fit(GaussianRegression(3), x=x, y=y).log_evidence == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("model", [LinearRegression, GaussianRegression])
def test_elbo_under_the_exact_posterior_is_the_log_evidence_on_every_draw(model):
    x, y = rows(30)
    posterior = fit(model(3), x=x, y=y)
    for seed in range(3):
        assert posterior.estimate_elbo(1, seed=seed)[0] == pytest.approx(posterior.log_evidence, rel=1e-10)


def test_missing_cells_of_gaussian_regression_are_left_out_each_alone():
    x, y = rows(30)
    gaps = x.clone()
    gaps[torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.3] = torch.nan
    whole = fit(GaussianRegression(3), x=gaps, y=y).model
    for j in range(3):
        seen = ~gaps[:, j].isnan()
        alone = fit(GaussianRegression(1), x=x[seen, j : j + 1], y=y[seen]).model
        for field in ("w_loc", "w_root", "w_shape", "w_rate"):
            torch.testing.assert_close(
                getattr(whole, field)[j], getattr(alone, field)[0], rtol=1e-10, atol=1e-12
            )
    part = ask(fit(GaussianRegression(1), x=x[:, 1:2], y=y), "p(x | y)", y=y).log_prob(x=x[:, 1:2])
    one = torch.full_like(x, torch.nan)
    one[:, 1] = x[:, 1]
    found = ask(fit(GaussianRegression(3), x=x, y=y), "p(x | y)", y=y).log_prob(x=one)
    torch.testing.assert_close(found, part, rtol=1e-10, atol=1e-12)
    with pytest.raises(DataError, match="y: expected no missing cells"):
        fit(GaussianRegression(1), x=[[0.0], [1.0]], y=[1.0, float("nan")])


def test_gaussian_regression_at_given_parameters_is_the_joint_gaussian():
    """p(y | x) has a closed form there; importance sampling meets it within 5.5 standard errors."""
    x, _ = rows(8)
    mu, tau = 0.3, 2.0
    w = torch.tensor([[0.1, 0.5], [0.0, -1.0], [0.4, 0.2]], dtype=torch.float64)
    kappa = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    precision = tau + (kappa * w[:, 1] ** 2).sum()
    mean = (tau * mu + ((x - w[:, 0]) * kappa * w[:, 1]).sum(1)) / precision
    question = "p(y | x, mu, tau, w, kappa)"
    given = {"x": x, "mu": mu, "tau": tau, "w": w, "kappa": kappa}
    answer = ask(GaussianRegression(3), question, Importance(draws=20_000), **given)
    assert ((answer.mean - mean).abs() < 5.5 * answer.standard_error).all()
    assert answer.how.startswith("importance sampled")
    found = answer.log_prob(y=mean)
    expected = Normal(mean, precision.rsqrt()).log_prob(mean)
    assert ((found - expected).abs() < 5.5 * answer.standard_error).all()


def test_duplicated_features_mislead_the_naive_model_and_not_the_regression():
    """A noisy copy of y in ten copies: naive Bayes counts it ten times. Bands of 12 repeats do not meet."""
    losses = {"naive": [], "linear": [], "naive, one copy": [], "linear, one copy": []}
    for seed in range(12):
        g = torch.Generator().manual_seed(seed)
        y = torch.randn(160, generator=g, dtype=torch.float64)
        x = (y + torch.randn(160, generator=g, dtype=torch.float64))[:, None]
        for copies, suffix in ((1, ", one copy"), (10, "")):
            table = x.repeat(1, copies)
            for name, model in (("naive", GaussianRegression), ("linear", LinearRegression)):
                posterior = fit(model(copies), x=table[:80], y=y[:80])
                found = ask(posterior, "p(y | x)", x=table[80:]).log_prob(y=y[80:])
                losses[name + suffix].append(-found.mean().item())
    bands = {}
    for name, values in losses.items():
        half = 5.5 * np.std(values, ddof=1) / len(values) ** 0.5
        bands[name] = (np.mean(values) - half, np.mean(values) + half)
    assert bands["naive"][0] > bands["linear"][1]
    assert np.mean(losses["naive"]) > np.mean(losses["linear"]) + 0.5  # nats a row
    assert abs(np.mean(losses["naive, one copy"]) - np.mean(losses["linear, one copy"])) < 0.02


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_duplicated_features_make_the_naive_model_overconfident(seed):
    """Of 1,000 new y, its 95 % intervals hold far fewer than 950; those of the regression hold 950.

    Bounds are of the binomial count, 4.9 standard deviations, and one per cent for the intervals' own error:
    they are quantiles of draws, under parameters learned from 2,000 rows.
    """
    g = torch.Generator().manual_seed(seed)
    y = torch.randn(3000, generator=g, dtype=torch.float64)
    x = (y + torch.randn(3000, generator=g, dtype=torch.float64))[:, None]
    slack = 4.9 * math.sqrt(0.95 * 0.05 / 1000) + 0.01
    for model, copies, nominal in (
        (GaussianRegression, 1, True), (LinearRegression, 1, True),
        (GaussianRegression, 8, False), (LinearRegression, 8, True),
    ):  # fmt: skip
        table = x.repeat(1, copies)
        posterior = fit(model(copies), x=table[:2000], y=y[:2000])
        below = (
            (ask(posterior, "p(y | x)", x=table[2000:]).sample(2000, seed=seed) < y[2000:]).double().mean(0)
        )
        covered = ((below > 0.025) & (below < 0.975)).double().mean().item()
        if nominal:
            assert abs(covered - 0.95) < slack
        else:
            # Given y, eight copies weigh like eight witnesses: sd 1/3, about 8/9 x, where it is 1/sqrt(2)
            # about x / 2. The error has variance 1/2 + (8/9 - 1/2)^2 2, so it stays inside 1.96 / 3 with
            # probability 0.516.
            expected = (
                2 * Normal(0.0, 1.0).cdf(torch.tensor(1.96 / 3 / math.sqrt(0.5 + 2 * (7 / 18) ** 2))) - 1
            )
            assert abs(covered - expected.item()) < 4.9 * math.sqrt(0.25 / 1000) + 0.03
            assert covered < 0.95 - slack


def test_linear_regression_refuses_to_generate_x():
    x, y = rows(10)
    posterior = fit(LinearRegression(3), x=x, y=y)
    with pytest.raises(NotGenerated, match=r"can answer p\(y \| x\)"):
        ask(posterior, "p(x | y)", y=1.0)
    answer = ask(posterior, "p(y | x)", x=x)
    assert answer.how == "exact"
    assert answer.sample(5).shape == (5, 10)


def test_large_offsets_cost_no_more_than_the_data_hold():
    x, y = rows(50)
    here = fit(LinearRegression(3), x=x, y=y).model
    there = fit(LinearRegression(3, loc=[1e8, 0, 0, 0]), x=x, y=y + 1e8).model
    torch.testing.assert_close(there.loc[1:], here.loc[1:], rtol=0, atol=1e-7)
