"""Bernoulli naive Bayes: given the class, every feature is a coin of its own."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import Beta, Dirichlet, memberships


class BernoulliNaiveBayes(Conjugate):
    """Bernoulli naive Bayes with Dirichlet and Beta priors (Murphy 2012, section 3.5).

    ``pi`` (classes,) are the class probabilities, ``theta`` (classes, features) the probabilities of a one,
    ``y`` (n,) the class and ``x`` (n, features) the zeros and ones of a row.

    Args:
        classes, features: sizes.
        concentration: prior rows of each class.
        ones, zeros: prior rows of each class with a one, and with a zero.

    >>> print(BernoulliNaiveBayes(classes=2, features=16))
    p(pi) p(theta) p(y | pi) p(x | y, theta)
    """

    joint = "p(pi) p(theta) p(y | pi) p(x | y, theta)"
    approximation = "q(pi) q(theta)"
    marginal = "p(y) p(x | y)"
    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (Beta, ("ones", "zeros")),
    }
    svi = {"steps": 1000, "learning_rate": 0.05}

    def __init__(
        self, classes: int, features: int, *, concentration: Any = 1.0, ones: Any = 1.0, zeros: Any = 1.0
    ):
        super().__init__()
        self.classes, self.features = cells = whole("classes", classes), whole("features", features)
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("ones", hyperparameter("ones", ones, cells))
        self.register_buffer("zeros", hyperparameter("zeros", zeros, cells))
        one = torch.ones(cells, dtype=torch.float64)
        self.q_concentration = PyroParam(one[:, 0].clone(), constraints.positive)
        self.q_ones = PyroParam(one.clone(), constraints.positive)
        self.q_zeros = PyroParam(one.clone(), constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("classes", self.classes):
            theta = pyro.sample("theta", dist.Beta(self.ones, self.zeros).to_event(1))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.Bernoulli(theta[y]).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("classes", self.classes):
            pyro.sample("theta", dist.Beta(self.q_ones, self.q_zeros).to_event(1))

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters: ones and zeros of each class, counted."""
        weights = memberships(y, self.classes).to(x.dtype)
        classes = self.family("classes").updated(weights.sum(0))
        return self.having(classes=classes, features=self.family("features").updated(weights, x))

    def point(self, smoothing: float = 1.0) -> dict[str, Tensor]:
        """The parameters of largest likelihood, each count of a cell raised by ``smoothing``."""
        return {"pi": self.family("classes").point(), "theta": self.family("features").point(smoothing)}

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out. ``pi`` may be given."""
        theta = self.family("features").predictive().probs
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", dist.Bernoulli(theta[y]).to_event(1))
