"""Multinomial naive Bayes: given the class, every word of a text falls into the same urns."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import CountVector, Dirichlet, DirichletGamma, filled, memberships


class MultinomialNaiveBayes(Conjugate):
    """Multinomial naive Bayes for vectors of counts (McCallum and Nigam 1998), with priors.

    ``pi`` (classes,) are the class probabilities, ``theta`` (classes, features) the shares of the features in
    each class, ``lam`` the expected total of a row, ``y`` (n,) the class and ``x`` (n, features) the counts.
    A total of Poisson(lam), shared out with probabilities theta, is the same as independent counts of
    Poisson(lam theta). All classes share lam, so the total tells nothing of the class.

    Args:
        classes, features: sizes.
        concentration: prior rows of each class.
        pseudocount: prior count of each feature in each class (scikit-learn's ``alpha``).
        shape, rate: of the Gamma prior of lam.

    >>> print(MultinomialNaiveBayes(classes=2, features=1000))
    p(pi) p(lam) p(theta) p(y | pi) p(x | y, lam, theta)
    """

    joint = "p(pi) p(lam) p(theta) p(y | pi) p(x | y, lam, theta)"
    approximation = "q(pi) q(lam) q(theta)"
    marginal = "p(y) p(x | y)"
    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (DirichletGamma, ("pseudocount", "shape", "rate", "log_base")),
    }
    svi = {"steps": 1000, "learning_rate": 0.05}

    def __init__(
        self,
        classes: int,
        features: int,
        *,
        concentration: Any = 1.0,
        pseudocount: Any = 1.0,
        shape: Any = 1.0,
        rate: Any = 0.01,
    ):
        super().__init__()
        self.classes, self.features = cells = whole("classes", classes), whole("features", features)
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("pseudocount", hyperparameter("pseudocount", pseudocount, cells))
        self.register_buffer("shape", hyperparameter("shape", shape, ()))
        self.register_buffer("rate", hyperparameter("rate", rate, ()))
        self.register_buffer("log_base", torch.zeros((), dtype=torch.float64))  # of the counts seen
        self.register_buffer("length", torch.ones((), dtype=torch.float64))  # the guide's unit of lam
        self.q_concentration = PyroParam(torch.ones_like(self.concentration), constraints.positive)
        self.q_shape = PyroParam(torch.ones_like(self.shape), constraints.positive)
        self.q_rate = PyroParam(torch.ones_like(self.rate), constraints.positive)
        self.q_pseudocount = PyroParam(torch.ones_like(self.pseudocount), constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        lam = pyro.sample("lam", dist.Gamma(self.shape, self.rate))
        with pyro.plate("classes", self.classes):
            theta = pyro.sample("theta", dist.Dirichlet(self.pseudocount))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.Poisson(lam * theta[y]).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        pyro.sample("lam", dist.Gamma(self.q_shape, self.q_rate / self.length))
        with pyro.plate("classes", self.classes):
            pyro.sample("theta", dist.Dirichlet(self.q_pseudocount))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        self.length = filled(x).sum(1).mean().clamp(min=0.1)

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters: counts of each class, and all totals."""
        weights = memberships(y, self.classes).to(x.dtype)
        classes = self.family("classes").updated(weights.sum(0))
        return self.having(classes=classes, features=self.family("features").updated(weights, x))

    def point(self, smoothing: float = 1.0) -> dict[str, Tensor]:
        """The parameters of largest likelihood; every count in theta is raised by ``smoothing``."""
        theta = Dirichlet(self.pseudocount).point(smoothing)
        return {"pi": self.family("classes").point(), "lam": self.shape / self.rate, "theta": theta}

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out. ``pi`` may be given."""
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", CountVector(self.pseudocount[y], self.shape, self.rate))
