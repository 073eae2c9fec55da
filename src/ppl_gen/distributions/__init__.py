"""Densities and conjugate families that Pyro lacks."""

from ppl_gen.distributions.bandwidth import leave_one_out, select_bandwidth
from ppl_gen.distributions.bins import Histogram, UniformBin, bin_of
from ppl_gen.distributions.categories import ColumnCategorical, ColumnDirichlet
from ppl_gen.distributions.code_priors import CouplingFlow, LearnedNormal, NormalMixture, StandardNormal
from ppl_gen.distributions.columns import Columns
from ppl_gen.distributions.conjugate import Dirichlet, NormalGamma, SharedNormalGamma
from ppl_gen.distributions.conjugate_counts import Beta, DirichletGamma, Dirichlets, Gamma
from ppl_gen.distributions.count_vector import CountVector
from ppl_gen.distributions.incomplete import drawn_rows, expected_rows
from ppl_gen.distributions.inverse_wishart import InverseWishartCholesky
from ppl_gen.distributions.kernel_density import KernelDensity, Values
from ppl_gen.distributions.likelihoods import (
    Bernoulli,
    BetaBinomial,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    Likelihood,
)
from ppl_gen.distributions.linear_gaussian import LinearGaussian
from ppl_gen.distributions.moments import Moments, class_counts, memberships
from ppl_gen.distributions.normal_wishart import NormalInverseWishart
from ppl_gen.distributions.ordered import Ordered
from ppl_gen.distributions.prior import ColumnPriors, Prior
from ppl_gen.distributions.regression import NormalGammaRegression
from ppl_gen.distributions.rows import score_rows
from ppl_gen.distributions.spherical import SphericalNormalGamma
from ppl_gen.distributions.starts import centre_and_spread, filled, kmeans_plus_plus
from ppl_gen.distributions.sticks import StickBreaking, stick_lengths
from ppl_gen.distributions.units import Units

__all__ = [
    "Bernoulli",
    "Beta",
    "BetaBinomial",
    "Binomial",
    "Categorical",
    "ColumnCategorical",
    "ColumnDirichlet",
    "ColumnPriors",
    "Columns",
    "CountVector",
    "CouplingFlow",
    "Dirichlet",
    "DirichletGamma",
    "Dirichlets",
    "DiscretizedLogistic",
    "Gamma",
    "Gaussian",
    "Histogram",
    "InverseWishartCholesky",
    "KernelDensity",
    "LearnedNormal",
    "Likelihood",
    "LinearGaussian",
    "Moments",
    "NormalGamma",
    "NormalGammaRegression",
    "NormalInverseWishart",
    "NormalMixture",
    "Ordered",
    "Prior",
    "SharedNormalGamma",
    "SphericalNormalGamma",
    "StandardNormal",
    "StickBreaking",
    "UniformBin",
    "Units",
    "Values",
    "bin_of",
    "centre_and_spread",
    "class_counts",
    "drawn_rows",
    "expected_rows",
    "filled",
    "kmeans_plus_plus",
    "leave_one_out",
    "memberships",
    "score_rows",
    "select_bandwidth",
    "stick_lengths",
]
