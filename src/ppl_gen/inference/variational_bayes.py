"""Variational Bayes by coordinate ascent: the conjugate update of labels known only in probability."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.checks import positive, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import DataError, Interrupted, NonFinite, Unanswerable
from ppl_gen.inference.exact import knows_expectations, together
from ppl_gen.inference.hidden import HiddenLabels
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.signals import Signals
from ppl_gen.inference.stick_order import largest_first, starts
from ppl_gen.inputs import Data

SHORT = 20  # steps of every start before the best goes on


@dataclass(frozen=True)
class VariationalBayes:
    """The closest posterior whose parameters and hidden labels are independent (Bishop 2006, section 10.2).

    Labels are weighed by the expected log densities of their rows, and the model is updated by the rows with
    these weights: the update of `Exact` with soft labels. Missing cells are left out exactly; under a full or
    tied covariance each row's have a Normal of their own, given the label and its other cells. Each step
    raises the ELBO. The posterior is the same model with other hyperparameters, so predictions integrate the
    parameters out in closed form, and more rows can be added later; its spread is too narrow, and it knows
    one naming of the components alone.

    Args:
        steps: at most, of the start that is kept.
        tolerance: stop when a step gains less than this, in nats a row.
        restarts: starts by k-means++; each climbs a few steps, and the best climbs on. Components of a
            Dirichlet process start from few to all, and go on largest first where that raises the ELBO.
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
        if not knows_expectations(start):
            raise Unanswerable(
                f"VariationalBayes needs expectations under the posterior, which {type(start).__name__} does "
                f"not declare: use EM() or SVI()"
            )
        signals = Signals("VariationalBayes")
        with torch.no_grad(), signals:
            firsts = starts(labels, 1 if labels.known else self.restarts)
            tried = [
                self._up(start, labels, _Ascent(start, weights, {}, []), min(SHORT, self.steps), signals)
                for weights in signals.until_pressed(firsts)
            ]
            best = max(tried, key=lambda ascent: ascent.history[-1])
            ends = sorted(ascent.history[-1] for ascent in tried)
            if not signals.pressed:
                best = self._up(start, labels, best, self.steps - len(best.history), signals)
            model, _, _, history = best
        gain = (history[-1] - history[-2]) / data.n if len(history) > 1 else math.inf
        state = "converged" if gain < self.tolerance else "not converged: stopped"
        note = f"{state} after {len(history)} steps: the last gained {max(gain, 0):.1g} nats a row"
        if signals.pressed:
            note = f"stopped by hand after {len(history)} of {self.steps} steps"
            warnings.warn(f"VariationalBayes {note}; what it had is returned", Interrupted, stacklevel=4)
        if len(ends) > 1:
            note += f"; {len(ends)} starts came to {ends[0]:,.3f} … {ends[-1]:,.3f}"
        return Fitted(model, None, torch.tensor(history, dtype=torch.float64), None, note)

    def _up(
        self, start: Any, labels: HiddenLabels, here: "_Ascent", steps: int, signals: Signals
    ) -> "_Ascent":
        """At most ``steps`` updates of the parameters, and of the labels and missing cells."""
        model, weights, values, history = here
        history, zero = list(history), float(start.log_normalizer())
        for _ in signals.until_pressed(range(steps)):
            model, elbo = start, 0.0
            for rows, w in zip(labels.rows, weights, strict=True):
                model, entropy = model.completed(values, **rows, **{labels.name: w})
                elbo += float(entropy + torch.special.entr(w).sum())
            model, weights = largest_first(start, labels, together(model, start), weights)
            elbo = float(model.log_normalizer()) - zero + ranks.total(elbo)
            if not math.isfinite(elbo):
                raise NonFinite(
                    f"{', '.join(labels.data.rows)}: expected numbers whose squares floating point holds; "
                    f"VariationalBayes met an ELBO of {elbo}: rescale the data",
                    step=len(history),
                    site=labels.name,
                )
            history.append(elbo)
            if len(history) > 1 and history[-1] - history[-2] < self.tolerance * labels.data.n:
                break
            values, constants = model.expected()
            weights = []
            for part in labels.parts:
                prior, scores = labels.scores(start, values, part, constants[1:])
                weights.append(labels.weigh(prior + constants[0][:, None], scores)[1].mT)
        return _Ascent(model, weights, values, history)


class _Ascent(NamedTuple):
    """Where the ascent stands: the model, and what the next update of its parameters takes.

    These are each chunk's weights of the labels, and the parameters at which missing cells are expected.
    """

    model: Any
    weights: Sequence[Tensor]
    values: Mapping[str, Tensor]
    history: list[float]
