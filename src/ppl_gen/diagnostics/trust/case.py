"""A posterior under examination: its data, a few runs of its programs, and its guide's quality."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ppl_gen.diagnostics.trust.drawn import rows_of
from ppl_gen.diagnostics.trust.quality import GuideQuality
from ppl_gen.inference.elbo import Terms, recorded, terms
from ppl_gen.inputs import Data
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

RUNS = 40  # of model and guide, for checks of what they are made of


@dataclass
class Case:
    """What the checks share. ``quality`` is None where the posterior has no density.

    ``known_rows`` says whether the rows are those of the last fit.
    """

    posterior: Posterior
    given: Mapping[str, Any]
    seed: int
    quality: GuideQuality | None
    known_rows: bool = field(default=True, kw_only=True)

    @cached_property
    def data(self) -> Data:
        """The rows."""
        with isolated(self.seed):
            return rows_of(self.posterior, self.given)

    @cached_property
    def runs(self) -> list[Terms]:
        """The factors of some draws of the posterior."""
        posterior, data, plates = self.posterior, self.data, None
        found = []
        with isolated(self.seed):
            guide = recorded(posterior.latents_of(data))
            for _ in range(RUNS):
                t = terms(posterior.joint.model, guide, data.values, data.observed, plates, seen=data.seen)
                plates = t.plates
                found.append(t)
        return found

    @property
    def rows(self) -> dict[str, Any]:
        """The data by name, as `fit` takes them."""
        return {**self.data.inputs, **self.data.observed, **self.data.gaps}
