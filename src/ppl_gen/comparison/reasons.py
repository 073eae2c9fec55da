"""Why the two sides differ: what each column says of the class, and what columns say twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from ppl_gen.comparison.measures import Estimate, HeldOut, mean_of
from ppl_gen.comparison.pair import LR, NB, Design, Encoded, NaiveBayes
from ppl_gen.data import Dataset
from ppl_gen.explanation import Explanation, explain
from ppl_gen.tables import Encoder


def evidence(side: NaiveBayes, rows: Dataset) -> list[tuple[str, Estimate]]:
    """What each column tells naive Bayes of the true class, in nats a row, from the most telling down.

    The mean over rows of log p(x_j | y) - log p(x_j): on rows that were not learned from, an estimate of
    the mutual information of column and class (less what a wrong p(x_j | y) costs).
    """
    given = side.cells(rows.x)
    own = given[torch.arange(len(rows)), :, rows.y]
    gains = own - torch.logsumexp(given + side.log_prior(), -1)
    found = [(name, mean_of(gains[:, j])) for j, name in enumerate(rows.features)]
    return sorted(found, key=lambda pair: -pair[1].value)


def correlations(encoder: Encoder, data: Dataset) -> list[tuple[str, str, float, int]]:
    """Pairs of columns, how strongly they go together within a class, and rows with both, strongest first.

    The strength is the first canonical correlation of the two columns (indicators of levels stand for a
    category) about their means in each class: |r| of two numbers, and 0 where naive Bayes' assumption holds
    exactly. Reference: Hotelling 1936, Relations between two sets of variates.
    """
    blocks = _blocks(encoder, data)
    found = []
    for i, j in combinations(range(len(blocks)), 2):
        both = ~(data.x[:, i].isnan() | data.x[:, j].isnan())
        y = data.y[both]
        a, b = (_basis(_centred(blocks[k][both], y)) for k in (i, j))
        if a.numel() and b.numel():
            strength = float(torch.linalg.matrix_norm(a.mT @ b, 2).clamp(max=1))
            found.append((data.features[i], data.features[j], strength, len(y)))
    return sorted(found, key=lambda pair: -pair[2])


def _blocks(encoder: Encoder, data: Dataset) -> list[Tensor]:
    """Each column as numbers: itself, or the indicators of its levels."""
    design = Design.of(encoder, data.x)
    whole = design(data.x)
    numbers = iter(range(len(design.levels)))
    at, blocks = sum(not n for n in design.levels), []
    for n in design.levels:
        if n:
            blocks.append(whole[:, at : at + n])
            at += n
        else:
            column = next(numbers)
            blocks.append(whole[:, column : column + 1])
    return blocks


def _centred(block: Tensor, y: Tensor) -> Tensor:
    """The block less its mean in each row's class."""
    classes = int(y.max()) + 1 if len(y) else 0
    total = torch.zeros(classes, block.shape[1], dtype=block.dtype).index_add_(0, y, block)
    count = torch.bincount(y, minlength=classes).clamp(min=1)[:, None]
    return block - (total / count)[y]


def _basis(block: Tensor) -> Tensor:
    """Orthonormal columns that span the block's."""
    values, vectors = torch.linalg.eigh(block.mT @ block)  # few columns, many rows
    kept = values > 1e-9 * values.amax().clamp(min=1e-300)
    return block @ (vectors[:, kept] / values[kept].sqrt())


@dataclass(frozen=True)
class Disagreement:
    """Rows for which the two sides decide differently.

    Attributes:
        rows: how many were compared. differ: for how many the decisions differ.
        first, second: of these, how many naive Bayes and logistic regression have right.
        strongest: places in `HeldOut` where both are surest of different classes, strongest first.
    """

    rows: int
    differ: int
    first: int
    second: int
    strongest: Sequence[int]


def disagreement(held: HeldOut, most: int = 5) -> Disagreement:
    """Where the two sides decide differently, and who is right there."""
    said = {name: held.log_probs[name].argmax(1) for name in (NB, LR)}
    differ = said[NB] != said[LR]
    first, second = (int((differ & (said[name] == held.y)).sum()) for name in (NB, LR))
    surer = torch.minimum(held.confidence(NB), held.confidence(LR)).masked_fill(~differ, -1)
    strongest = surer.argsort(descending=True, stable=True)[: min(most, int(differ.sum()))].tolist()
    return Disagreement(len(held.y), int(differ.sum()), first, second, strongest)


@dataclass(frozen=True, eq=False)
class Example:
    """Why naive Bayes decides for its class rather than that of logistic regression.

    ``place`` is the row's in `HeldOut`.
    """

    place: int
    why: Explanation


def example(side: NaiveBayes, held: HeldOut, data: Dataset, places: Sequence[int]) -> Example | None:
    """Of the first of ``places`` where ``side``, which has not seen them, decides as the held-out fit did."""
    for place in places:
        x = data.x[held.rows[place]][None]
        ours, theirs = (int(held.log_probs[name][place].argmax()) for name in (NB, LR))
        if int(side.log_probs(x).argmax()) == ours != theirs:
            row = side.units(x)
            return Example(place, explain(
                side.posterior, row, features=data.features, classes=data.classes, against=theirs
            ))  # fmt: skip
    return None


@dataclass(frozen=True)
class GapDecision:
    """A decision of logistic regression that rests on which cells are missing.

    Attributes:
        place: the row's in `HeldOut`; columns: that lack its cell.
        otherwise: the class it would decide for if its indicators said that nothing is missing.
    """

    place: int
    columns: tuple[str, ...]
    otherwise: int


def rests_on_gaps(
    learner: Callable[[Dataset], Encoded], held: HeldOut, data: Dataset, places: Sequence[int]
) -> list[GapDecision]:
    """Of ``places``, those where logistic regression of all other rows decides by what is missing."""
    found = []
    for place in places:
        row = data.x[held.rows[place]]
        if not row.isnan().any():
            continue
        side = learner(data[torch.arange(len(data)) != held.rows[place]])
        now, otherwise = (int(said(row[None]).argmax()) for said in (side.log_probs, side.ignoring_gaps))
        if otherwise != now == int(held.log_probs[LR][place].argmax()):
            gone = zip(data.features, row.isnan().tolist(), strict=True)
            found.append(GapDecision(place, tuple(name for name, missing in gone if missing), otherwise))
    return found
