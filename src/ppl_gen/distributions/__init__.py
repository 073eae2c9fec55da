"""Densities and conjugate families that Pyro lacks."""

from ppl_gen.distributions.conjugate import Dirichlet, NormalGamma
from ppl_gen.distributions.likelihoods import (
    Bernoulli,
    BetaBinomial,
    Binomial,
    Categorical,
    Gaussian,
    Likelihood,
)
from ppl_gen.distributions.moments import Moments
from ppl_gen.distributions.rows import score_rows
from ppl_gen.distributions.starts import centre_and_spread, kmeans_plus_plus

__all__ = [
    "Bernoulli",
    "BetaBinomial",
    "Binomial",
    "Categorical",
    "Dirichlet",
    "Gaussian",
    "Likelihood",
    "Moments",
    "NormalGamma",
    "centre_and_spread",
    "kmeans_plus_plus",
    "score_rows",
]
