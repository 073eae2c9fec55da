"""Quadratic discriminant analysis: classes are multivariate Normals, each with its own covariance."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn

from ppl_gen.checks import covariance_factor, hyperparameter, whole
from ppl_gen.distributions import Dirichlet, NormalInverseWishart, centre_and_spread, memberships
from ppl_gen.models.expected_cells import ExpectedCells


class QuadraticDiscriminantAnalysis(ExpectedCells):
    """Quadratic discriminant analysis with normal inverse-Wishart priors (Murphy 2012, section 4.2).

    ``pi`` (classes,) are the class probabilities, ``sigma`` (classes, features, features) the lower Cholesky
    factors of the covariances sigma sigmaᵀ, ``mu`` (classes, features) the means, ``y`` (n,) the class and
    ``x`` (n, features) the features of a row.

    Args:
        classes, features: sizes.
        concentration: prior rows of each class. loc: prior mean of mu. strength: prior rows it is worth.
        freedom: degrees of freedom of the inverse Wishart, less features - 1. scatter: its scale, a number,
            a diagonal or a matrix. By default each feature has the prior that naive Bayes gives it.

    >>> print(QuadraticDiscriminantAnalysis(classes=3, features=13))
    p(pi) p(sigma) p(mu | sigma) p(y | pi) p(x | y, mu, sigma)
    """

    joint = "p(pi) p(sigma) p(mu | sigma) p(y | pi) p(x | y, mu, sigma)"
    approximation = "q(pi) q(sigma) q(mu | sigma)"
    marginal = "p(y) p(x | y)"
    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (NormalInverseWishart, ("loc", "strength", "df", "factor")),
    }
    svi = {"steps": 2000, "learning_rate": 0.05}
    tied = False

    def __init__(
        self,
        classes: int,
        features: int,
        *,
        concentration: Any = 1.0,
        loc: Any = 0.0,
        strength: Any = 0.01,
        freedom: Any = 2.0,
        scatter: Any = 0.02,
    ):
        super().__init__()
        self.classes, self.features = cells = whole("classes", classes), whole("features", features)
        batch = cells[:0] if self.tied else cells[:1]
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("loc", hyperparameter("loc", loc, cells, above_zero=False))
        self.register_buffer("strength", hyperparameter("strength", strength, cells[:1]))
        self.register_buffer("df", features - 1 + hyperparameter("freedom", freedom, batch))
        self.register_buffer("factor", covariance_factor("scatter", scatter, (*batch, features, features)))
        # The guide counts in units of the data: initialize() sets centre and spread.
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(features, dtype=torch.float64))
        self.q_concentration = PyroParam(self.concentration.clone(), dist.constraints.positive)
        self.q_loc = nn.Parameter(torch.zeros_like(self.loc))
        self.q_strength = PyroParam(self.strength + 10, dist.constraints.positive)
        self.q_df = PyroParam(self.df + 10, dist.constraints.greater_than(features - 1.0))
        start = covariance_factor("start", 20.0, self.factor.shape)
        self.q_factor = PyroParam(start, dist.constraints.lower_cholesky)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("classes", self.classes):
            sigma = pyro.sample("sigma", self.family("features").covariances())
            mu = pyro.sample("mu", self.family("features").means(sigma))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.MultivariateNormal(mu[y], scale_tril=sigma[y]))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("classes", self.classes):
            sigma = pyro.sample("sigma", self._q_features().covariances())
            pyro.sample("mu", self._q_features().means(sigma))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        self.centre, self.spread = centre_and_spread(x)

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters: counts and moments of each class."""
        weights = memberships(y, self.classes).to(x.dtype)
        classes = self.family("classes").updated(weights.sum(0))
        return self.having(classes=classes, features=self.family("features").updated(weights, x))

    def point(self, smoothing: float = 1e-12, **ridge: float) -> dict[str, Tensor]:
        """The parameters of largest likelihood; ``smoothing`` of each feature's variance is added."""
        mu, sigma = self.family("features").point(smoothing, **ridge)
        return {"pi": self.family("classes").point(), "sigma": sigma, "mu": mu}

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out: multivariate Student t. ``pi`` may be given."""
        t = self.family("features").predictive()
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", dist.MultivariateStudentT(t.df[y], t.loc[y], t.scale_tril[y]))

    def _q_features(self) -> NormalInverseWishart:
        loc, factor = self.centre + self.spread * self.q_loc, self.spread[:, None] * self.q_factor
        return NormalInverseWishart(loc, self.q_strength, self.q_df, factor)
