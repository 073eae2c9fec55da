"""Sorting components by size raises the bound of a stick, and leaves everything else alone."""

import torch

from ppl_gen import VariationalBayes, assignments, fit
from ppl_gen.inference.hidden import HiddenLabels
from ppl_gen.inference.stick_order import largest_first, starts
from ppl_gen.inputs import admit
from ppl_gen.models import BernoulliMixture

X = torch.tensor([[1.0]] * 2 + [[0.0]] * 7, dtype=torch.float64)


def counted(weights="dirichlet process", **data):
    model = BernoulliMixture(3, 1, weights=weights)
    labels = HiddenLabels(VariationalBayes(), model, admit(model, {"x": X, **data}, missing=True), 4)
    soft = torch.nn.functional.one_hot(X[:, 0].long().neg() + 2, 3).double()  # two rows first, then seven
    parts, after = list(soft.split(4)), model
    for rows, w in zip(labels.rows, parts, strict=True):
        after = after.updated(**rows, z=w)
    return model, labels, after, parts


def test_the_largest_come_first_where_that_raises_the_bound():
    model, labels, after, weights = counted()
    found, ordered = largest_first(model, labels, after, weights)
    assert found.log_normalizer() > after.log_normalizer()
    assert torch.cat(ordered).sum(0).tolist() == [7, 2, 0]
    again, same = largest_first(model, labels, found, ordered)
    assert again is found
    assert same is ordered


def test_names_stay_where_all_are_alike_or_some_are_known():
    for case in (counted("dirichlet"), counted(z=[1.0] + [float("nan")] * 8)):
        found, weights = largest_first(*case)
        assert found is case[2]
        assert weights is case[3]


def test_starts_hold_few_components_and_many():
    _, labels, _, _ = counted()
    occupied = [int((torch.cat(start).sum(0) > 0).sum()) for start in starts(labels, 6)]
    assert occupied[0] <= 2
    for start in starts(labels, 6):
        sizes = torch.cat(start).sum(0)
        assert sizes.sum() == len(X)


def test_the_bound_is_that_of_the_best_order():
    """Two rows of one kind and seven of another: largest first lies nearer the evidence, and below it."""
    model = BernoulliMixture(2, 1, ones=0.1, zeros=0.1, weights="dirichlet process", concentration=0.3)
    posterior = fit(model, VariationalBayes(restarts=2), x=X)
    sizes = posterior.model.concentration[0] - model.concentration[0]
    assert sizes[0] > sizes[1]
    assert posterior.elbo[-1] <= assignments(model, x=X).log_evidence
