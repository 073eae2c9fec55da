"""Mixture for tables: mixed naive Bayes whose labels are hidden."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor

from ppl_gen.models.mixed_naive_bayes import MixedNaiveBayes
from ppl_gen.models.mixture import Mixture


class MixedMixture(Mixture, MixedNaiveBayes):
    """Bayesian mixture with a family for each column: Gaussian, Bernoulli, Poisson or categorical.

    ``z`` (n,) is the hidden component; all else is as in `MixedNaiveBayes`.

    Args:
        components: how many.
        columns: "gaussian", "bernoulli", "poisson" or ``Categorical(levels)`` for each column of x, by name
            or as a list. The priors are those of `MixedNaiveBayes`.

    >>> print(MixedMixture(components=2, columns={"smoker": "bernoulli", "visits": "poisson"}))
    p(pi) p(theta) p(lam) p(z | pi) p(x | z, theta, lam)
    """

    joint = MixedNaiveBayes.joint.replace("p(y", "p(z").replace("| y", "| z")

    def __init__(self, components: int, columns: Mapping[str, Any] | Sequence[Any], **kwargs: Any):
        super().__init__(components, columns, **kwargs)
        self.joint = self.joint.replace("p(y", "p(z").replace("| y", "| z")

    def _start(self, after: Self) -> dict[str, Tensor]:
        found, columns = super()._start(after), self.columns
        for kind, place in columns.places.items():
            centre, spread, at = columns.centre[place], columns.spread[place], f"columns.kinds.{kind}"
            if kind == "gaussian":
                found[f"{at}.loc"] = (found[f"{at}.loc"] - centre) / spread
                found[f"{at}.rate"] = found[f"{at}.rate"] / spread**2
            if kind == "poisson":
                found[f"{at}.rate"] = found[f"{at}.rate"] * centre.clamp(min=0.1)
        return found
