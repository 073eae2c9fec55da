"""Small mixtures by enumeration of all labellings, and what label switching cannot change."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ppl_gen import EM, VariationalBayes, ask, assignments, fit, relabelled, to_arviz, together
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.nuts import Draws
from ppl_gen.models import BernoulliMixture, GaussianMixture, PoissonMixture

X = [[1.0], [0.0], [1.0], [1.0], [0.0]]


def quadrature(x):
    """Evidence and co-clustering of a two-component Bernoulli mixture, from its program's own densities.

    The likelihood is a polynomial in pi and theta, which Gauss and Legendre integrate without error.
    """
    nodes, weights = (torch.tensor(v) for v in np.polynomial.legendre.leggauss(10))
    nodes, weights = (nodes + 1) / 2, weights / 2
    model, x = BernoulliMixture(2, 1), torch.tensor(x, dtype=torch.float64)
    evidence, same = 0.0, torch.zeros(len(x), len(x), dtype=torch.float64)
    for p, wp in zip(nodes, weights, strict=True):
        for a, wa in zip(nodes, weights, strict=True):
            theta = torch.stack(torch.meshgrid(a[None], nodes, indexing="ij"), -1).reshape(-1, 2)
            pi = torch.stack([p, 1 - p])
            for t, wb in zip(theta, weights, strict=True):
                given = {"pi": pi, "theta": t[:, None]}
                cells = torch.where(x > 0, t, 1 - t) * pi  # (n, 2)
                weight = wp * wa * wb * cells.sum(1).prod()
                soft = cells / cells.sum(1, keepdim=True)
                evidence = evidence + weight
                same = same + weight * soft @ soft.T
    check = ask(model, "p(x | pi, theta)", **given).log_prob(x=x)
    torch.testing.assert_close(check, cells.sum(1).log(), rtol=1e-10, atol=1e-12)
    return evidence, (same / evidence).fill_diagonal_(1.0)


def test_enumeration_equals_an_exact_integral():
    evidence, same = quadrature(X)
    found = assignments(BernoulliMixture(2, 1), x=X)
    assert found.log_evidence == pytest.approx(evidence.log().item(), abs=1e-8)
    torch.testing.assert_close(found.together(), same, rtol=0, atol=1e-8)
    assert found.log_probs.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("cls", [GaussianMixture, PoissonMixture])
def test_enumeration_of_two_rows_is_the_chain_rule(cls):
    """p(x1, x2) = p(x1) p(x2 | x1), each by the closed form of one row."""
    model, x = cls(2, 1), torch.tensor([[1.0], [4.0]], dtype=torch.float64)
    first = ask(model, "p(x)").log_prob(x=x[:1])[0]
    after = model.updated(x[:1], torch.tensor([0]))  # its label's name does not matter
    second = ask(after, "p(x)").log_prob(x=x[1:])[0]
    assert assignments(model, x=x).log_evidence == pytest.approx((first + second).item(), abs=1e-8)


def test_known_labels_are_not_enumerated():
    found = assignments(BernoulliMixture(2, 1), x=X, z=[0, 1, float("nan"), 0, 1])
    assert len(found.labels) == 2
    assert found.together()[0, 1] == 0
    with pytest.raises(DataError, match="largest: 32 labellings of 5 rows exceed 10"):
        assignments(BernoulliMixture(2, 1), 10, x=X)


def switching(draws=60):
    """A posterior whose draws name the components at random."""
    x = torch.cat([torch.randn(20, 1), torch.randn(30, 1) + 9], 0).double()
    posterior = fit(GaussianMixture(2, 1), VariationalBayes(), x=x)
    values = posterior.draw(draws, seed=0)
    flips = torch.rand(draws, generator=torch.Generator().manual_seed(0)) < 0.5
    mixed = {name: v.clone() for name, v in values.items()}
    for name, v in mixed.items():
        v[flips] = v[flips].flip(1)
        mixed[name] = v.unflatten(0, (2, draws // 2))
    return replace(posterior, model=posterior.prior, guide=Draws(mixed), _drawn={}), x


def test_relabelling_undoes_label_switching():
    posterior, x = switching()
    before, after = posterior.guide.values["mu"], relabelled(posterior).guide.values["mu"]
    assert before[..., 0, 0].std() > 3  # the same component is here and there
    assert after[..., 0, 0].std() < 1
    assert "renamed alike" in relabelled(posterior).note
    torch.testing.assert_close(together(posterior, x=x), together(relabelled(posterior), x=x))
    tree = to_arviz(relabelled(posterior), draws=10)
    assert "renamed alike" in tree.attrs["note"]
    assert float(tree["posterior"]["mu"].std(("chain", "draw")).max()) < 1


def test_more_components_than_permutations():
    from ppl_gen.inference.relabelling import best_order

    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    agreement = torch.eye(9)[order] + 0.01 * torch.rand(9, 9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(best_order(agreement), order)


def test_together_needs_a_mixture_and_relabelling_needs_draws():
    x = [[0.0], [0.1], [9.0], [9.3]]
    posterior = fit(GaussianMixture(2, 1), EM(), x=x)
    same = together(posterior)
    assert same[0, 1] > 0.99
    assert same[0, 2] < 0.01
    assert math.isclose(same[0, 0], 1.0)
    with pytest.raises(Unanswerable, match="expected draws of NUTS"):
        relabelled(posterior)
