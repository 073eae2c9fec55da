"""Components of a stick-breaking prior are not alike: the bound rises when the largest come first."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ppl_gen.inference.hidden import HiddenLabels, expects


def starts(labels: HiddenLabels, restarts: int) -> Iterator[list[Tensor]]:
    """So many starts by k-means++; on a stick from few components to all, evenly on a log scale.

    A cluster that a start has split stays split for long, and empty components cost next to nothing there.
    """
    for i in range(1, restarts + 1):
        few = None if labels.exchangeable else math.ceil(len(labels.values) ** (i / restarts))
        yield list(labels.nearest(few))


def largest_first(
    start: Any, labels: HiddenLabels, after: Any, weights: Sequence[Tensor]
) -> tuple[Any, Sequence[Tensor]]:
    """``after``, the update of ``start`` by the ``weights``, or that by the same sorted by size, if better.

    Renaming hidden labels leaves the rest of the ELBO as it is, so it rises by what log Z gains (Kurihara,
    Welling and Teh 2007, Collapsed variational Dirichlet process mixture models). Where some labels are
    known, where missing cells are expected under each name, or where the prior is alike for all, names stay.
    """
    expected = bool(labels.data.seen) and expects(start)
    if start.exchangeable or labels.name in labels.data.observed or expected:
        return after, weights
    order = sum(w.sum(0) for w in weights).argsort(descending=True, stable=True)  # type: ignore[union-attr]
    if torch.equal(order, torch.arange(len(order))):
        return after, weights
    ordered, other = [w[:, order] for w in weights], start
    for rows, w in zip(labels.rows, ordered, strict=True):
        other = other.updated(**rows, **{labels.name: w})
    return (other, ordered) if other.log_normalizer() > after.log_normalizer() else (after, weights)
