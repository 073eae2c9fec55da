"""Regression by classification: naive Bayes whose class is the bin that a real target lies in."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import Histogram, NormalGamma, UniformBin, bin_of
from ppl_gen.errors import DataError


class DiscretisedRegression(Conjugate):
    """Gaussian naive Bayes for a discretised target (Torgo and Gama 1997; Frank et al. 2000).

    ``pi`` (bins,) are the probabilities of the bins, ``tau`` and ``mu`` (bins, features) the precisions and
    means in each, ``b`` (n,) is a row's bin, ``y`` (n,) the target, uniform in it, and ``x`` (n, features)
    are the features. Since y tells b, the posterior is exact; ``p(y | x)`` is a histogram whose
    probabilities are exact. SVI takes an automatic guide.

    Args:
        features: how many.
        bins: the edges of the bins, rising; see `quantiles`. Or how many: their edges are then those of
            equally probable bins of a standard Normal, the last at 5 standard deviations, for standardised y.
        concentration: prior rows of each bin.
        loc: prior mean of mu. strength: prior rows that loc is worth.
        shape, rate: of the Gamma prior of tau; the defaults suit standardised features.

    >>> y = torch.tensor([0.0, 1.0, 2.0, 9.0])
    >>> DiscretisedRegression(features=1, bins=DiscretisedRegression.quantiles(y, 2)).edges
    tensor([0.0000, 1.5000, 9.0000], dtype=torch.float64)
    """

    joint = "p(pi) p(tau) p(mu | tau) p(b | pi) p(y | b) p(x | b, mu, tau)"
    marginal = "p(b) p(y | b) p(x | b)"
    families = {
        "bins": (Histogram, ("concentration", "edges")),
        "features": (NormalGamma, ("loc", "strength", "shape", "rate")),
    }
    scaled = {"x": ("features",)}
    svi = {"steps": 2000, "learning_rate": 0.05}

    def __init__(
        self,
        features: int,
        bins: Any,
        *,
        concentration: Any = 1.0,
        loc: Any = 0.0,
        strength: Any = 0.01,
        shape: Any = 1.0,
        rate: Any = 0.01,
    ):
        super().__init__()
        if not getattr(bins, "__len__", None):
            shares = torch.linspace(0, 1, whole("bins", bins) + 1, dtype=torch.float64)
            bins = torch.special.ndtri(shares).clamp(-5, 5)
        edges = hyperparameter("bins", bins, (len(bins),), above_zero=False)
        if len(edges) < 2 or not bool((edges.diff() > 0).all()):
            raise DataError(f"bins: expected at least two edges, each above the one before, got {bins}")
        self.features, self.bins = whole("features", features), len(edges) - 1
        cells = (self.bins, self.features)
        self.register_buffer("edges", edges)
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("loc", hyperparameter("loc", loc, cells, above_zero=False))
        self.register_buffer("strength", hyperparameter("strength", strength, cells))
        self.register_buffer("shape", hyperparameter("shape", shape, cells))
        self.register_buffer("rate", hyperparameter("rate", rate, cells))

    @staticmethod
    def quantiles(y: Any, bins: int) -> Tensor:
        """Edges of ``bins`` that hold equally many of the targets ``y``; fewer bins where targets repeat."""
        shares = torch.linspace(0, 1, whole("bins", bins) + 1, dtype=torch.float64)
        return torch.as_tensor(y, dtype=torch.float64).quantile(shares).unique()

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("bins", self.bins):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            b = pyro.sample("b", dist.Categorical(pi))
            pyro.sample("y", UniformBin(b, self.edges))
            return pyro.sample("x", dist.Normal(mu[b], tau[b].rsqrt()).to_event(1))

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters: counts and moments of each bin."""
        if bool(y.isnan().any()):
            raise DataError("y: expected no missing cells, since they tell the bins; leave those rows out")
        features = self.family("features").updated(bin_of(y, self.edges), x)
        return self.having(bins=self.family("bins").updated(y), features=features)

    def point(self, smoothing: float = 1e-9) -> dict[str, Tensor]:
        """The parameters of largest likelihood; the widest variance times ``smoothing`` is added to all."""
        mu, tau = self.family("features").point(smoothing)
        return {"pi": self.family("bins").point(), "tau": tau, "mu": mu}

    def predictive(self, n: int) -> Tensor:
        """One row with the parameters integrated out: a Student-t naive Bayes of the bins."""
        t = self.family("features").predictive()
        with pyro.plate("data", n):
            b = pyro.sample("b", self.family("bins").predictive())
            pyro.sample("y", UniformBin(b, self.edges))
            return pyro.sample("x", dist.StudentT(t.df[b], t.loc[b], t.scale[b]).to_event(1))
