"""Gaussian mixture with diagonal covariances: Gaussian naive Bayes whose labels are hidden."""

from typing import Any, Self

from torch import Tensor

from ppl_gen.errors import DataError
from ppl_gen.models.full_gaussian_mixture import FullGaussianMixture, TiedGaussianMixture
from ppl_gen.models.gaussian_naive_bayes import GaussianNaiveBayes
from ppl_gen.models.mixture import Mixture
from ppl_gen.models.spherical_gaussian_mixture import SphericalGaussianMixture


class GaussianMixture(Mixture, GaussianNaiveBayes):
    """Bayesian mixture of Normals (Bishop 2006, chapter 9 and section 10.2).

    ``pi`` (components,) are the weights, ``tau`` and ``mu`` (components, features) the precisions and means,
    ``z`` (n,) the hidden component, and ``x`` (n, features) the features of a row.

    Args:
        components, features: sizes.
        covariance: "diagonal", or the name of another structure, which gives the model of its own class:
            "spherical", "tied", "full".
        weights: "dirichlet", or "dirichlet process", truncated: sticks ``v`` in the place of ``pi``, see
            `ppl_gen.models.mixture.Mixture`.
        concentration: prior rows of each component; of the process, its one number alpha.
        loc: prior mean of mu. strength: prior rows that loc is worth.
        shape, rate: of the Gamma prior of tau; the defaults suit standardised features.

    >>> print(GaussianMixture(components=2, features=2))
    p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)
    >>> print(GaussianMixture(components=2, features=2, covariance="full"))
    p(pi) p(sigma) p(mu | sigma) p(z | pi) p(x | z, mu, sigma)
    >>> print(GaussianMixture(components=20, features=2, weights="dirichlet process", concentration=1.0))
    p(v) p(tau) p(mu | tau) p(z | v) p(x | z, mu, tau)
    """

    joint = "p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)"

    def __new__(
        cls, components: int = 0, features: int = 0, *, covariance: str = "diagonal", **kwargs: Any
    ) -> Any:
        structures = {
            "diagonal": cls,
            "spherical": SphericalGaussianMixture,
            "tied": TiedGaussianMixture,
            "full": FullGaussianMixture,
        }
        if covariance not in structures:
            raise DataError(f"covariance: expected {', '.join(structures)}, got {covariance!r}")
        if covariance != "diagonal":
            return structures[covariance](components, features, **kwargs)
        sizes = (components, features) if components else ()  # a bare __new__ is deepcopy's
        return super().__new__(cls, *sizes, **kwargs)

    def __init__(self, components: int, features: int, *, covariance: str = "diagonal", **kwargs: Any):
        super().__init__(components, features, **kwargs)

    def _start(self, after: Self) -> dict[str, Tensor]:
        scale = (after.rate / (after.shape * after.strength)).sqrt() / self.spread
        loc = (after.loc - self.centre) / self.spread
        return super()._start(after) | {"rate": after.rate / self.spread**2, "loc": loc, "scale": scale}
