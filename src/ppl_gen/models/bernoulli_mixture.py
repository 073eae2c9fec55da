"""Mixture of Bernoulli rows: Bernoulli naive Bayes whose labels are hidden."""

from typing import Any

from ppl_gen.models.bernoulli_naive_bayes import BernoulliNaiveBayes
from ppl_gen.models.mixture import Mixture


class BernoulliMixture(Mixture, BernoulliNaiveBayes):
    """Bayesian mixture of rows of zeros and ones (Bishop 2006, section 9.3.3).

    ``pi`` (components,) are the weights, ``theta`` (components, features) the probabilities of a one,
    ``z`` (n,) the hidden component, and ``x`` (n, features) the zeros and ones of a row.

    Args:
        components, features: sizes. The priors are those of `BernoulliNaiveBayes`.

    >>> print(BernoulliMixture(components=2, features=16))
    p(pi) p(theta) p(z | pi) p(x | z, theta)
    """

    joint = "p(pi) p(theta) p(z | pi) p(x | z, theta)"

    def __init__(self, components: int, features: int, **kwargs: Any):
        super().__init__(components, features, **kwargs)
