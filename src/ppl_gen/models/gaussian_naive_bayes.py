"""Gaussian naive Bayes: given the class, every feature is a Normal of its own."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import Dirichlet, NormalGamma, centre_and_spread, class_counts


class GaussianNaiveBayes(Conjugate):
    """Gaussian naive Bayes with Dirichlet and Normal-Gamma priors (Murphy 2012, section 3.5).

    ``pi`` (classes,) are the class probabilities, ``tau`` and ``mu`` (classes, features) the precisions and
    means of each class, ``y`` (n,) the class and ``x`` (n, features) the features of a row.

    Args:
        classes, features: sizes.
        concentration: prior rows of each class.
        loc: prior mean of mu. strength: prior rows that loc is worth.
        shape, rate: of the Gamma prior of tau; the defaults suit standardised features.

    >>> print(GaussianNaiveBayes(classes=3, features=13))
    p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)
    """

    joint = "p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)"
    approximation = "q(pi) q(tau) q(mu)"
    marginal = "p(y) p(x | y)"
    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (NormalGamma, ("loc", "strength", "shape", "rate")),
    }
    scaled = {"x": ("features",)}
    svi = {"steps": 2000, "learning_rate": 0.05}
    precisions: tuple[int, ...] = (0, 1)  # the sizes, of classes and features, that tau has: both

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
        cells = self.classes, self.features = whole("classes", classes), whole("features", features)
        precisions = tuple(cells[size] for size in self.precisions)
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("loc", hyperparameter("loc", loc, cells, above_zero=False))
        self.register_buffer("strength", hyperparameter("strength", strength, cells))
        self.register_buffer("shape", hyperparameter("shape", shape, precisions))
        self.register_buffer("rate", hyperparameter("rate", rate, precisions))
        # The guide counts in units of the data: initialize() sets centre and spread.
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(features, dtype=torch.float64))
        self.q_concentration = PyroParam(torch.ones_like(self.concentration), constraints.positive)
        self.q_shape = PyroParam(torch.ones_like(self.shape), constraints.positive)
        self.q_rate = PyroParam(torch.ones_like(self.rate), constraints.positive)
        self.q_loc = nn.Parameter(torch.zeros_like(self.loc))
        self.q_scale = PyroParam(torch.full_like(self.loc, 0.1), constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("classes", self.classes):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.Normal(mu[y], tau[y].rsqrt()).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("classes", self.classes):
            pyro.sample("tau", dist.Gamma(self.q_shape, self.q_rate * self.spread**2).to_event(1))
            loc, scale = self.centre + self.spread * self.q_loc, self.spread * self.q_scale
            pyro.sample("mu", dist.Normal(loc, scale).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        self.centre, self.spread = centre_and_spread(x)

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters: counts and moments of each class."""
        classes = self.family("classes").updated(class_counts(y, self.classes))
        return self.having(classes=classes, features=self.family("features").updated(y, x))

    def point(self, smoothing: float = 1e-9, **ridge: float) -> dict[str, Tensor]:
        """The parameters of largest likelihood; the widest variance times ``smoothing`` is added to all."""
        mu, tau = self.family("features").point(smoothing, **ridge)
        return {"pi": self.family("classes").point(), "tau": tau, "mu": mu}

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out: a Student-t naive Bayes. ``pi`` may be given."""
        t = self.family("features").predictive()
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", dist.StudentT(t.df[y], t.loc[y], t.scale[y]).to_event(1))
