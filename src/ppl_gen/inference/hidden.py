"""Labels of rows of which some, or all, are hidden: their probabilities under a conjugate model."""

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.core import Conjugate, ProbabilisticModel, score, variables
from ppl_gen.distributions import centre_and_spread, filled, kmeans_plus_plus, score_rows
from ppl_gen.errors import Unanswerable
from ppl_gen.inputs import Data

_LEAST = -80.0  # a label whose log probability lies below moves no digit of any sum: it has none
SEEDING = 10_000  # rows among which k-means++ looks for its seeds


class HiddenLabels:
    """The one discrete variable of the rows that is hidden, in whole or in part; and own rows in chunks.

    Raises:
        Unanswerable: the model is not conjugate, or more than one variable of a row is hidden, or none.
    """

    def __init__(self, method: Any, p: ProbabilisticModel, data: Data, chunk: int):
        called = getattr(method, "__name__", type(method).__name__)
        if not isinstance(p, Conjugate) or not hasattr(p, "updated"):
            raise Unanswerable(
                f"{called} needs a conjugate model whose labels are hidden; {type(p).__name__} is {p.joint}, "
                f"and declares no closed form of its posterior (no updated()). Use SVI()."
            )
        local = [name for name, site in data.sites.items() if site.local]
        labels = [name for name in local if data.sites[name].levels]
        hidden = [
            name for name in local if name not in data.observed or (name in labels and name in data.seen)
        ]
        self.known = not hidden and len(labels) == 1 and bool(data.seen) and expects(p)
        if self.known:  # the cells alone are hidden
            hidden = labels
        if len(hidden) != 1 or not data.sites[hidden[0]].levels:
            what = (
                f"{', '.join(hidden)} are" if len(hidden) > 1 else f"{hidden[0]} is" if hidden else "none is"
            )
            raise Unanswerable(
                f"{called} needs exactly one hidden variable of the rows, with finitely many values; "
                f"{type(p).__name__} is {p.joint}, and {what} hidden here"
                f"{'' if hidden else '. Use Exact() or MaximumLikelihood()'}."
            )
        asked = inspect.signature(p.updated).parameters
        if hidden[0] not in asked:  # as the bin of a target that is there
            raise Unanswerable(
                f"{called} weighs the values of {hidden[0]} that a row may have, but the update of "
                f"{type(p).__name__} reads {hidden[0]} off {' and '.join(asked)}: {p.joint}. Nothing is "
                f"hidden that it could weigh: use Exact() or MaximumLikelihood()."
            )
        self.name, self.data, self.exchangeable = hidden[0], data, p.exchangeable
        values = data.sites[self.name].values
        assert values is not None
        self.values = values
        own = ranks.own(data.n)
        self.parts = [
            data.take(slice(first, min(first + chunk, own.stop)))
            for first in range(own.start, own.stop, chunk)
        ]
        others = [{k: v for k, v in part.gaps.items() if k != self.name} for part in self.parts]
        self.rows = others  # of each chunk, with NaN where a cell is missing

    def scores(
        self, p: ProbabilisticModel, parameters: Mapping[str, Tensor], part: Data, constants: Any = ()
    ) -> tuple[Tensor, Tensor]:
        """log p(label | parameters) (levels, 1), and log p(row | label, parameters) (levels, n) of a chunk.

        The model's own densities say so: its program runs once, with every label in its turn.
        """
        labels = self.values[:, None]
        program = pyro.condition(p.model, data={**parameters, self.name: labels})
        with pyro.validation_enabled(False):
            found = variables(poutine.trace(program).get_trace(n=1))
        prior = found[self.name]["fn"].log_prob(labels).reshape(-1, 1)
        total: Any = 0.0
        for name, value in part.observed.items():
            if name == self.name:
                continue
            cells = found[name]["fn"], value, part.seen.get(name)
            rows = score_rows(*cells)
            total = total + (score(*cells) if rows is None else rows)
            for constant in constants:
                total = total + _of_rows(constant, part.seen.get(name))
        if self.name in part.observed:
            wrong = part.observed[self.name] != labels
            wrong = wrong if self.known else wrong & part.seen[self.name]
            total = total.masked_fill(wrong, -torch.inf)
        return prior, total

    def weigh(self, prior: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """log p(row) of each row (n,), and p(label | row) (levels, n), in the place of the ``scores``."""
        evidence = []
        for part in scores.split(8192, 1):  # small enough for the processor's cache
            largest = part.add_(prior).amax(0)
            part.sub_(largest).clamp_(min=_LEAST).exp_()  # below it exp is slow, and products are slower
            torch.threshold_(part, math.exp(_LEAST + 1), 0.0)
            total = part.sum(0)
            part.div_(total)
            evidence.append(total.log_().add_(largest))
        return torch.cat(evidence), scores

    def nearest(self, occupied: int | None = None) -> Iterator[Tensor]:
        """A start: each chunk's weights (n, levels), by the nearest of rows far apart; known labels stay.

        Where none is known, only so many labels may be ``occupied``.
        """
        data, levels = self.data, len(self.values)
        rows = [v for name, v in data.gaps.items() if name != self.name and v.is_floating_point()]
        x = filled(torch.cat([v.reshape(data.n, -1) for v in rows], 1))
        centre, spread = centre_and_spread(x)
        some = x if data.n <= SEEDING else x[torch.randint(data.n, (SEEDING,))]
        known, all_ = data.observed.get(self.name), torch.ones(data.n, dtype=torch.bool)
        seeds = kmeans_plus_plus(
            (some - centre) / spread, levels if known is not None else occupied or levels, trials=1
        )
        if not self.exchangeable:  # the largest first on the stick
            nearest = torch.cdist((some - centre) / spread, seeds).argmin(1)
            seeds = seeds[torch.bincount(nearest, minlength=len(seeds)).argsort(descending=True)]
        if known is not None:
            for level in known[data.seen.get(self.name, all_)].unique():
                own = data.seen.get(self.name, all_) & (known == level)
                seeds[self.values == level] = ((x[own] - centre) / spread).mean(0)
        first = ranks.own(data.n).start
        for part in self.parts:
            u = (x[first : first + part.n] - centre) / spread
            place = torch.cdist(u, seeds).argmin(1)
            if known is not None:
                given = (part.observed[self.name][:, None] == self.values).int().argmax(1)
                place = torch.where(part.seen.get(self.name, all_[: part.n]), given, place)
            yield torch.nn.functional.one_hot(place, levels).to(x.dtype)
            first += part.n


def expects(p: Any) -> bool:
    """Whether missing cells of the model's rows are expected rather than left out."""
    return type(p).completed is not Conjugate.completed


def _of_rows(constant: Tensor, seen: Tensor | None) -> Tensor:
    """A constant of each class, or of each of its cells, added up over the cells that are there."""
    if constant.dim() == 1:
        return constant[:, None]
    return constant.sum(1, keepdim=True) if seen is None else constant @ seen.mT.to(constant.dtype)
