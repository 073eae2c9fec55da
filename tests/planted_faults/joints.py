"""Faults of the joint: the program is not the model that was meant, or the model not one of the data."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen import SVI, ProbabilisticModel, fit
from ppl_gen.models import GaussianNaiveBayes, LinearRegression
from ppl_gen.posterior import Posterior
from tests.planted_faults.base import REAL, normal, planted, real, uniform
from tests.planted_faults.inference import QUIET, Exponentiated
from tests.planted_faults.programs import Counts, Line, Outcome, Spread

FULL: dict[str, Any] = {"steps": 1500, "learning_rate": 0.03, "guide": "full_rank", **QUIET}


class PlateOfOthers(Outcome):
    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 10.0))
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", 1000, subsample=torch.arange(n)):
            return pyro.sample("x", dist.Normal(mu, sigma))


@planted("wrong plate size")
def plate_of_a_thousand(seed: int) -> Posterior:
    return fit(PlateOfOthers(), SVI(seed=seed, **FULL), x=2 + normal(seed, 50))


class Weighed(Outcome):
    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 10.0))
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", n), poutine.scale(scale=0.1):
            return pyro.sample("x", dist.Normal(mu, sigma))


@planted("scaled density")
def scaled_rows(seed: int) -> Posterior:
    return fit(Weighed(), SVI(seed=seed, **FULL), x=2 + normal(seed, 50))


class AgainByFactor(Outcome):
    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 1.0))
        pyro.factor("regularisation", dist.Normal(real(0.0), 1.0).log_prob(mu))
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(mu, sigma))


@planted("prior counted twice")
def prior_by_factor(seed: int) -> Posterior:
    return fit(AgainByFactor(), SVI(seed=seed, **FULL), x=2 + normal(seed, 50))


class Penalised(Outcome):
    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 1.0))
        pyro.factor("penalty", -10 * mu.abs())
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(mu, sigma))


@planted("factor in the model")
def penalty(seed: int) -> Posterior:
    return fit(Penalised(), SVI(seed=seed, **FULL), x=2 + normal(seed, 50))


class ByHand(Outcome):
    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 10.0))
        sigma = pyro.sample("sigma", Exponentiated(real(0.0), real(1.0)))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(mu, sigma))


@planted("dropped Jacobian")
def prior_by_hand(seed: int) -> Posterior:
    return fit(ByHand(), SVI(seed=seed, **FULL), x=2 + normal(seed, 50))


class Energy(dist.Normal):
    """A Normal without its constant."""

    def log_prob(self, value: Tensor) -> Tensor:
        return -0.5 * ((value - self.loc) / self.scale) ** 2

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Energy":
        return Energy(self.loc.expand(batch_shape), self.scale.expand(batch_shape))


class OfEnergy(Outcome):
    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 10.0))
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", Energy(mu, sigma))


@planted("unnormalised density")
def squared_error_as_likelihood(seed: int) -> Posterior:
    return fit(OfEnergy(), SVI(seed=seed, **FULL), x=2 + normal(seed, 50))


class GreyCoin(dist.Bernoulli):
    """The cross entropy of a grey value, which is no density of it."""

    support = dist.constraints.unit_interval
    has_enumerate_support = False

    def __init__(self, probs: Tensor):
        super().__init__(probs=probs, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "GreyCoin":
        return GreyCoin(self.probs.expand(batch_shape))


class Grey(ProbabilisticModel):
    joint = "p(shade) p(x | shade)"

    def model(self, n: int) -> Tensor:
        shade = pyro.sample("shade", dist.Beta(real(1.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", GreyCoin(shade))


@planted("unnormalised density")
def grey_values_as_coins(seed: int) -> Posterior:
    return fit(Grey(), SVI(seed=seed, **FULL), x=(0.3 + 0.1 * normal(seed, 100)).clamp(0.01, 0.99))


# The model and the data -------------------------------------------------------------------------------------


@planted("variance for sd")
def variance_as_scale(seed: int) -> Posterior:
    sd = 4.0
    return fit(Spread(sd=sd**2), SVI(seed=seed, **FULL), x=2 + sd * normal(seed, 200))


@planted("variance for sd")
def variance_as_scale_of_noise(seed: int) -> Posterior:
    x = normal(seed, 150, 2)
    y = x @ torch.tensor([1.0, -1.0], dtype=REAL) + 0.3 * normal(seed + 1, 150)
    return fit(Line(2, noise=0.3**2), SVI(seed=seed, **{**FULL, "steps": 6000}), x=x, y=y)


@planted("wrong scale")
def scale_of_another_unit(seed: int) -> Posterior:
    return fit(Spread(sd=1.0), SVI(seed=seed, **FULL), x=2 + 1.7 * normal(seed, 200))


@planted("prior in conflict")
def prior_too_sharp(seed: int) -> Posterior:
    return fit(Spread(sd=1.0, prior=0.3), SVI(seed=seed, **FULL), x=8 + normal(seed, 100))


class Lineless(Line):
    """A slope without an intercept."""


@planted("wrong location")
def no_intercept(seed: int) -> Posterior:
    x = normal(seed, 150, 2)
    y = x @ torch.tensor([1.0, -1.0], dtype=REAL) + 2 + normal(seed + 1, 150)
    return fit(Lineless(2), SVI(seed=seed, **FULL), x=x, y=y)


@planted("heavy tails")
def outliers(seed: int) -> Posterior:
    x = normal(seed, 200)
    x[::40] = 15 * x[::40].sign()
    return fit(Outcome(), SVI(seed=seed, **FULL), x=x)


@planted("skewed")
def incomes(seed: int) -> Posterior:
    return fit(Outcome(), SVI(seed=seed, **FULL), x=-uniform(seed, 150).log())


@planted("overdispersed")
def clustered_counts(seed: int) -> Posterior:
    generator = torch.Generator().manual_seed(seed)
    rate = 6 * torch._standard_gamma(2 * torch.ones(200, dtype=REAL), generator) / 2
    return fit(Counts(), SVI(seed=seed, **FULL), x=torch.poisson(rate, generator))


@planted("too many zeros")
def silent_rows(seed: int) -> Posterior:
    generator = torch.Generator().manual_seed(seed)
    x = torch.poisson(5 * torch.ones(200, dtype=REAL), generator)
    x[uniform(seed, 200) < 0.25] = 0
    return fit(Counts(), SVI(seed=seed, **FULL), x=x)


@planted("dependent rows")
def random_walk(seed: int) -> Posterior:
    noise, x = normal(seed, 200), torch.zeros(200, dtype=REAL)
    for i in range(1, 200):
        x[i] = 0.8 * x[i - 1] + noise[i]
    return fit(Outcome(), SVI(seed=seed, **FULL), x=x)


@planted("dependent columns")
def naive_of_copies(seed: int) -> Posterior:
    y = (uniform(seed + 9, 120) < 0.5).long()
    x = normal(seed, 120, 3) + 2 * y[:, None]
    x[:, 1] = x[:, 0] + 0.3 * normal(seed + 1, 120)
    return fit(GaussianNaiveBayes(classes=2, features=3), x=x, y=y)


@planted("dependent rows")
def season_left_out(seed: int) -> Posterior:
    t = torch.arange(150, dtype=REAL) / 10
    x = normal(seed, 150, 1)
    return fit(LinearRegression(features=1), x=x, y=x[:, 0] + 2 * t.sin() + 0.5 * normal(seed + 1, 150))
