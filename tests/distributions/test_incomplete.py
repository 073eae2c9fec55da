"""Rows with missing cells against a Normal's marginals and conditionals, written out pattern by pattern."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from ppl_gen.distributions import NormalInverseWishart, score_rows
from ppl_gen.distributions.incomplete import expected_rows, log_prob_incomplete

K, D = 3, 5


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(n=300, patterns=None, scale=1.0, offset=0.0):
    """Rows, which cells are there (some rows lack all, some none), means and triangles."""
    seen = numbers(n, D, seed=1) > -0.3
    if patterns:
        seen = seen[torch.arange(n) % patterns]
    seen[0], seen[1] = False, True
    units = torch.as_tensor(scale, dtype=torch.float64).expand(D)
    x = torch.where(seen, units * numbers(n, D, seed=2) + offset, 0.0)
    loc, root = units * numbers(K, D, seed=3) + offset, numbers(K, D, D, seed=4).tril(-1)
    return x, seen, loc, units[:, None] * (root + torch.diag_embed(numbers(K, D, seed=5).exp()))


CASES = {
    "every row its own": case(),
    "few patterns": case(patterns=3),
    "one row": case(n=2),
    "far away": case(offset=1e8),
    "many scales": case(scale=torch.tensor([1e-150, 1.0, 1e150, 1e-3, 1e5], dtype=torch.float64)),
}


def by_hand(x, seen, loc, root):
    """log p(x_o) and E[x_m | x_o] of a row under a Normal, and Cov[x_m | x_o], in units of the diagonal."""
    units = root.square().sum(1).sqrt()
    u, r = (x - loc) / units, root / units[:, None]
    spread = r @ r.T
    a, b = seen, ~seen
    known = spread[a][:, a]
    log_p = MultivariateNormal(torch.zeros_like(u[a]), known).log_prob(u[a]) if a.any() else 0 * u.sum()
    slope = torch.linalg.solve(known, spread[a][:, b]).T
    mean, rest = loc.clone(), torch.zeros(D, D, dtype=torch.float64)
    mean[b] += units[b] * (slope @ u[a])
    rest[b[:, None] & b] = (spread[b][:, b] - slope @ spread[a][:, b]).flatten()
    return log_p - units[a].log().sum(), torch.where(a, x, mean), rest * units * units[:, None]


@pytest.mark.parametrize("name", CASES)
def test_marginals_and_conditional_means(name):
    x, seen, loc, root = CASES[name]
    log_p, mean = log_prob_incomplete(x, seen, loc, root), expected_rows(x, seen, loc, root)
    units = root.square().sum(-1).sqrt()
    for k in range(K):
        for i in range(0, len(x), 7 if len(x) > 7 else 1):
            expected, filled, _ = by_hand(x[i], seen[i], loc[k], root[k])
            torch.testing.assert_close(log_p[k, i], expected, rtol=1e-6, atol=1e-6)
            near = (mean[k, i] - filled) / units[k]
            torch.testing.assert_close(near, torch.zeros(D).double(), rtol=0, atol=1e-6)
    assert torch.equal(mean[:, seen], x[seen].expand(K, -1))


def test_scores_of_rows_are_those_of_their_marginals():
    x, seen, loc, root = case()
    fn = MultivariateNormal(loc[:, None], scale_tril=root[:, None])
    found = score_rows(fn, x, seen)
    torch.testing.assert_close(found, log_prob_incomplete(x, seen, loc, root), rtol=0, atol=0)
    torch.testing.assert_close(found[:, 1], fn.log_prob(x[1])[:, 0], rtol=1e-12, atol=1e-12)
    assert found[:, 0].tolist() == [0.0] * K  # nothing is there


def test_many_columns_have_patterns_of_their_own():
    """More columns than a number has bits."""
    seen = torch.ones(4, 70, dtype=torch.bool)
    seen[1, 3] = seen[2, 69] = seen[3, 35] = False
    x, root = torch.where(seen, numbers(4, 70), 0.0), torch.eye(70).double()[None]
    expected = (-0.5 * x.square() - 0.5 * math.log(2 * math.pi)).masked_fill(~seen, 0.0).sum(1)
    torch.testing.assert_close(log_prob_incomplete(x, seen, 0 * x[:1], root)[0], expected)


@pytest.mark.parametrize("tied", [False, True])
def test_the_completed_update_is_that_of_expected_moments(tied):
    x, seen, loc, root = case(n=60)
    root = root[0] if tied else root
    each = root.expand(K, D, D)
    weights = numbers(60, K, seed=6).softmax(1)
    family = (torch.tensor(9.0) if tied else torch.full((K,), 9.0)).double(), torch.eye(D).double()
    prior = NormalInverseWishart(
        numbers(K, D), torch.ones(K).double(), family[0], family[1].expand(root.shape)
    )
    gaps = torch.where(seen, x, torch.nan)
    found, entropy = prior.completed(weights, gaps, loc, root)
    count, mean, scatter, expected = weights[1:].sum(0), [], [], 0.0  # of row 0 nothing is there
    for k in range(K):
        rows = [by_hand(x[i], seen[i], loc[k], each[k]) for i in range(1, 60)]
        w, filled = weights[1:, k, None], torch.stack([row[1] for row in rows])
        mean.append((w * filled).sum(0) / w.sum())
        rest = torch.stack([row[2] for row in rows])
        scatter.append((filled - mean[-1]).T @ (w * (filled - mean[-1])) + (w[..., None] * rest).sum(0))
        for i, gap in enumerate(~seen[1:], 1):
            inner = rest[i - 1][gap][:, gap]
            expected += weights[i, k] * 0.5 * (2 * math.pi * math.e * inner).logdet()
    away = [torch.linalg.cholesky(s).mT for s in scatter]
    for one, other in zip(found, prior.given(count, torch.stack(mean), away), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(entropy, expected, rtol=1e-9, atol=1e-9)


def test_whole_rows_are_updated_as_ever():
    x, _, loc, root = case(n=60)
    weights = numbers(60, K, seed=6).softmax(1)
    prior = NormalInverseWishart(
        numbers(K, D),
        torch.ones(K).double(),
        torch.full((K,), 9.0).double(),
        torch.eye(D).double().expand(K, D, D),
    )
    found, entropy = prior.completed(weights, x, loc, root)
    for one, other in zip(found, prior.updated(weights, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert entropy == 0
