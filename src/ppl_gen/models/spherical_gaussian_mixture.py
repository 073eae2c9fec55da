"""Gaussian mixture with spherical covariances: one precision for all features of a component."""

from typing import Any, Self

from torch import Tensor

from ppl_gen.models.mixture import Mixture
from ppl_gen.models.spherical_naive_bayes import SphericalNaiveBayes


class SphericalGaussianMixture(Mixture, SphericalNaiveBayes):
    """Bayesian mixture of round Normals (Bishop 2006, chapter 9): k-means with probabilities.

    ``pi`` (components,) are the weights, ``tau`` (components,) the precisions, ``mu`` (components, features)
    the means, ``z`` (n,) the hidden component, and ``x`` (n, features) the features of a row.

    Args:
        components, features: sizes. The priors are those of `GaussianMixture`, with one ``shape`` and
            ``rate`` for each component.

    >>> print(SphericalGaussianMixture(components=2, features=2))
    p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)
    """

    joint = "p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)"

    def __init__(self, components: int, features: int, **kwargs: Any):
        super().__init__(components, features, **kwargs)

    def _start(self, after: Self) -> dict[str, Tensor]:
        scale = (after.rate[:, None] / (after.shape[:, None] * after.strength)).sqrt() / self.spread
        loc = (after.loc - self.centre) / self.spread
        rate = after.rate / self.spread.square().mean()
        return super()._start(after) | {"rate": rate, "loc": loc, "scale": scale}
