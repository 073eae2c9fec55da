"""Components of a mixture have no names of their own: draws renamed alike, where no density can tell.

The likelihood of a mixture, and its prior if that treats all components alike, stay as they are when the
components change places: the posterior has as many copies of every mode as there are orders, and chains may
sit in different copies (label switching; Stephens 2000, Dealing with label switching in mixture models).
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, is_local
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.elbo import delta, log_prob, sum_cells, terms
from ppl_gen.inference.guides import point
from ppl_gen.inference.observed import enumerates, pin
from ppl_gen.inputs import Data
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization

Draw = Mapping[str, Tensor]
PERMUTED = 7  # components of which every order is tried; more are matched one after the other
TRIED = 64  # ways to find the components among the axes of the parameters


class Look(NamedTuple):
    """What one draw of the parameters says of the rows.

    Attributes:
        log_joint: log p(parameters, data), a scalar. log_rows: log p(row | parameters), (n,).
        prior: p(label | parameters) (levels, n or 1). weights: p(label | row, parameters) (levels, n).
    """

    log_joint: Tensor
    log_rows: Tensor
    prior: Tensor
    weights: Tensor


class Components:
    """The one finite variable of the rows that is hidden, in whole or in part, and what draws say of it.

    Args:
        asked: who asks, for errors. p: the joint. data: the rows.

    Raises:
        Unanswerable: more than one variable of a row is hidden, or none, or its values cannot be listed.
    """

    def __init__(self, asked: str, p: ProbabilisticModel, data: Data):
        hidden = [
            name
            for name, site in data.sites.items()
            if site.local and (name not in data.observed or (site.levels and name in data.seen))
        ]
        if len(hidden) != 1 or not data.sites[hidden[0]].levels:
            what = f"{', '.join(hidden)} {'are' if len(hidden) > 1 else 'is'}" if hidden else "none is"
            raise Unanswerable(
                f"{asked} needs exactly one hidden variable of the rows, with finitely many values; "
                f"{type(p).__name__} is {p.joint}, and {what} hidden here"
            )
        self.p, self.data, self.name = p, data, hidden[0]
        site = data.sites[self.name]
        self.levels, known = site.levels, data.observed.get(self.name)
        named = set() if known is None else set(known[data.seen[self.name]].tolist())
        assert site.values is not None
        self.free = [k for k, value in enumerate(site.values.tolist()) if value not in named]
        self.plates: int | None = None

    def look(self, values: Draw) -> Look:
        """What the parameters ``values`` say of the rows, by the joint's own program. Call it `isolated`."""
        data = self.data
        with torch.no_grad():
            t = terms(self.p.model, point(values), data.values, data.observed, self.plates, None, data.seen)
        self.plates = t.plates
        shared, rows, prior = torch.zeros(()), torch.zeros(()), torch.zeros(())
        for name, site in t.p.items():
            if not is_local(site):
                shared = shared + (0 if delta(site) else log_prob(site).sum())
                continue
            score = sum_cells(site, data.seen.get(name))
            rows = rows + score
            if enumerates(site):
                allowed, prior = pin(site), score.exp()
                rows = rows if allowed is None else torch.where(allowed, rows, -torch.inf)
        rows, prior = rows.reshape(self.levels, -1), prior.reshape(self.levels, -1)
        log_rows = rows.logsumexp(0)
        return Look(shared + log_rows.sum(), log_rows, prior, (rows - log_rows).exp())

    def places(self, values: Draw) -> dict[str, int] | None:
        """The parameters that components index, and at which axis; None if components do have names.

        Names they have where the prior tells them apart (as ordered means do), or rows whose label is known.
        What is found is checked: neither the joint density nor any row's weights change but in their order.
        """
        if len(self.free) < 2:
            return None
        before = self.look(values)
        for places in itertools.islice(self._guesses(values), TRIED):
            if all(self._unmoved(before, values, places, order) for order in self._generators()):
                return places
        return None

    def renamed(self, values: Draw, places: Mapping[str, int], order: Tensor) -> dict[str, Tensor]:
        """The same draw with its components in another order."""
        return {
            name: v.index_select(places[name], order) if name in places else v for name, v in values.items()
        }

    def _guesses(self, values: Draw) -> Iterator[dict[str, int]]:
        parents = Factorization(self.p.joint).get(self.name, frozenset())
        choices: list[list[int | None]] = []
        for name, value in values.items():
            batch = value.dim() - self.data.sites[name].event_dim
            axes = [i - value.dim() for i, size in enumerate(value.shape) if size == self.levels]
            plated = [i for i in axes if i + value.dim() < batch]
            if name in parents:
                plated, axes = [], axes[::-1]
            choices.append([*plated, *(i for i in axes if i not in plated), None])
        for chosen in itertools.product(*choices):
            places = {name: i for name, i in zip(values, chosen, strict=True) if i is not None}
            if places:
                yield places

    def _generators(self) -> Iterator[Tensor]:
        """Two orders of the free components that make up all others: a swap, and a turn."""
        for moved in ([self.free[1], self.free[0], *self.free[2:]], [*self.free[1:], self.free[0]]):
            order = torch.arange(self.levels)
            order[self.free] = torch.tensor(moved)
            yield order

    def _unmoved(self, before: Look, values: Draw, places: Mapping[str, int], order: Tensor) -> bool:
        renamed = self.renamed(values, places, order)
        if not all(bool(self.data.sites[name].support.check(v).all()) for name, v in renamed.items()):
            return False  # the prior wants an order, whether or not its density says so
        after, near = self.look(renamed), torch.finfo(before.weights.dtype).eps ** 0.5
        return torch.allclose(after.log_joint, before.log_joint, rtol=near) and torch.allclose(
            after.weights, before.weights[order], rtol=near, atol=near
        )


