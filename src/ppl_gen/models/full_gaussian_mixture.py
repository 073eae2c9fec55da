"""Gaussian mixtures with full covariances: discriminant analysis whose labels are hidden."""

from typing import Any, Self

from torch import Tensor

from ppl_gen.models.linear_discriminant_analysis import LinearDiscriminantAnalysis
from ppl_gen.models.mixture import Mixture
from ppl_gen.models.quadratic_discriminant_analysis import QuadraticDiscriminantAnalysis


class FullGaussianMixture(Mixture, QuadraticDiscriminantAnalysis):
    """Bayesian mixture of Normals, each with a covariance of its own (Bishop 2006, section 10.2).

    ``pi`` (components,) are the weights, ``sigma`` (components, features, features) the lower Cholesky
    factors of the covariances sigma sigmaᵀ, ``mu`` (components, features) the means, ``z`` (n,) the hidden
    component, and ``x`` (n, features) the features of a row.

    Args:
        components, features: sizes.
        concentration: prior rows of each component. loc: prior mean of mu. strength: prior rows it is worth.
        freedom: degrees of freedom of the inverse Wishart, less features - 1. scatter: its scale, a number,
            a diagonal or a matrix.

    >>> print(FullGaussianMixture(components=2, features=2))
    p(pi) p(sigma) p(mu | sigma) p(z | pi) p(x | z, mu, sigma)
    """

    joint = "p(pi) p(sigma) p(mu | sigma) p(z | pi) p(x | z, mu, sigma)"

    def __init__(self, components: int, features: int, **kwargs: Any):
        super().__init__(components, features, **kwargs)

    def _start(self, after: Self) -> dict[str, Tensor]:
        loc = (after.loc - self.centre) / self.spread
        return super()._start(after) | {"loc": loc, "factor": after.factor / self.spread[:, None]}


class TiedGaussianMixture(FullGaussianMixture, LinearDiscriminantAnalysis):
    """`FullGaussianMixture` with one covariance for all components, ``sigma`` (features, features).

    >>> print(TiedGaussianMixture(components=2, features=2))
    p(pi) p(sigma) p(mu | sigma) p(z | pi) p(x | z, mu, sigma)
    """
