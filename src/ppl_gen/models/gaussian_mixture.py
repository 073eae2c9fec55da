"""Gaussian mixture with diagonal covariances: a naive Bayes whose labels are hidden."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import centre_and_spread, filled, kmeans_plus_plus


class GaussianMixture(ProbabilisticModel):
    """Bayesian mixture of Normals with diagonal covariances (Bishop 2006, chapter 9 and section 10.2).

    ``pi`` (components,) are the weights, ``tau`` and ``mu`` (components, features) the precisions and means,
    ``z`` (n,) the hidden component, summed out exactly, and ``x`` (n, features) the features of a row.

    Args:
        components, features: sizes.
        concentration: prior rows of each component.
        loc: prior mean of mu. strength: prior rows that loc is worth.
        shape, rate: of the Gamma prior of tau; the defaults suit standardised features.

    >>> print(GaussianMixture(components=2, features=2))
    p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)
    """

    joint = "p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)"
    approximation = "q(pi) q(tau) q(mu)"
    svi = {"steps": 2000, "learning_rate": 0.05}

    def __init__(
        self,
        components: int,
        features: int,
        *,
        concentration: Any = 1.0,
        loc: Any = 0.0,
        strength: Any = 0.01,
        shape: Any = 1.0,
        rate: Any = 0.01,
    ):
        super().__init__()
        self.components, self.features = cells = whole("components", components), whole("features", features)
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("loc", hyperparameter("loc", loc, cells, above_zero=False))
        self.register_buffer("strength", hyperparameter("strength", strength, cells))
        self.register_buffer("shape", hyperparameter("shape", shape, cells))
        self.register_buffer("rate", hyperparameter("rate", rate, cells))
        # The guide counts in units of the data: initialize() sets centre and spread.
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(features, dtype=torch.float64))
        one = torch.ones(cells, dtype=torch.float64)
        self.q_concentration = PyroParam(one[:, 0].clone(), constraints.positive)
        self.q_shape = PyroParam(one.clone(), constraints.positive)
        self.q_rate = PyroParam(one.clone(), constraints.positive)
        self.q_loc = nn.Parameter(torch.zeros_like(one))
        self.q_scale = PyroParam(0.1 * one, constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("components", self.components):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(pi))
            return pyro.sample("x", dist.Normal(mu[z], tau[z].rsqrt()).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("components", self.components):
            pyro.sample("tau", dist.Gamma(self.q_shape, self.q_rate * self.spread**2).to_event(1))
            loc, scale = self.centre + self.spread * self.q_loc, self.spread * self.q_scale
            pyro.sample("mu", dist.Normal(loc, scale).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        """Start the means at rows far from one another, with the precisions of rows near them."""
        self.centre, self.spread = centre_and_spread(x)
        u = (filled(x) - self.centre) / self.spread
        means = kmeans_plus_plus(u, self.components)
        nearest = torch.cdist(u, means).argmin(1)
        with torch.no_grad():
            self.q_loc.copy_(means)
            rows = torch.bincount(nearest, minlength=self.components).to(u.dtype)
            self.q_concentration = 1.0 + rows
            self.q_shape = 1.0 + rows[:, None] / 2 * torch.ones_like(means)
            inside = torch.zeros_like(means).index_add_(0, nearest, (u - means[nearest]) ** 2)
            self.q_rate = 0.1 + inside / 2
