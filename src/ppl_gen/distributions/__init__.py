"""Densities and conjugate families that Pyro lacks."""

from ppl_gen.distributions.conjugate import Dirichlet, NormalGamma
from ppl_gen.distributions.inverse_wishart import InverseWishartCholesky
from ppl_gen.distributions.likelihoods import (
    Bernoulli,
    BetaBinomial,
    Binomial,
    Categorical,
    Gaussian,
    Likelihood,
)
from ppl_gen.distributions.normal_wishart import NormalInverseWishart
from ppl_gen.distributions.regression import NormalGammaRegression
from ppl_gen.distributions.starts import centre_and_spread, kmeans_plus_plus

__all__ = [
    "Bernoulli",
    "BetaBinomial",
    "Binomial",
    "Categorical",
    "Dirichlet",
    "Gaussian",
    "InverseWishartCholesky",
    "Likelihood",
    "NormalGamma",
    "NormalGammaRegression",
    "NormalInverseWishart",
    "centre_and_spread",
    "kmeans_plus_plus",
]
