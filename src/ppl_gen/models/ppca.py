"""Probabilistic principal component analysis: a Normal code, mapped linearly, with one noise for all."""

import copy
from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import LinearGaussian, centre_and_spread
from ppl_gen.errors import DataError


class PPCA(ProbabilisticModel):
    """Probabilistic principal component analysis (Tipping and Bishop 1999; Bishop 2006, section 12.2).

    ``z`` (n, latent) is the code and ``x`` (n, features) the row, Normal about a linear function of z. Its
    guide is a linear encoder, so SVI trains the linear VAE; `MaximumLikelihood` has the closed form.
    Given its parameters, p(x) and p(z | x) are exact, missing cells and all.

    Args:
        features, latent: sizes.
        noise: the noise's standard deviation, if it is known; by default it is learned.
        seed: decides the weights that SVI starts from.

    >>> from ppl_gen import ask, fit
    >>> posterior = fit(PPCA(features=2, latent=1), x=[[0., 0.1], [1., 0.9], [2., 2.1], [3., 2.9]])
    >>> ask(posterior, "p(z | x)", x=[1.5, 1.5]), ask(posterior, "p(x)")
    (p(z | x) of PPCA, exact, p(x) of PPCA, exact)
    """

    joint = "p(z) p(x | z)"
    approximation = "q(z | x)"
    inverse = "p(x) p(z | x)"
    svi = {"steps": 3000, "learning_rate": 0.02}
    tied = True

    def __init__(self, features: int, latent: int, *, noise: Any = None, seed: int = 0):
        super().__init__()
        self.features, self.latent = whole("features", features), whole("latent", latent)
        if latent > features:
            raise DataError(f"latent: expected at most the {features} features, got {latent}")
        one = torch.ones(features, dtype=torch.float64)
        self.known, shape = noise is not None, () if self.tied else (features,)
        if self.known:
            self.register_buffer("noise", hyperparameter("noise", noise, shape))
        else:
            self.noise = PyroParam(one.new_full(shape, 0.5), dist.constraints.positive)
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.Parameter(0.1 * torch.randn(features, latent, generator=generator, dtype=one.dtype))
        self.loc = nn.Parameter(0 * one)
        self.q_weights = nn.Parameter(self.weights.detach().clone())
        self.q_scale = PyroParam(one[:latent].clone(), dist.constraints.positive)
        self.register_buffer("centre", 0 * one)  # all else is in units of the data: initialize() sets these
        self.register_buffer("spread", one.clone())

    def model(self, n: int) -> Tensor:
        linear = self.linear()
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(torch.zeros_like(self.q_scale), 1.0).to_event(1))
            return pyro.sample("x", linear.rows_given(z))

    def guide(self, n: int, x: Tensor) -> None:
        loc = ((x - self.centre) / self.spread - self.loc) @ self.q_weights
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, self.q_scale).to_event(1))

    def inverted(self, n: int) -> Tensor:
        """The same joint, the row first and then its code. Missing cells of a given x are NaN."""
        linear = self.linear()
        with pyro.plate("data", n):
            x = pyro.sample("x", linear.rows())
            pyro.sample("z", linear.codes(x))
        return x

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        self.centre, self.spread = centre_and_spread(x)
        if self.tied:
            self.spread = self.spread.square().mean().sqrt().expand_as(self.spread).clone()

    def maximized(self, x: Tensor) -> Self:
        """The same model with the parameters that make the rows most likely."""
        known = self.noise.square() if self.known else None
        if bool(x.isnan().any()):
            return self.having(LinearGaussian.start(x, self.latent).em(x, True, known))
        return self.having(LinearGaussian.principal(x, self.latent, known))

    def linear(self) -> LinearGaussian:
        """The parameters in the units of x."""
        noise = self.noise if self.known else self.noise * self.spread
        weights = self.weights * self.spread[:, None]
        loc = self.centre + self.spread * self.loc
        return LinearGaussian(loc, weights, noise.square().expand(self.features))

    def having(self, linear: LinearGaussian) -> Self:
        """The same model with other parameters, and the guide nearest to their posterior."""
        after = copy.deepcopy(self)
        after.centre, after.spread = torch.zeros_like(self.centre), torch.ones_like(self.spread)
        with torch.no_grad():
            code, noise = linear.codes(linear.loc + torch.eye(self.features)), linear.variance.sqrt()
            after.loc.copy_(linear.loc), after.weights.copy_(linear.weights)
            after.q_weights.copy_(code.mean)
            after.q_scale = code.precision_matrix[0].diagonal().rsqrt()
            if not self.known:
                after.noise = noise[0] if self.tied else noise
        return after
