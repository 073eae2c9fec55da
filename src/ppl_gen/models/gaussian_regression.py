"""Naive Bayes turned to regression: given a real y, every feature is a Normal of its own."""

import copy
from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import NormalGamma, NormalGammaRegression
from ppl_gen.errors import DataError


class GaussianRegression(ProbabilisticModel):
    """Naive Bayes for a real target (Frank et al. 2000, Naive Bayes for regression, with Normal densities).

    ``y`` (n,) is the target, of mean ``mu`` and precision ``tau``; feature j of ``x`` (n, features) is Normal
    about ``w[j, 0] + w[j, 1] y`` with precision ``kappa[j]``, independent of the others given y: correlated
    features are counted twice. Exact, with two Normal-Gamma priors; ``p(y | x)`` has no closed form once the
    parameters are integrated out, and is importance sampled over the one number y. SVI takes an automatic
    guide.

    Args:
        features: how many.
        strength: prior rows that the prior mean of mu, zero, is worth.
        precision: prior precision of each w in units of kappa.
        shape, rate: of the Gamma priors of tau and kappa; the defaults suit standardised data.

    >>> print(GaussianRegression(features=2))
    p(tau) p(mu | tau) p(kappa) p(w | kappa) p(y | mu, tau) p(x | y, w, kappa)
    """

    joint = "p(tau) p(mu | tau) p(kappa) p(w | kappa) p(y | mu, tau) p(x | y, w, kappa)"
    marginal = "p(y) p(x | y)"
    svi = {"steps": 2000, "learning_rate": 0.05}

    def __init__(
        self,
        features: int,
        *,
        strength: Any = 0.01,
        precision: Any = 0.01,
        shape: Any = 1.0,
        rate: Any = 0.01,
    ):
        super().__init__()
        self.features = whole("features", features)
        self.register_buffer("loc", torch.zeros((), dtype=torch.float64))
        self.register_buffer("strength", hyperparameter("strength", strength, ()))
        self.register_buffer("shape", hyperparameter("shape", shape, ()))
        self.register_buffer("rate", hyperparameter("rate", rate, ()))
        self.register_buffer("w_loc", torch.zeros(features, 2, dtype=torch.float64))
        root = hyperparameter("precision", precision, (features, 2)).sqrt().diag_embed()
        self.register_buffer("w_root", root)
        self.register_buffer("w_shape", hyperparameter("shape", shape, (features,)))
        self.register_buffer("w_rate", hyperparameter("rate", rate, (features,)))

    def model(self, n: int) -> Tensor:
        tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate))
        mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()))
        with pyro.plate("features", self.features):
            kappa = pyro.sample("kappa", dist.Gamma(self.w_shape, self.w_rate))
            w = pyro.sample("w", self._features().weights(kappa))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Normal(mu, tau.rsqrt()))
            return pyro.sample("x", dist.Normal(self.basis(y) @ w.mT, kappa.rsqrt()).to_event(1))

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters. Missing cells of x are left out."""
        if bool(y.isnan().any()):
            raise DataError("y: expected no missing cells, since x depends on it; leave those rows out")
        after = copy.deepcopy(self)
        new = self._target().updated(torch.ones_like(y[:, None]), y[:, None])
        after.loc, after.strength, after.shape, after.rate = (field.reshape(()) for field in new)
        after.w_loc, after.w_root, after.w_shape, after.w_rate = self._features().updated(self.basis(y), x.mT)
        return after

    def log_normalizer(self) -> Tensor:
        """log Z of the prior, in nats: after an update minus before it is the log evidence."""
        return self._target().log_normalizer() + self._features().log_normalizer()

    def predictive(self, n: int) -> Tensor:
        """One row with the parameters integrated out: a Student-t naive Bayes."""
        t = self._target().predictive()
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.StudentT(t.df.squeeze(), t.loc.squeeze(), t.scale.squeeze()))
            x = self._features().predictive(self.basis(y))
            return pyro.sample("x", dist.StudentT(x.df.mT, x.loc.mT, x.scale.mT).to_event(1))

    def basis(self, y: Tensor) -> Tensor:
        """The rows that the features are regressed on: a one, then y."""
        return torch.stack([torch.ones_like(y), y], -1)

    def _target(self) -> NormalGamma:
        cells = (self.loc, self.strength, self.shape, self.rate)
        return NormalGamma(*(field.reshape(1, 1) for field in cells))

    def _features(self) -> NormalGammaRegression:
        return NormalGammaRegression(self.w_loc, self.w_root, self.w_shape, self.w_rate)
