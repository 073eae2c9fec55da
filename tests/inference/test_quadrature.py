"""Quadrature over one number: known integrals, scipy's, and the same answers as importance sampling's."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate as scipy_integrate
from torch.distributions import Categorical, MixtureSameFamily, Normal, StudentT

from ppl_gen import Importance, MaximumLikelihood, ask, fit
from ppl_gen.errors import Unreliable
from ppl_gen.inference.quadrature import integrate
from ppl_gen.models import GaussianRegression
from tests.models.test_regression import rows

X, Y = rows(40)
POSTERIOR = fit(GaussianRegression(3), x=X, y=Y)


def two_peaks(apart):
    loc = torch.tensor([0.0, apart], dtype=torch.float64)
    return MixtureSameFamily(Categorical(torch.tensor([0.3, 0.7], dtype=torch.float64)), Normal(loc, 1.0))


@pytest.mark.parametrize(
    ("density", "mean"),
    [
        (Normal(torch.tensor(1e3).double(), 1e-4), 1e3),
        (Normal(torch.tensor(-3.0).double(), 1e5), -3.0),
        (StudentT(torch.tensor(3.0).double(), 2.0, 0.1), 2.0),
        (StudentT(torch.tensor(1.0).double(), 2.0, 7.0), None),  # Cauchy: no mean
        (two_peaks(12.0), 8.4),
        (two_peaks(30.0), 21.0),
    ],
)
@pytest.mark.parametrize("near", [(-1.0, 2.0), (500.0, 4000.0)])
def test_densities_integrate_to_one(density, mean, near):
    found = integrate(lambda y: density.log_prob(y) + 5.0, torch.tensor(near).double()[:, None])
    assert found.error.item() <= 1e-9
    assert found.log_value.item() == pytest.approx(5.0, abs=1e-9)
    if mean is not None:
        assert found.mean.item() == pytest.approx(mean, rel=1e-9)


def test_rows_are_integrated_side_by_side():
    loc = torch.tensor([0.0, 1e4, -3.0], dtype=torch.float64)
    scale = torch.tensor([1.0, 1e-3, 1e3], dtype=torch.float64)
    found = integrate(Normal(loc, scale).log_prob, torch.zeros(2, 3).double() + torch.tensor([[-1.0], [1.0]]))
    torch.testing.assert_close(found.log_value, torch.zeros(3).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(found.mean, loc, rtol=1e-10, atol=1e-9)
    torch.manual_seed(0)
    z = (found.sample(20_000) - loc) / scale
    assert (z.mean(0).abs() < 5.5 / 20_000**0.5).all()
    assert ((z.square().mean(0) - 1).abs() < 5.5 * (2 / 20_000) ** 0.5).all()


@pytest.mark.parametrize("given", ["exact", "gaps", "prior", "point"])
def test_it_meets_importance_sampling_within_its_error(given):
    x = X[:6].clone()
    if given == "gaps":
        x[::2, 1] = math.nan
        x[3] = math.nan
    of = {"prior": GaussianRegression(3, shape=3.0, rate=1.0)}.get(given, POSTERIOR)
    of = fit(GaussianRegression(3), MaximumLikelihood(), x=X, y=Y) if given == "point" else of
    answer, draws = ask(of, "p(y | x)", x=x), ask(of, "p(y | x)", Importance(draws=20_000), x=x)
    mean, expected = answer.mean, draws.mean
    assert answer.how.startswith("quadrature (error ")
    assert answer.standard_error is None
    assert draws.how.startswith("importance sampled")
    assert ((mean - expected).abs() < 5.5 * draws.standard_error).all()
    at = mean + 0.1
    found, expected = answer.log_prob(y=at), draws.log_prob(y=at)
    assert ((found - expected).abs() <= 5.5 * draws.standard_error + 1e-12).all()
    found, expected = ask(of, "p(x)").log_prob(x=x), ask(of, "p(x)", Importance(draws=20_000))
    assert ((found - expected.log_prob(x=x)).abs() <= 5.5 * expected.standard_error + 1e-12).all()


def test_it_is_scipys_integral_and_integrates_to_one():
    joint = ask(POSTERIOR, "p(x, y)")
    for row in X[:3]:

        def density(y, row=row):
            return joint.log_prob(x=row.expand(len(y), 3), y=torch.tensor(y)).exp().numpy()

        answer = ask(POSTERIOR, "p(y | x)", x=row)
        mean = answer.mean.item()
        total, first = (
            sum(
                scipy_integrate.fixed_quad(lambda y, f=f: density(y) * f(y), a, b, n=500)[0]
                for a, b in ((mean - 15, mean), (mean, mean + 15))
            )
            for f in (np.ones_like, lambda y: y)
        )
        assert mean == pytest.approx(first / total, abs=1e-9)
        assert ask(POSTERIOR, "p(x)").log_prob(x=row).item() == pytest.approx(math.log(total), abs=1e-9)
        grid = torch.linspace(mean - 15, mean + 15, 601, dtype=torch.float64)
        ours = ask(POSTERIOR, "p(y | x)", x=row.expand(len(grid), 3)).log_prob(y=grid).exp()
        assert torch.trapezoid(ours, grid).item() == pytest.approx(1.0, abs=1e-8)


def test_at_a_point_it_is_the_normal_in_closed_form():
    posterior = fit(GaussianRegression(3), MaximumLikelihood(), x=X, y=Y)
    tau, mu, kappa, w = (posterior.point[name] for name in ("tau", "mu", "kappa", "w"))
    precision = tau + (kappa * w[:, 1] ** 2).sum()
    mean = (tau * mu + ((X - w[:, 0]) * kappa * w[:, 1]).sum(1)) / precision
    answer = ask(posterior, "p(y | x)", x=X)
    torch.testing.assert_close(answer.mean, mean, rtol=0, atol=1e-12)
    expected = Normal(mean, precision.rsqrt())
    torch.testing.assert_close(answer.log_prob(y=Y), expected.log_prob(Y), rtol=0, atol=1e-11)
    z = (answer.sample(5_000, seed=0) - mean) * precision.sqrt()
    assert answer.how.startswith("quadrature")
    n = z.numel()
    assert z.mean().abs() < 5.5 / n**0.5
    assert (z.square().mean() - 1).abs() < 5.5 * (2 / n) ** 0.5
    inside = (z.abs() < 1.959964).double().mean()
    assert (inside - 0.95).abs() < 5.5 * (0.95 * 0.05 / n) ** 0.5


def test_one_row_comes_back_as_one_row():
    answer = ask(POSTERIOR, "p(y | x)", x=X[0])
    assert answer.mean.shape == ()
    assert answer.sample(7).shape == (7,)
    assert answer.sample().shape == ()
    assert answer.log_prob(y=0.3).shape == ()
    many = ask(POSTERIOR, "p(y | x)", x=X[:2])
    assert many.mean[0].item() == pytest.approx(answer.mean.item(), rel=1e-10)


def test_an_integral_that_does_not_settle_is_told():
    class Wild(GaussianRegression):
        """Its y has a density that is rough on every scale."""

        def predictive(self, n):
            import pyro
            import pyro.distributions as dist

            with pyro.plate("data", n):
                y = pyro.sample("y", dist.Normal(torch.zeros(()).double(), 1.0))
                rough = 3 * torch.sin(1e7 * y)
                x = dist.Normal(rough[..., None].expand(*rough.shape, 3), 0.1)
                return pyro.sample("x", x.to_event(1))

    with pytest.warns(Unreliable, match="the quadrature over 'y' changed by"):
        ask(Wild(3), "p(x)").log_prob(x=X[:2])
