"""Laplace's approximation against Gaussian posteriors, scikit-learn's mode and exact evidence."""

import re

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from ppl_gen import SVI, Laplace, ask, fit, load, save, summary, to_arviz
from ppl_gen.data import iris, wine
from ppl_gen.errors import DataError, NoEvidence, Unanswerable
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import VAE, GaussianMixture, LinearRegression, LogisticRegression


def rows(n):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=g, dtype=torch.float64)
    return x, x.sum(1) + 0.5 * torch.randn(n, generator=g, dtype=torch.float64)


def estimate(posterior):
    """Laplace's own estimate of the log evidence."""
    return float(re.search(r"about (-?[\d,.]+) nats", posterior.note)[1].replace(",", ""))


def test_a_gaussian_posterior_is_found_exactly():
    """With the noise given, the weights of a linear regression are Gaussian."""
    x, y = rows(20)
    exact = fit(LinearRegression(2), x=x, y=y).model
    found = fit(LinearRegression(2), Laplace(), x=x, y=y, tau=4.0)
    fn = found.guide.auto.get_posterior()
    torch.testing.assert_close(fn.mean, exact.loc, rtol=1e-8, atol=1e-8)
    covariance = torch.linalg.inv(exact.root.T @ exact.root) / 4
    torch.testing.assert_close(fn.covariance_matrix, covariance, rtol=1e-7, atol=1e-9)
    bounds = [found.estimate_elbo(1, seed=s)[0] for s in range(3)]  # the guide is the posterior
    assert bounds == pytest.approx([bounds[0]] * 3, rel=1e-10)
    assert estimate(found) == pytest.approx(bounds[0], abs=1e-3)  # the note's digits


def test_the_mode_of_logistic_regression_is_scikit_learns():
    data = wine().standardized()
    found = fit(LogisticRegression(3, 13), Laplace(), x=data.x, y=data.y)
    design = found.model.basis(data.x).numpy()  # our prior is on the intercept too
    theirs = SklearnLogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=10_000)
    theirs.fit(design, data.y.numpy())
    mode = found.guide.auto.loc.detach().reshape(14, 3)
    torch.testing.assert_close(mode, torch.tensor(theirs.coef_.T), rtol=0, atol=1e-5)
    with isolated(0, grad=True):
        target = Unconstrained(
            LogisticRegression(3, 13), None, admit(found.model, dict(x=data.x, y=data.y)), None, ""
        )
        slopes = [
            torch.autograd.grad(target(u), u)[0].norm()
            for u in (target.start.clone().requires_grad_(), found.guide.auto.loc.detach().requires_grad_())
        ]
    assert slopes[0] > 1
    assert slopes[1] < 1e-5


def test_its_evidence_nears_the_exact_one_as_rows_come():
    errors = []
    for n in (10, 1000):
        x, y = rows(n)
        exact = fit(LinearRegression(2), x=x, y=y).log_evidence
        errors.append(abs(estimate(fit(LinearRegression(2), Laplace(), x=x, y=y)) - exact))
    assert errors[0] > 0.05
    assert errors[1] < errors[0] / 20  # it falls like 1 / n


def test_bound_lies_below_and_no_evidence_is_claimed():
    x, y = rows(30)
    posterior = fit(LinearRegression(2), Laplace(), x=x, y=y)
    exact = fit(LinearRegression(2), x=x, y=y).log_evidence
    bound, error = posterior.estimate_elbo(400)
    assert exact - 1 < bound < exact + 5 * error
    assert posterior.elbo.shape == (1,)
    with pytest.raises(NoEvidence):
        posterior.log_evidence  # noqa: B018
    assert "which is no bound" in str(posterior)


def test_every_verb_takes_it(tmp_path):
    data = iris()
    posterior = fit(LogisticRegression(3, 4), Laplace(), x=data.x, y=data.y)
    assert (ask(posterior, "p(y | x)", x=data.x).mode == data.y).double().mean() > 0.9
    save(posterior, tmp_path / "a")
    again = load(tmp_path / "a")
    assert again.note == posterior.note
    assert torch.equal(ask(again, "p(y | x)", x=data.x).probs, ask(posterior, "p(y | x)", x=data.x).probs)
    assert to_arviz(posterior, draws=10).posterior["w"].shape == (1, 10, 5, 3)
    assert "r_hat" not in summary(posterior).columns


def test_yesterdays_gaussian_is_todays_prior():
    data = wine().standardized()
    index = torch.randperm(178, generator=torch.Generator().manual_seed(0))
    one, two = data.x[index[:90]], data.x[index[90:]]
    lr = LogisticRegression(3, 13)
    first = fit(lr, Laplace(), x=one, y=data.y[index[:90]])
    second = fit(first, x=two, y=data.y[index[90:]])
    assert isinstance(second.method, Laplace)
    whole = fit(lr, Laplace(), x=data.x, y=data.y)
    probs = [ask(p, "p(y | x)", x=data.x).probs for p in (first, second, whole)]
    assert (probs[1] - probs[2]).abs().mean() < (probs[0] - probs[2]).abs().mean()


def test_fits_after_svi_and_before_it():
    data = iris()
    lr = LogisticRegression(3, 4)
    svi = fit(lr, SVI(steps=50), x=data.x, y=data.y)
    laplace = fit(svi, Laplace(), x=data.x, y=data.y)
    fresh = fit(lr, Laplace(), x=data.x, y=data.y)
    torch.testing.assert_close(laplace.guide.auto.loc, fresh.guide.auto.loc, rtol=1e-5, atol=1e-5)


def test_discrete_variables_of_a_row_are_summed_out():
    x = torch.cat([torch.randn(40, 1) - 4, torch.randn(40, 1) + 4]).double()
    posterior = fit(GaussianMixture(2, 1, strength=0.1), Laplace(), x=x)
    z = ask(posterior, "p(z | x)", x=x).mode
    assert min((z[:40] == z[0]).double().mean(), (z[40:] != z[0]).double().mean()) > 0.95


def test_refusals():
    with pytest.raises(Unanswerable, match="every row of VAE has its own z"):
        fit(VAE(features=2, latent=1), Laplace(), x=np.zeros((3, 2)))
    with pytest.raises(DataError, match="steps: expected a whole number"):
        Laplace(steps=0)