class Renamed(NamedTuple):
    """Draws renamed alike.

    Attributes:
        values: name -> (draws, *shape).
        pivot: the labels to which they were matched, (levels, n) of zeros and ones; None if components have
            names of their own, and nothing was renamed.
        switched: draws whose components stood in another order than in most.
    """

    values: dict[str, Tensor]
    pivot: Tensor | None
    switched: int


def rename(components: Components, values: Draw, pivot: Tensor | None = None) -> Renamed:
    """Give the components of every draw the names under which they agree best with the ``pivot``.

    They agree row by row, by the probabilities of the labels (Papastamoulis and Iliopoulos 2010, An
    artificial allocations based solution to the label switching problem). The pivot is by default the most
    probable labels of the last draw, its components in the order of their weights.
    """
    draws = [{name: v[i] for name, v in values.items()} for i in range(len(next(iter(values.values()))))]
    places = components.places(draws[-1])
    if places is None:
        return Renamed(dict(values), None, 0)
    if pivot is None:
        weights = components.look(draws[-1]).weights
        order = torch.arange(components.levels)
        free = torch.tensor(components.free)
        order[free] = free[weights.sum(1)[free].argsort(descending=True)]
        labels = weights[order].argmax(0)
        pivot = torch.nn.functional.one_hot(labels, components.levels).mT.to(weights.dtype)
    orders = []
    for i, draw in enumerate(draws):
        order = torch.arange(components.levels)
        free = torch.tensor(components.free)
        order[free] = free[best_order((pivot @ components.look(draw).weights.mT)[free][:, free])]
        orders.append(tuple(order.tolist()))
        draws[i] = components.renamed(draw, places, order)
    stacked = {name: torch.stack([draw[name] for draw in draws]) for name in values}
    return Renamed(stacked, pivot, len(orders) - Counter(orders).most_common(1)[0][1])


def renamed_draws(p: ProbabilisticModel, data: Data, values: Draw) -> tuple[dict[str, Tensor], str]:
    """Draws (chains, draws, *shape) renamed alike, or as they were, if components have names; and a note."""
    try:
        components = Components("relabelled", p, data)
    except Unanswerable:  # no mixture
        return dict(values), ""
    shape = next(iter(values.values())).shape[:2]
    found = rename(components, {name: v.flatten(0, 1) for name, v in values.items()})
    if found.pivot is None:
        return dict(
            values
        ), "components as drawn: the joint or known labels tell them apart, so none is renamed"
    note = "components renamed alike in all draws"
    if found.switched:
        note += f", since labels had switched in {found.switched:,} of {shape.numel():,}"
    return {name: v.unflatten(0, shape) for name, v in found.values.items()}, note


def namings(p: ProbabilisticModel, data: Data, draw: Draw) -> int:
    """How many ways to name the components no density tells apart; 1 if they have names, or there are none.

    The posterior has a copy of every mode under each. A guide that knows one of them misses the others: the
    average of its importance weights is up to the log of this number below the log evidence, and since no
    draw comes near the other copies neither standard error nor k-hat can tell.
    """
    try:
        components = Components("namings", p, data)
    except Unanswerable:
        return 1
    with isolated(0):
        return math.factorial(len(components.free)) if components.places(draw) else 1


def best_order(agreement: Tensor) -> Tensor:
    """The order of the columns of ``agreement`` (levels, levels) with the largest trace, or nearly."""
    levels = len(agreement)
    if levels <= PERMUTED:
        orders = torch.tensor(list(itertools.permutations(range(levels))))
        return orders[agreement[torch.arange(levels), orders].sum(1).argmax()]
    left, order = agreement.clone(), torch.zeros(levels, dtype=torch.long)
    for _ in range(levels):
        row, column = divmod(int(left.argmax()), levels)
        order[row] = column
        left[row], left[:, column] = -torch.inf, -torch.inf
    return order
