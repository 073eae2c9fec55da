"""The mode against scikit-learn, exact modes, and Laplace."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from ppl_gen import MAP, Exact, Laplace, MaximumLikelihood, ask, fit, load, merge, save
from ppl_gen.data import iris, wine
from ppl_gen.errors import DataError, NoEvidence, Unanswerable
from ppl_gen.inference.mode import climbed, mode
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    VAE,
    GaussianMixture,
    LogisticRegression,
    SharedGaussianNaiveBayes,
)

DATA = wine().standardized()
LR = LogisticRegression(3, 13)


def test_the_mode_of_logistic_regression_is_scikit_learns():
    found = fit(LR, MAP(), x=DATA.x, y=DATA.y)
    design = found.model.basis(DATA.x).numpy()  # our prior is on the intercept too
    theirs = SklearnLogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=10_000)
    theirs.fit(design, DATA.y.numpy())
    torch.testing.assert_close(found.point["w"], torch.tensor(theirs.coef_.T), rtol=0, atol=1e-5)
    answer = ask(found, "p(y | x)", x=DATA.x)
    expected = torch.tensor(theirs.predict_proba(design))
    torch.testing.assert_close(answer.probs, expected, rtol=0, atol=1e-6)
    assert answer.how == "exact, at the mode"
    assert answer.standard_error is None


def test_a_wide_prior_gives_maximum_likelihood():
    """Where the classes overlap; the gradient of the likelihood alone is then nearly zero."""
    data = iris()
    data = data[data.y > 0]
    y = data.y - 1
    norms = {}
    for scale in (1.0, 1e4):
        found = fit(LogisticRegression(2, 4, scale=scale), MAP(), x=data.x, y=y)
        w = found.point["w"].requires_grad_()
        likelihood = -torch.nn.functional.cross_entropy(found.model.basis(data.x) @ w, y, reduction="sum")
        norms[scale] = float(torch.autograd.grad(likelihood, w)[0].norm())
    assert norms[1.0] > 1
    assert norms[1e4] < 1e-3


def test_it_stands_where_laplace_puts_its_gaussian():
    one, other = (fit(LR, method, x=DATA.x, y=DATA.y) for method in (MAP(), Laplace(draws=1)))
    torch.testing.assert_close(one.point["w"].flatten(), other.guide.auto.loc.detach(), rtol=0, atol=1e-9)


def test_newton_and_l_bfgs_end_at_the_same_place():
    with isolated(0, grad=True):
        target = Unconstrained(LR, None, admit(LR, dict(x=DATA.x, y=DATA.y)), None, "MAP")
        at, value, precision = mode(target, 500, 30)
        assert target(target.start).item() < value - 1  # where it began
        torch.testing.assert_close(climbed(target, 500), at, rtol=0, atol=1e-4)
        torch.testing.assert_close(
            precision, -torch.autograd.functional.hessian(target, at), rtol=0, atol=1e-5
        )
        torch.testing.assert_close(
            torch.autograd.functional.jacobian(target, at), torch.zeros_like(at), rtol=0, atol=1e-5
        )


def test_a_plain_sum_is_the_elbo_of_a_point():
    """The density without hidden variables is the same number as by the way that sums them out."""
    with isolated(0, grad=True):
        for p in (LR, SharedGaussianNaiveBayes(3, 13)):
            x = DATA.x.clone()
            if p is not LR:
                x[3, 2] = torch.nan
            target = Unconstrained(p, None, admit(p, dict(x=x, y=DATA.y), missing=True), None, "MAP")
            u = target.start + 0.1
            assert target.plain
            plain = target(u)
            target.plain = False
            torch.testing.assert_close(plain, target(u), rtol=1e-12, atol=1e-9)


def test_discrete_variables_of_a_row_are_summed_out():
    x = torch.cat([torch.randn(40, 1) - 4, torch.randn(40, 1) + 4]).double()
    posterior = fit(GaussianMixture(2, 1, strength=0.1), MAP(), x=x)
    answer = ask(posterior, "p(z | x)", x=x)
    z = answer.mode
    assert answer.how == "enumerated, at the mode"
    assert min((z[:40] == z[0]).double().mean(), (z[40:] != z[0]).double().mean()) > 0.95


def test_it_is_saved_and_says_what_it_is(tmp_path):
    posterior = fit(LR, MAP(), x=DATA.x, y=DATA.y)
    save(posterior, tmp_path / "a")
    again = load(tmp_path / "a")
    assert str(again) == str(posterior)
    assert "none (the mode, a point)" in str(posterior)
    one, other = (ask(p, "p(y | x)", x=DATA.x) for p in (posterior, again))
    assert torch.equal(one.probs, other.probs)
    assert one.how == other.how == "exact, at the mode"
    assert torch.equal(posterior.draw(3)["w"][2], posterior.point["w"])


def test_a_point_is_neither_bound_nor_prior():
    nb = SharedGaussianNaiveBayes(3, 13)
    posterior = fit(nb, MAP(), x=DATA.x, y=DATA.y)
    with pytest.raises(NoEvidence, match="MAP finds a point"):
        posterior.log_evidence  # noqa: B018
    with pytest.raises(NoEvidence, match="a point has no ELBO"):
        posterior.estimate_elbo()
    with pytest.raises(DataError, match="this posterior is the mode, a point"):
        fit(posterior, x=DATA.x, y=DATA.y)
    for method in (Exact(), MaximumLikelihood()):
        with pytest.raises(DataError, match="found by another method"):
            fit(posterior, method, x=DATA.x, y=DATA.y)
    with pytest.raises(DataError, match="expected posteriors of one conjugate model"):
        merge(posterior, posterior)


def test_refusals():
    with pytest.raises(Unanswerable, match="MAP finds parameters that rows share; every row of VAE"):
        fit(VAE(features=2, latent=1), MAP(), x=torch.zeros(3, 2))
    with pytest.raises(DataError, match="newton: expected a whole number"):
        MAP(newton=-1)
