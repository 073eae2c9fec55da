"""Linear regression: a real target, Normal about a linear function of what is given."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import NormalGammaRegression


class LinearRegression(Conjugate):
    """Bayesian linear regression with a Normal-Gamma prior: exact (Bishop 2006, section 3.3).

    ``w`` (1 + features,) are the weights, the intercept first, ``tau`` is the precision of the noise and
    ``y`` (n,) the target. ``x`` (n, features) is given, never generated. SVI takes an automatic guide.

    Args:
        features: how many.
        loc: prior mean of w. precision: prior precision of each weight in units of tau: ridge regression's
            penalty; (1 + features,) or one number.
        shape, rate: of the Gamma prior of tau; the defaults suit standardised data.

    >>> from ppl_gen import ask, fit
    >>> posterior = fit(LinearRegression(features=1), x=[[0.], [1.], [2.], [3.]], y=[1., 3., 5., 7.])
    >>> answer = ask(posterior, "p(y | x)", x=[4.])
    >>> round(answer.mean.item(), 2), answer.how
    (9.0, 'exact')
    """

    joint = "p(tau) p(w | tau) p(y | x, w, tau)"
    marginal = "p(y | x)"
    families = {"weights": (NormalGammaRegression, ("loc", "root", "shape", "rate"))}
    scaled = {"y": ("weights",)}
    svi = {"steps": 2000, "learning_rate": 0.05}

    def __init__(
        self, features: int, *, loc: Any = 0.0, precision: Any = 0.01, shape: Any = 1.0, rate: Any = 0.01
    ):
        super().__init__()
        self.features = whole("features", features)
        terms = (1 + features,)
        self.register_buffer("loc", hyperparameter("loc", loc, terms, above_zero=False))
        self.register_buffer("root", torch.diag(hyperparameter("precision", precision, terms).sqrt()))
        self.register_buffer("shape", hyperparameter("shape", shape, ()))
        self.register_buffer("rate", hyperparameter("rate", rate, ()))

    def model(self, x: Tensor) -> Tensor:
        tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate))
        w = pyro.sample("w", self.family("weights").weights(tau))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(self.basis(x) @ w, tau.rsqrt()))

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters. A missing y (NaN) tells nothing."""
        return self.having(weights=self.family("weights").updated(self.basis(x), y))

    def weighed(self, weights: Tensor, x: Tensor, y: Tensor) -> Self:
        """The same by rows that count as often as their ``weights`` (n,) say."""
        return self.having(weights=self.family("weights").updated(self.basis(x), y, weights))

    def point(self, smoothing: float = 1e-9) -> dict[str, Tensor]:
        """Ordinary least squares; ``smoothing`` of the variance of y is added to that of the noise."""
        w, tau = self.family("weights").point(smoothing)
        return {"tau": tau, "w": w}

    def predictive(self, x: Tensor) -> Tensor:
        """The targets with the parameters integrated out: Student t."""
        with pyro.plate("data", len(x)):
            return pyro.sample("y", self.family("weights").predictive(self.basis(x)))

    def basis(self, x: Tensor) -> Tensor:
        """The rows of the design matrix: a one, then the features."""
        return torch.cat([torch.ones_like(x[:, :1]), x], 1)
