"""Mixture of Poisson counts: Poisson naive Bayes whose labels are hidden."""

from typing import Any, Self

from torch import Tensor

from ppl_gen.models.mixture import Mixture
from ppl_gen.models.poisson_naive_bayes import PoissonNaiveBayes


class PoissonMixture(Mixture, PoissonNaiveBayes):
    """Bayesian mixture of rows of independent counts (Gelman et al. 2013, chapter 22).

    ``pi`` (components,) are the weights, ``lam`` (components, features) the expected counts,
    ``z`` (n,) the hidden component, and ``x`` (n, features) the counts of a row.

    Args:
        components, features: sizes. The priors are those of `PoissonNaiveBayes`.

    >>> print(PoissonMixture(components=2, features=16))
    p(pi) p(lam) p(z | pi) p(x | z, lam)
    """

    joint = "p(pi) p(lam) p(z | pi) p(x | z, lam)"

    def __init__(self, components: int, features: int, **kwargs: Any):
        super().__init__(components, features, **kwargs)

    def _start(self, after: Self) -> dict[str, Tensor]:
        return super()._start(after) | {"rate": after.rate * self.centre}
