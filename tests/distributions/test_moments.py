"""Moments of classes against two passes of loops."""

import pytest
import torch

from ppl_gen.distributions import Moments, NormalGamma

EPS = torch.finfo(torch.float64).eps


def by_loops(x, weights):
    seen = ~torch.isnan(x)
    here = torch.where(seen, x, 0.0)
    counts = weights.T @ seen.double()
    means = (weights.T @ here) / counts
    squares = torch.stack(
        [w @ torch.where(seen, (here - m) ** 2, 0.0) for w, m in zip(weights.T, means, strict=True)]
    )
    return counts, means, squares


def rows(n=20_000, gaps=0.0, apart=1.0, offset=0.0):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(3, (n,), generator=generator)
    x = torch.randn(n, 4, generator=generator, dtype=torch.float64) + offset + apart * y[:, None]
    x[torch.rand(x.shape, generator=generator) < gaps] = torch.nan
    return x, y


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize(("apart", "offset"), [(1.0, 0.0), (1e6, 0.0), (10.0, 1e8)])
def test_moments_equal_two_passes(hard, gaps, apart, offset):
    x, y = rows(gaps=gaps, apart=apart, offset=offset)
    one_hot = torch.nn.functional.one_hot(y, 3).double()
    weights = one_hot if hard else (one_hot + 0.1) / 1.3
    found = Moments.of(x, y if hard else weights, classes=3)
    # The loops' own rounding of means, relative to a spread of one, is what the data's size allows.
    size = EPS * (offset + apart)
    for ours, theirs, atol in zip(found, by_loops(x, weights), (0, 100 * size, 1e-9), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11 + 100 * size, atol=atol)


@pytest.mark.parametrize("hard", [True, False])
def test_moments_add_up(hard):
    x, y = rows(gaps=0.1)
    y[:9000] = 0  # a part without some classes
    belong = y if hard else torch.nn.functional.one_hot(y, 3).double()
    whole = Moments.of(x, belong, 3)
    sum_of_parts = Moments.of(x[:9000], belong[:9000], 3) + Moments.of(x[9000:], belong[9000:], 3)
    for one, other in zip(whole, sum_of_parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_constant_columns_have_no_squares():
    x = torch.full((10_000, 1), 0.1, dtype=torch.float64) + torch.arange(2).repeat(5000)[:, None]
    squares = Moments.of(x, torch.arange(2).repeat(5000), 2).squares
    assert squares.max() < 1e4 * (4 * EPS) ** 2  # each row at most some units in the last place off


def test_learning_apart_and_merging_is_learning_together():
    x, y = rows()
    prior = NormalGamma(*(torch.full((3, 4), v, dtype=torch.float64) for v in (0.5, 2.0, 3.0, 0.7)))
    one, other = prior.updated(y[:5], x[:5]), prior.updated(y[5:], x[5:])
    for ours, theirs in zip(one.merged(other, prior), prior.updated(y, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
