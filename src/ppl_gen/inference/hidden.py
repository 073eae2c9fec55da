"""Labels of rows of which some, or all, are hidden: their probabilities under a conjugate model."""

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
        hidden = [
            name
            for name, site in data.sites.items()
            if site.local and (name not in data.observed or (site.levels and name in data.seen))
        ]
        if len(hidden) != 1 or not data.sites[hidden[0]].levels:
            what = (
                f"{', '.join(hidden)} are" if len(hidden) > 1 else f"{hidden[0]} is" if hidden else "none is"
            )
            raise Unanswerable(
                f"{called} needs exactly one hidden variable of the rows, with finitely many values; "
                f"{type(p).__name__} is {p.joint}, and {what} hidden here"
                f"{'' if hidden else '. Use Exact() or MaximumLikelihood()'}."
            )
        self.name, self.data = hidden[0], data
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
            wrong = (part.observed[self.name] != labels) & part.seen[self.name]
            total = total.masked_fill(wrong, -torch.inf)
        return prior, total

    def weigh(self, prior: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """log p(row) of each row (n,), and p(label | row) (levels, n), in the place of the ``scores``."""
        evidence = []
        for part in scores.split(8192, 1):  # small enough for the processor's cache
            largest = part.add_(prior).amax(0)
            total = part.sub_(largest).exp_().sum(0)
            part.div_(total)
            evidence.append(total.log_().add_(largest))
        return torch.cat(evidence), scores

    def nearest(self) -> Iterator[Tensor]:
        """A start: each chunk's weights (n, levels), by the nearest of rows far apart; known labels stay."""
        data, levels = self.data, len(self.values)
        rows = [v for name, v in data.gaps.items() if name != self.name and v.is_floating_point()]
        x = filled(torch.cat([v.reshape(data.n, -1) for v in rows], 1))
        centre, spread = centre_and_spread(x)
        some = x if data.n <= SEEDING else x[torch.randint(data.n, (SEEDING,))]
        seeds = kmeans_plus_plus((some - centre) / spread, levels, trials=1)
        known = data.observed.get(self.name)
        if known is not None:
            for level in known[data.seen[self.name]].unique():
                own = data.seen[self.name] & (known == level)
                seeds[self.values == level] = ((x[own] - centre) / spread).mean(0)
        first = ranks.own(data.n).start
        for part in self.parts:
            u = (x[first : first + part.n] - centre) / spread
            place = torch.cdist(u, seeds).argmin(1)
            if known is not None:
                given = (part.observed[self.name][:, None] == self.values).int().argmax(1)
                place = torch.where(part.seen[self.name], given, place)
            yield torch.nn.functional.one_hot(place, levels).to(x.dtype)
            first += part.n


def _of_rows(constant: Tensor, seen: Tensor | None) -> Tensor:
    """A constant of each class, or of each of its cells, added up over the cells that are there."""
    if constant.dim() == 1:
        return constant[:, None]
    return constant.sum(1, keepdim=True) if seen is None else constant @ seen.mT.to(constant.dtype)
