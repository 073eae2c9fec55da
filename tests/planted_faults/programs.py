"""Small programs in which faults are planted."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen import ProbabilisticModel
from ppl_gen.core import Conjugate
from tests.planted_faults.base import REAL, real

# Rubin 1981: effects of coaching in eight schools, and their standard errors.
EFFECTS = torch.tensor([28.0, 8, -3, 7, -1, 1, 18, 12], dtype=REAL)
ERRORS = torch.tensor([15.0, 10, 16, 11, 9, 11, 10, 18], dtype=REAL)


class Centred(ProbabilisticModel):
    """Eight schools, whose effects are drawn about a common mean."""

    joint = "p(mu) p(tau) p(theta | mu, tau) p(y | theta, sigma)"

    def model(self, sigma: Tensor) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(real(5.0)))
        with pyro.plate("data", len(sigma)):
            theta = pyro.sample("theta", dist.Normal(mu, tau))
            return pyro.sample("y", dist.Normal(theta, sigma))


class NonCentred(ProbabilisticModel):
    """Eight schools, whose effects are computed of standard normal ones."""

    joint = "p(mu) p(tau) p(eta) p(y | mu, tau, eta, sigma)"

    def model(self, sigma: Tensor) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(real(5.0)))
        with pyro.plate("data", len(sigma)):
            eta = pyro.sample("eta", dist.Normal(real(0.0), 1.0))
            return pyro.sample("y", dist.Normal(mu + tau * eta, sigma))


class CentredChains(ProbabilisticModel):
    """Eight schools with the effects as one vector, which NUTS can draw; ``school`` says whose a row is."""

    joint = "p(mu) p(tau) p(theta | mu, tau) p(y | theta, school, sigma)"

    def __init__(self, schools: int):
        super().__init__()
        self.schools = schools

    def model(self, school: Tensor, sigma: Tensor) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(real(5.0)))
        theta = pyro.sample("theta", dist.Normal(mu, tau).expand([self.schools]).to_event(1))
        with pyro.plate("data", len(sigma)):
            return pyro.sample("y", dist.Normal(theta[school.long()], sigma))


class Location(Conjugate):
    """Rows about a mean, their sd known: mu ~ Normal(loc, scale), x ~ Normal(mu, sd)."""

    joint = "p(mu) p(x | mu)"
    marginal = "p(x)"

    def __init__(self, loc: float = 0.0, scale: float = 3.0, sd: float = 1.0):
        super().__init__()
        for name, value in {"loc": loc, "scale": scale, "sd": sd, "log_z": 0.0}.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=REAL))

    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(self.loc, self.scale))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(mu, self.sd))

    def updated(self, x: Tensor) -> Self:
        return self.counted(x, 1.0, 1.0)

    def counted(self, x: Tensor, prior: float, rows: float) -> Self:
        """The posterior of ``prior`` times the prior's precision and ``rows`` times that of the rows."""
        before, each = prior * self.scale**-2, rows * self.sd**-2
        precision = before + each * len(x)
        loc = (before * self.loc + each * x.sum()) / precision
        after = type(self)(float(loc), float(precision**-0.5), float(self.sd))
        log_p = dist.Normal(self.loc, self.scale).log_prob(loc) + dist.Normal(loc, self.sd).log_prob(x).sum()
        after.log_z = self.log_z + log_p - dist.Normal(loc, after.scale).log_prob(loc)
        return after

    def log_normalizer(self) -> Tensor:
        return self.log_z


class Line(ProbabilisticModel):
    """Linear regression with known noise."""

    joint = "p(w) p(y | w, x)"

    def __init__(self, features: int, prior: float = 3.0, noise: float = 1.0):
        super().__init__()
        self.prior, self.noise = prior, noise
        self.register_buffer("zero", torch.zeros(features, dtype=REAL))

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(self.zero, self.prior).to_event(1))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(x @ w, self.noise))


def normal_guide(x: Tensor, y: Tensor, prior: float, noise: float, times: tuple[float, float]) -> Any:
    """The Normal posterior of `Line`, with prior and rows counted ``times``: what an optimiser would find."""
    precision = times[0] * prior**-2 * torch.eye(x.shape[1], dtype=REAL) + times[1] * noise**-2 * x.T @ x
    loc = torch.linalg.solve(precision, times[1] * noise**-2 * x.T @ y)

    def guide() -> None:
        pyro.sample("w", dist.MultivariateNormal(loc, precision_matrix=precision))

    return guide


class Scale(ProbabilisticModel):
    """Rows about zero, their sd hidden."""

    joint = "p(sigma) p(x | sigma)"

    def model(self, n: int) -> Tensor:
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(0.0, sigma))


class Spread(ProbabilisticModel):
    """Rows about a mean, which is hidden, with an sd that is fixed."""

    joint = "p(mu) p(x | mu)"

    def __init__(self, sd: float = 1.0, prior: float = 10.0):
        super().__init__()
        self.sd, self.prior = sd, prior

    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), self.prior))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(mu, self.sd))


class Counts(ProbabilisticModel):
    """Counts about a rate."""

    joint = "p(rate) p(x | rate)"

    def model(self, n: int) -> Tensor:
        rate = pyro.sample("rate", dist.Gamma(real(2.0), 0.5))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Poisson(rate))


class Outcome(ProbabilisticModel):
    """Normal rows whose mean and sd are both hidden."""

    joint = "p(mu) p(sigma) p(x | mu, sigma)"

    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 10.0))
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(mu, sigma))
