"""Mixture of categories: categorical naive Bayes whose labels are hidden, known as latent class analysis."""

from collections.abc import Sequence
from typing import Any

from ppl_gen.models.categorical_naive_bayes import CategoricalNaiveBayes
from ppl_gen.models.mixture import Mixture


class CategoricalMixture(Mixture, CategoricalNaiveBayes):
    """Bayesian latent class analysis (Lazarsfeld and Henry 1968; Murphy 2012, section 11.2).

    ``pi`` (components,) are the weights, ``theta`` (components, sum of levels) the probabilities of the
    features' categories, laid end to end, ``z`` (n,) the hidden component, and ``x`` (n, features) category
    codes.

    Args:
        components, features: sizes.
        levels: the number of categories, of each feature or of all. The priors are those of
            `CategoricalNaiveBayes`.

    >>> print(CategoricalMixture(components=2, features=3, levels=[3, 2, 5]))
    p(pi) p(theta) p(z | pi) p(x | z, theta)
    """

    joint = "p(pi) p(theta) p(z | pi) p(x | z, theta)"

    def __init__(self, components: int, features: int, *, levels: int | Sequence[int], **kwargs: Any):
        super().__init__(components, features, levels=levels, **kwargs)
