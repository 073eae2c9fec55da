"""Poisson naive Bayes: given the class, every feature is a count with a rate of its own."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import Dirichlet, Gamma, centre_and_spread, memberships


class PoissonNaiveBayes(Conjugate):
    """Poisson naive Bayes with Dirichlet and Gamma priors (Gelman et al. 2013, section 2.6).

    ``pi`` (classes,) are the class probabilities, ``lam`` (classes, features) the expected counts, ``y`` (n,)
    the class and ``x`` (n, features) the counts of a row.

    Args:
        classes, features: sizes.
        concentration: prior rows of each class.
        shape, rate: of the Gamma prior of lam: prior counts, and the rows that they were counted in.

    >>> print(PoissonNaiveBayes(classes=2, features=3))
    p(pi) p(lam) p(y | pi) p(x | y, lam)
    """

    joint = "p(pi) p(lam) p(y | pi) p(x | y, lam)"
    approximation = "q(pi) q(lam)"
    marginal = "p(y) p(x | y)"
    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (Gamma, ("shape", "rate", "log_base")),
    }
    svi = {"steps": 1000, "learning_rate": 0.05}

    def __init__(
        self, classes: int, features: int, *, concentration: Any = 1.0, shape: Any = 1.0, rate: Any = 0.1
    ):
        super().__init__()
        self.classes, self.features = cells = whole("classes", classes), whole("features", features)
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("shape", hyperparameter("shape", shape, cells))
        self.register_buffer("rate", hyperparameter("rate", rate, cells))
        self.register_buffer("log_base", torch.zeros(cells, dtype=torch.float64))  # of the counts seen
        self.register_buffer("centre", torch.ones(features, dtype=torch.float64))  # the guide's unit
        one = torch.ones(cells, dtype=torch.float64)
        self.q_concentration = PyroParam(one[:, 0].clone(), constraints.positive)
        self.q_shape = PyroParam(one.clone(), constraints.positive)
        self.q_rate = PyroParam(one.clone(), constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("classes", self.classes):
            lam = pyro.sample("lam", dist.Gamma(self.shape, self.rate).to_event(1))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.Poisson(lam[y]).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("classes", self.classes):
            pyro.sample("lam", dist.Gamma(self.q_shape, self.q_rate / self.centre).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        self.centre = centre_and_spread(x)[0].clamp(min=0.1)

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters: counts and rows of each class, added up."""
        weights = memberships(y, self.classes).to(x.dtype)
        classes = self.family("classes").updated(weights.sum(0))
        return self.having(classes=classes, features=self.family("features").updated(weights, x))

    def point(self, smoothing: float = 1.0) -> dict[str, Tensor]:
        """The parameters of largest likelihood, each total of a cell raised by ``smoothing``."""
        return {"pi": self.family("classes").point(), "lam": self.family("features").point(smoothing)}

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out: negative binomials. ``pi`` may be given."""
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", dist.GammaPoisson(self.shape[y], self.rate[y]).to_event(1))
