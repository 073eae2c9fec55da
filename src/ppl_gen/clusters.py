"""What does not depend on the names of components: rows that belong together, and draws renamed alike."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.hidden import HiddenLabels
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.relabelling import Components, renamed_draws
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

PAIRS = 200  # of rows, whose labels are compared


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
    admitted = admit(posterior.model, data, missing=True, like=posterior) if data else posterior.fitted_data()
    components = Components("together", posterior.joint, admitted)
    drawn = posterior.draw(1 if posterior.point else whole("draws", draws), seed)
    total = torch.zeros(admitted.n, admitted.n, dtype=torch.float64)
    with isolated(seed):
        for i in range(len(next(iter(drawn.values())))):
            weights = components.look({name: v[i] for name, v in drawn.items()}).weights.double()
            total += weights.mT @ weights
    total /= len(next(iter(drawn.values())))
    return total.fill_diagonal_(1.0)


def label_free(
    components: Components, draws: Iterable[Mapping[str, Tensor]]
) -> tuple[dict[str, Tensor], Tensor]:
    """What renaming components cannot change, of each draw of the parameters, and pairs of rows (pairs, 2).

    Entropies in nats, of p(label | parameters) and, averaged over the rows, of p(label | row, parameters),
    both (draws,); and the probability that two rows have the same label, (draws, pairs): of all pairs, or of
    PAIRS at random.
    """
    n = components.data.n
    pairs = torch.combinations(torch.arange(n)) if n * (n - 1) // 2 <= PAIRS else None
    if pairs is None:
        generator = torch.Generator().manual_seed(0)
        first, step = (torch.randint(high, (PAIRS,), generator=generator) for high in (n, n - 1))
        pairs = torch.stack([first, (first + 1 + step) % n], 1)
    found: dict[str, list[Tensor]] = {"weights_entropy": [], "labels_entropy": [], "together": []}
    with isolated(0):
        for values in draws:
            _, _, prior, weights = components.look(values)
            found["weights_entropy"].append(torch.special.entr(prior.mean(1)).sum())
            found["labels_entropy"].append(torch.special.entr(weights).sum(0).mean())
            found["together"].append((weights[:, pairs[:, 0]] * weights[:, pairs[:, 1]]).sum(0))
    return {name: torch.stack(v) for name, v in found.items()}, pairs


def relabelled(posterior: Posterior) -> Posterior:
    """The same posterior of a mixture, its draws' components renamed alike: label switching undone.

    The components of each draw take the names under which they agree best, row by row, with those of one
    draw, the most probable labels of which are the pivot (Papastamoulis and Iliopoulos 2010); the pivot's
    components stand in the order of their weights. The note says so, and how many draws had switched.
    Densities and predictions stay as they were: where renaming would change the joint density, since the
    prior or rows whose label is known tell components apart, nothing is renamed. `NUTS` does all this itself.

    Raises:
        Unanswerable: the posterior holds no draws, such as those of `NUTS`, or its model no hidden labels, or
            their prior is not alike for all (sticks).
    """
    if not getattr(posterior.model, "exchangeable", True):
        raise Unanswerable(
            f"relabelled: {type(posterior.model).__name__} is {posterior.joint}: earlier components are "
            f"larger a priori, so draws whose components change names are no draws of this posterior. "
            f"together(posterior), p(x) and p(x, …) do not depend on names"
        )
    if not isinstance(posterior.guide, Draws) or posterior.data is None:
        raise Unanswerable(
            "relabelled: expected draws of NUTS from a mixture, and its data; other methods name components "
            "once"
        )
    Components("relabelled", posterior.model, posterior.fitted_data())
    if posterior.yesterday is not None:  # whose components have names
        return posterior
    with isolated(0):
        values, note = renamed_draws(posterior.model, posterior.fitted_data(), posterior.guide.values)
    if all(values[name] is drawn for name, drawn in posterior.guide.values.items()):
        return posterior
    return replace(
        posterior, guide=Draws(values, posterior.guide.stats), note=f"{posterior.note}; {note}", _drawn={}
    )
