"""Variational Bayes by coordinate ascent: the conjugate update of labels known only in probability."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.checks import positive, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import DataError, NonFinite
from ppl_gen.inference.exact import together
from ppl_gen.inference.hidden import HiddenLabels
from ppl_gen.inference.method import Fitted
from ppl_gen.inputs import Data

SHORT = 20  # steps of every start before the best goes on


@dataclass(frozen=True)
class VariationalBayes:
    """The closest posterior whose parameters and hidden labels are independent (Bishop 2006, section 10.2).

    Labels are weighed by the expected log densities of their rows, and the model is updated by the rows with
    these weights: the update of `Exact` with soft labels. Each step raises the ELBO. The posterior is the
    same model with other hyperparameters, so predictions integrate the parameters out in closed form, and
    more rows can be added later; its spread is too narrow, and it knows one naming of the components alone.

    Args:
        steps: at most, of the start that is kept.
        tolerance: stop when a step gains less than this, in nats a row.
        restarts: starts by k-means++; each climbs a few steps, and the best climbs on.
        seed: decides the starts.
        chunk: rows that are looked at together.

    >>> from ppl_gen import ask, fit
    >>> from ppl_gen.models import GaussianMixture
    >>> x = [[0.0], [0.2], [0.4], [9.0], [9.4]]
    >>> posterior = fit(GaussianMixture(components=2, features=1), VariationalBayes(), x=x)
    >>> round(posterior.elbo[-1].item(), 3)
    -14.135
    """

    steps: int = 1000
    tolerance: float = 1e-8
    restarts: int = 10
    seed: int = 0
    chunk: int = 131_072

    def __post_init__(self) -> None:
        for name in ("steps", "restarts", "chunk"):
            whole(name, getattr(self, name))
        whole("seed", self.seed, least=0)
        positive("tolerance", self.tolerance)

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Any = None) -> Fitted:
        """The updated model. ``start`` is the prior; a guide of another method is no conjugate prior."""
        if guide is not None:
            raise DataError(
                "this posterior was found by another method; fit its model afresh with VariationalBayes()"
            )
        labels = HiddenLabels(self, start, data, self.chunk)
        with torch.no_grad():
            tried = [
                self._up(start, labels, list(labels.nearest()), min(SHORT, self.steps), [])
                for _ in range(self.restarts)
            ]
            model, weights, history = max(tried, key=lambda found: found[2][-1])
            ends = sorted(found[2][-1] for found in tried)
            if len(history) < self.steps:
                model, weights, history = self._up(start, labels, weights, self.steps - len(history), history)
        gain = (history[-1] - history[-2]) / data.n if len(history) > 1 else math.inf
        state = "converged" if gain < self.tolerance else "not converged: stopped"
        note = f"{state} after {len(history)} steps: the last gained {max(gain, 0):.1g} nats a row"
        if self.restarts > 1:
            note += f"; {self.restarts} starts came to {ends[0]:,.3f} … {ends[-1]:,.3f}"
        return Fitted(model, None, torch.tensor(history, dtype=torch.float64), None, note)

    def _up(
        self, start: Any, labels: HiddenLabels, weights: Iterable[Tensor], steps: int, before: list[float]
    ) -> tuple[Any, list[Tensor], list[float]]:
        """At most ``steps`` updates of the parameters and of the labels: the model, the weights, the ELBO."""
        history, weights = list(before), list(weights)
        zero = start.log_normalizer()
        for _ in range(steps):
            after = start
            for rows, w in zip(labels.rows, weights, strict=True):
                after = after.updated(**rows, **{labels.name: w})
            after = together(after, start)
            values, constants = after.expected()
            elbo, renewed = 0.0, []
            for part, w in zip(labels.parts, weights, strict=True):
                prior, scores = labels.scores(start, values, part, constants[1:])
                prior = prior + constants[0][:, None]
                expected = torch.where(w.mT > 0, scores + prior, 0.0)
                elbo -= float((w.mT * expected).sum())  # with log Z, less the divergence of q(parameters)
                evidence, soft = labels.weigh(prior, scores)
                elbo += float(evidence.sum())
                renewed.append(soft.mT)
            elbo = float(after.log_normalizer() - zero) + ranks.total(elbo)
            if not math.isfinite(elbo):
                raise NonFinite(
                    f"VariationalBayes met an ELBO of {elbo}: rescale the data",
                    step=len(history),
                    site=labels.name,
                )
            history.append(elbo)
            weights = renewed
            if len(history) > 1 and history[-1] - history[-2] < self.tolerance * labels.data.n:
                break
        return after, weights, history
