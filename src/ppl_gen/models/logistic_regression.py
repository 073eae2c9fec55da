"""Softmax (multinomial logistic) regression: the discriminative twin of naive Bayes."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import centre_and_spread


class LogisticRegression(ProbabilisticModel):
    """Bayesian softmax regression (Bishop 2006, section 4.3.4).

    ``w`` (1 + features, classes) are the weights, the intercepts first, of the features in units of the
    training rows' spread; ``y`` (n,) is the class. ``x`` (n, features) is given, never generated, which is
    why this model cannot be asked for it, and why it may look at x to choose its units.

    Args:
        classes, features: sizes.
        scale: prior standard deviation of every weight: one number, or (1 + features, classes).
        intercept: False leaves the intercepts out, and the features where they are.

    >>> print(LogisticRegression(classes=3, features=13))
    p(w) p(y | x, w)
    """

    joint = "p(w) p(y | x, w)"
    approximation = "q(w)"
    svi = {"steps": 2000, "learning_rate": 0.05}

    def __init__(self, classes: int, features: int, *, scale: Any = 1.0, intercept: bool = True):
        super().__init__()
        self.classes, self.features = whole("classes", classes, least=2), whole("features", features)
        self.intercept = bool(intercept)
        zero = torch.zeros(self.intercept + features, classes, dtype=torch.float64)
        self.register_buffer("scale", hyperparameter("scale", scale, tuple(zero.shape)))
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(features, dtype=torch.float64))
        self.q_loc = nn.Parameter(zero.clone())
        self.q_scale = PyroParam(torch.full_like(zero, 0.1), constraints.positive)

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros_like(self.scale), self.scale).to_event(2))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Categorical(logits=self.basis(x) @ w))

    def guide(self) -> None:
        pyro.sample("w", dist.Normal(self.q_loc, self.q_scale).to_event(2))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        centre, self.spread = centre_and_spread(x)
        self.centre = centre if self.intercept else torch.zeros_like(centre)

    def basis(self, x: Tensor) -> Tensor:
        """The rows of the design matrix: a one, then the standardised features."""
        u = (x - self.centre) / self.spread
        return torch.cat([torch.ones_like(u[:, :1]), u], 1) if self.intercept else u
