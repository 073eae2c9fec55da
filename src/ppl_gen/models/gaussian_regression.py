"""Naive Bayes turned to regression: given a real y, every feature is a Normal of its own."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import NormalGamma, NormalGammaRegression
from ppl_gen.errors import DataError


class GaussianRegression(Conjugate):
    """Naive Bayes for a real target (Frank et al. 2000, Naive Bayes for regression, with Normal densities).

    ``y`` (n,) is the target, of mean ``mu`` and precision ``tau``; feature j of ``x`` (n, features) is Normal
    about ``w[j, 0] + w[j, 1] y`` with precision ``kappa[j]``, independent of the others given y: correlated
    features are counted twice. Exact, with two Normal-Gamma priors; ``p(y | x)`` has no closed form once the
    parameters are integrated out: it is a quadrature over the one number y. SVI takes an automatic guide.

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
    families = {
        "target": (NormalGamma, ("loc", "strength", "shape", "rate")),
        "features": (NormalGammaRegression, ("w_loc", "w_root", "w_shape", "w_rate")),
    }
    scaled = {"y": ("target",), "x": ("features",)}
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
            w = pyro.sample("w", self.family("features").weights(kappa))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Normal(mu, tau.rsqrt()))
            return pyro.sample("x", dist.Normal(self.basis(y) @ w.mT, kappa.rsqrt()).to_event(1))

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters. Missing cells of x are left out."""
        if bool(y.isnan().any()):
            raise DataError("y: expected no missing cells, since x depends on it; leave those rows out")
        target = self.family("target").updated(torch.ones_like(y[:, None]), y[:, None])
        features = self.family("features").updated(self.basis(y), x.mT)
        return self.having(target=[field.reshape(()) for field in target], features=features)

    def point(self, smoothing: float = 1e-9) -> dict[str, Tensor]:
        """The parameters of largest likelihood; ``smoothing`` of its variance is added to each noise."""
        mu, tau = self.family("target").point(smoothing)
        w, kappa = self.family("features").point(smoothing)
        return {"tau": tau, "mu": mu, "kappa": kappa, "w": w}

    def predictive(self, n: int) -> Tensor:
        """One row with the parameters integrated out: a Student-t naive Bayes."""
        t = self.family("target").predictive()
        with pyro.plate("data", n):
            y = pyro.sample("y", t)
            x = self.family("features").predictive(self.basis(y))
            return pyro.sample("x", dist.StudentT(x.df.mT, x.loc.mT, x.scale.mT).to_event(1))

    def basis(self, y: Tensor) -> Tensor:
        """The rows that the features are regressed on: a one, then y."""
        return torch.stack([torch.ones_like(y), y], -1)
