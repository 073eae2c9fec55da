"""Sticks: lengths by the formula, and the conjugate family by sums and integrals written out."""

import math

import pytest
import torch

from ppl_gen.distributions import StickBreaking, stick_lengths

ALPHA = 1.7
PRIOR = StickBreaking(torch.tensor([[1.0, ALPHA]], dtype=torch.float64).expand(4, 2))
COUNTS = torch.tensor([3.0, 0.0, 2.0, 0.0, 1.0], dtype=torch.float64)


def test_lengths_are_the_formula():
    v = torch.rand(3, 4, dtype=torch.float64)
    for row, found in zip(v.tolist(), stick_lengths(v), strict=True):
        left, expected = 1.0, []
        for share in [*row, 1.0]:
            expected.append(share * left)
            left *= 1 - share
        assert found.tolist() == pytest.approx(expected, rel=1e-14)
    assert stick_lengths(torch.ones(2)).tolist() == [1, 0, 0]


def log_marginal(counts, alpha=ALPHA):
    """log p(labels): a Beta function for each stick, with math.lgamma."""
    total = 0.0
    for k in range(len(counts) - 1):
        take, leave = 1 + float(counts[k]), alpha + float(sum(counts[k + 1 :]))
        total += math.lgamma(take) + math.lgamma(leave) - math.lgamma(take + leave)
        total -= math.lgamma(alpha) - math.lgamma(1 + alpha)
    return total


def test_evidence_is_the_generalised_dirichlets_marginal_of_counts():
    found = PRIOR.updated(COUNTS).log_normalizer() - PRIOR.log_normalizer()
    assert found.item() == pytest.approx(log_marginal(COUNTS), abs=1e-12)


def test_evidence_is_a_chain_of_predictions():
    state, total = PRIOR, 0.0
    for k, count in enumerate(COUNTS.long().tolist()):
        for _ in range(count):
            total += state.predictive().probs[k].log().item()
            state = state.updated(torch.nn.functional.one_hot(torch.tensor(k), 5).double())
    assert total == pytest.approx(log_marginal(COUNTS), abs=1e-12)


def test_a_long_stick_is_the_dirichlet_process():
    """Its mean weights fall geometrically; two rows share a component with probability 1 / (1 + alpha)."""
    prior = StickBreaking(torch.tensor([[1.0, ALPHA]], dtype=torch.float64).expand(99, 2))
    first, ratio = prior.predictive().probs, ALPHA / (1 + ALPHA)
    expected = ratio ** torch.arange(99, dtype=torch.float64) / (1 + ALPHA)
    torch.testing.assert_close(first[:-1], expected, rtol=1e-10, atol=0)
    rows = torch.eye(100, dtype=torch.float64)
    again = torch.stack([prior.updated(row).predictive().probs[k] for k, row in enumerate(rows)])
    assert (first * again).sum().item() == pytest.approx(1 / (1 + ALPHA), abs=1e-10)


def test_expected_logs_by_draws():
    after = PRIOR.updated(COUNTS)
    (v,), constant = after.expected()
    draws = torch.distributions.Beta(*after.concentration.unbind(-1)).sample((20_000,))
    logs = stick_lengths(draws).log()
    error = logs.std(0) / len(logs) ** 0.5
    assert ((logs.mean(0) - stick_lengths(v).log() - constant).abs() < 6 * error).all()  # 1e-6, five numbers


def test_merged_is_all_rows_and_flat_has_their_frequencies():
    one, other = torch.tensor([1.0, 0, 2, 0, 0]).double(), torch.tensor([2.0, 0, 0, 0, 1]).double()
    both = PRIOR.updated(one).merged(PRIOR.updated(other), PRIOR)
    torch.testing.assert_close(both.concentration, PRIOR.updated(COUNTS).concentration)
    point = PRIOR.flat().updated(COUNTS).point()
    torch.testing.assert_close(stick_lengths(point), COUNTS / COUNTS.sum())


def test_mode_is_a_peak_where_there_is_one():
    after = PRIOR.updated(COUNTS)
    density = torch.distributions.Beta(*after.concentration.unbind(-1))
    (v,) = after.mode()
    for step in (-1e-4, 1e-4):
        moved = (v + step).clamp(1e-9, 1 - 1e-9)
        assert (density.log_prob(moved) <= density.log_prob(v.clamp(1e-9, 1 - 1e-9)) + 1e-12).all()
    assert StickBreaking(torch.tensor([[1.0, 0.5]])).mode()[0].isnan().all()  # endless at one
    assert StickBreaking(torch.ones(1, 2)).mode()[0] == 0.5  # flat
