"""The same fit from other starts: how far their bounds lie apart."""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

from ppl_gen.errors import NonFinite, Unanswerable
from ppl_gen.fit import fit
from ppl_gen.inference import EM, SVI, VariationalBayes
from ppl_gen.posterior import Posterior

DRAWS = 200  # of each guide, by which its bound is estimated


@dataclass(frozen=True)
class Starts:
    """Bounds by start, in nats.

    Attributes:
        own, own_error: that of the posterior, and its standard error, which is 0 of EM and variational Bayes.
        others, errors: those of the other starts.
    """

    own: float
    own_error: float
    others: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def higher(self) -> float:
        """By how much the best of the others lies above the posterior."""
        return max(self.others) - self.own

    @property
    def error(self) -> float:
        """Standard error of that."""
        return math.hypot(self.own_error, self.errors[self.others.index(max(self.others))])

    @property
    def spread(self) -> float:
        """From the lowest bound to the highest, the posterior's own among them."""
        bounds = (self.own, *self.others)
        return max(bounds) - min(bounds)

    def __str__(self) -> str:
        others = f"{len(self.others)} other start{'s' * (len(self.others) > 1)}"
        return f"{others}: {self.higher:+,.2f} nats; all lie within {self.spread:,.2f}"


def restarted(posterior: Posterior, restarts: int, seed: int) -> Starts | None:
    """Fit again from ``restarts`` other starts; None where the method has none, or none of them arrives."""
    method = posterior.method
    if not restarts or not isinstance(method, EM | VariationalBayes | SVI):
        return None
    data = posterior.fitted_data()
    rows = {**data.inputs, **data.observed, **data.gaps}
    options: dict[str, Any] = {"progress": False}
    if isinstance(method, SVI):
        options["checkpoint"] = None
    else:
        options = {"restarts": max(method.restarts, 10)}
    ends: list[Posterior] = []
    for i in range(restarts):
        again: Any = replace(method, seed=method.seed + 101 + i, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ends.append(fit(posterior.prior, again, **rows))
            except (NonFinite, Unanswerable):
                continue
    if not ends:
        return None
    bounds = [_bound(end, seed) for end in (posterior, *ends)]
    values, errors = zip(*bounds, strict=True)
    return Starts(values[0], errors[0], values[1:], errors[1:])


def _bound(posterior: Posterior, seed: int) -> tuple[float, float]:
    if isinstance(posterior.method, SVI):
        return posterior.estimate_elbo(DRAWS, seed)
    return float(posterior.elbo[-1]), 0.0
