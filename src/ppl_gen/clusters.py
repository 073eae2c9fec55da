"""What does not depend on the names of components: rows that belong together, and draws renamed alike."""

import itertools
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.hidden import HiddenLabels
from ppl_gen.inference.nuts import Draws
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

PERMUTED = 7  # components of which every order is tried; more are matched one after the other


class Assignments(NamedTuple):
    """Every way to label the rows, (ways, n); the log probability of each given the rows; the evidence."""

    labels: Tensor
    log_probs: Tensor
    log_evidence: float

    def together(self) -> Tensor:
        """The probability that two rows have the same label, (n, n)."""
        same = (self.labels[:, :, None] == self.labels[:, None]).double()
        return torch.einsum("s,sij->ij", self.log_probs.exp(), same)


def assignments(model: ProbabilisticModel, /, largest: int = 1 << 14, **data: Any) -> Assignments:
    """Enumerate all labellings of the rows: the exact evidence and posterior of a small mixture.

    Every labelling has a conjugate evidence; their sum is the evidence of the rows (Bishop 2006, section
    10.2, calls it intractable, which it is for all but a few rows).

    Args:
        model: conjugate, with one hidden discrete variable a row.
        largest: number of labellings that may be tried.
        data: the rows by name; labels that are known, others NaN.

    Raises:
        DataError: there are more labellings.

    >>> from ppl_gen.models import BernoulliMixture
    >>> found = assignments(BernoulliMixture(components=2, features=1), x=[[1.0], [0.0]])
    >>> round(found.log_evidence, 6), [round(p, 6) for p in found.log_probs.exp().tolist()]
    (-1.637609, [0.285714, 0.214286, 0.214286, 0.285714])
    """
    admitted = admit(model, data, missing=True)
    labels = HiddenLabels(assignments, model, admitted, admitted.n)
    p: Any = model
    known, choices = admitted.observed.get(labels.name), []
    for row in range(admitted.n):
        fixed = known is not None and bool(admitted.seen[labels.name][row])
        choices.append([int(known[row])] if fixed and known is not None else labels.values.tolist())
    ways = 1
    for choice in choices:
        ways *= len(choice)
    if ways > largest:
        raise DataError(f"largest: {ways:,} labellings of {admitted.n} rows exceed {largest:,}")
    found = torch.tensor(list(itertools.product(*choices)))
    with torch.no_grad():
        zero = p.log_normalizer()
        scores = torch.stack(
            [p.updated(**labels.rows[0], **{labels.name: z}).log_normalizer() - zero for z in found]
        )
    evidence = scores.logsumexp(0)
    return Assignments(found, scores - evidence, float(evidence))


def together(posterior: Posterior, /, draws: int = 500, seed: int = 0, **data: Any) -> Tensor:
    """The probability that two rows belong to the same component, (n, n), averaged over the posterior.

    It does not depend on the names of the components, so label switching cannot harm it.

    Args:
        posterior: of a mixture, by any method.
        draws: of the parameters. seed: decides them.
        data: the rows by name; by default those of the fit.

    >>> from ppl_gen import EM, fit
    >>> from ppl_gen.models import GaussianMixture
    >>> posterior = fit(GaussianMixture(components=2, features=1), EM(), x=[[0.], [1.], [9.], [9.5]])
    >>> together(posterior)[0].round(decimals=3).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    admitted = admit(posterior.model, data, missing=True) if data else posterior.fitted_data()
    labels = HiddenLabels(together, posterior.model, admitted, admitted.n)
    drawn = posterior.draw(1 if posterior.point else whole("draws", draws), seed)
    total = torch.zeros(admitted.n, admitted.n, dtype=torch.float64)
    with torch.no_grad(), isolated(seed):
        for i in range(len(next(iter(drawn.values())))):
            weights = _weights(labels, posterior.model, {name: v[i] for name, v in drawn.items()})
            total += weights.mT @ weights
    total /= len(next(iter(drawn.values())))
    return total.fill_diagonal_(1.0)


def relabelled(posterior: Posterior) -> Posterior:
    """The same posterior of a mixture, its draws' components renamed alike: label switching undone.

    The components of each draw take the names under which they agree best, row by row, with those of one
    draw, the most probable labels of which are the pivot (Papastamoulis and Iliopoulos 2010); the pivot's
    components stand in the order of their weights. The note says so. Densities and predictions stay as
    they were.

    Raises:
        Unanswerable: the posterior holds no draws, such as those of `NUTS`, or its model no hidden labels, or
            their prior is not alike for all (sticks).
    """
    p: Any = posterior.model
    if not isinstance(posterior.guide, Draws) or not getattr(p, "hidden", ""):
        raise Unanswerable(
            "relabelled: expected draws of NUTS from a mixture; other methods name components once"
        )
    if not p.exchangeable:
        raise Unanswerable(
            f"relabelled: {type(p).__name__} is {p.joint}: earlier components are larger a priori, so draws "
            f"whose components change names are no draws of this posterior. together(posterior), p(x) and "
            f"p(x, …) do not depend on names"
        )
    labels = HiddenLabels(relabelled, p, posterior.fitted_data(), posterior.n)
    values = {name: v.flatten(0, 1).clone() for name, v in posterior.guide.values.items()}
    parents = Factorization(p.joint)[labels.name]
    places = {
        name: -1 if name in parents else -posterior.sites[name].event_dim - 1
        for name in values
        if name in parents or posterior.sites[name].plates
    }
    draws, levels = len(next(iter(values.values()))), len(labels.values)
    pivot: Tensor | None = None
    with torch.no_grad(), isolated(0):
        for i in range(draws - 1, -1, -1):
            weights = _weights(labels, p, {name: v[i] for name, v in values.items()})
            if pivot is None:
                order = weights.sum(1).argsort(descending=True)
                pivot = torch.nn.functional.one_hot(weights[order].argmax(0), levels).mT.to(weights.dtype)
            else:
                order = _best_order(pivot @ weights.mT)
            for name, place in places.items():
                values[name][i] = values[name][i].index_select(place, order)
    shape = posterior.guide.chains, posterior.guide.draws
    guide = Draws({name: v.unflatten(0, shape) for name, v in values.items()})
    note = f"{posterior.note}; components renamed alike in all draws"
    return replace(posterior, guide=guide, note=note, _drawn={})


def _weights(labels: HiddenLabels, p: ProbabilisticModel, values: dict[str, Tensor]) -> Tensor:
    """p(label | row) under one draw, (levels, n)."""
    return labels.weigh(*labels.scores(p, values, labels.parts[0]))[1]


def _best_order(agreement: Tensor) -> Tensor:
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
