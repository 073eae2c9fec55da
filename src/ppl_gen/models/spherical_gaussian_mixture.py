"""Gaussian mixture with spherical covariances: one precision for all features of a component."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import Dirichlet, SphericalNormalGamma, centre_and_spread, memberships
from ppl_gen.models.mixture import Mixture


class SphericalNaiveBayes(Conjugate):
    """Gaussian naive Bayes whose features share one precision in each class."""

    joint = "p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)"
    approximation = "q(pi) q(tau) q(mu)"
    marginal = "p(y) p(x | y)"
    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (SphericalNormalGamma, ("loc", "strength", "shape", "rate")),
    }
    svi = {"steps": 2000, "learning_rate": 0.05}

    def __init__(
        self,
        classes: int,
        features: int,
        *,
        concentration: Any = 1.0,
        loc: Any = 0.0,
        strength: Any = 0.01,
        shape: Any = 1.0,
        rate: Any = 0.01,
    ):
        super().__init__()
        self.classes, self.features = cells = whole("classes", classes), whole("features", features)
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("loc", hyperparameter("loc", loc, cells, above_zero=False))
        self.register_buffer("strength", hyperparameter("strength", strength, cells))
        self.register_buffer("shape", hyperparameter("shape", shape, cells[:1]))
        self.register_buffer("rate", hyperparameter("rate", rate, cells[:1]))
        # The guide counts in units of the data: initialize() sets centre and spread.
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("spread", torch.ones((), dtype=torch.float64))
        one = torch.ones(cells, dtype=torch.float64)
        self.q_concentration = PyroParam(one[:, 0].clone(), constraints.positive)
        self.q_shape = PyroParam(one[:, 0].clone(), constraints.positive)
        self.q_rate = PyroParam(one[:, 0].clone(), constraints.positive)
        self.q_loc = nn.Parameter(torch.zeros_like(one))
        self.q_scale = PyroParam(0.1 * one, constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("classes", self.classes):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate))
            scale = (self.strength * tau[:, None]).rsqrt()
            mu = pyro.sample("mu", dist.Normal(self.loc, scale).to_event(1))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.Normal(mu[y], tau[y][..., None].rsqrt()).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("classes", self.classes):
            pyro.sample("tau", dist.Gamma(self.q_shape, self.q_rate * self.spread**2))
            loc, scale = self.centre + self.spread * self.q_loc, self.spread * self.q_scale
            pyro.sample("mu", dist.Normal(loc, scale).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        self.centre, spread = centre_and_spread(x)
        self.spread = spread.square().mean().sqrt()

    def updated(self, x: Tensor, y: Tensor) -> Self:
        weights = memberships(y, self.classes).to(x.dtype)
        classes = self.family("classes").updated(weights.sum(0))
        return self.having(classes=classes, features=self.family("features").updated(weights, x))

    def point(self, smoothing: float = 1e-9) -> dict[str, Tensor]:
        mu, tau = self.family("features").point(smoothing)
        return {"pi": self.family("classes").point(), "tau": tau, "mu": mu}

    def predictive(self, n: int) -> Tensor:
        """One row with the parameters integrated out: a multivariate Student t."""
        t = self.family("features").predictive()
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive())
            return pyro.sample("x", dist.MultivariateStudentT(t.df[y], t.loc[y], t.scale_tril[y]))


class SphericalGaussianMixture(Mixture, SphericalNaiveBayes):
    """Bayesian mixture of round Normals (Bishop 2006, chapter 9): k-means with probabilities.

    ``pi`` (components,) are the weights, ``tau`` (components,) the precisions, ``mu`` (components, features)
    the means, ``z`` (n,) the hidden component, and ``x`` (n, features) the features of a row.

    Args:
        components, features: sizes. The priors are those of `GaussianMixture`, with one ``shape`` and ``rate``
            for each component.

    >>> print(SphericalGaussianMixture(components=2, features=2))
    p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)
    """

    joint = "p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)"

    def __init__(self, components: int, features: int, **kwargs: Any):
        super().__init__(components, features, **kwargs)

    def _start(self, after: Self) -> dict[str, Tensor]:
        scale = (after.rate[:, None] / (after.shape[:, None] * after.strength)).sqrt() / self.spread
        loc = nn.Parameter((after.loc - self.centre) / self.spread)
        return super()._start(after) | {"rate": after.rate / self.spread**2, "loc": loc, "scale": scale}
