"""Sorted draws: a density that integrates to one over ordered vectors, and none outside."""

import pyro.distributions as dist
import pytest
import torch
from torch.distributions import biject_to

from ppl_gen.distributions import Ordered
from ppl_gen.errors import DataError

NORMAL = dist.Normal(torch.zeros((), dtype=torch.float64), 2.0)


def test_density_integrates_to_one():
    grid = torch.linspace(-14, 14, 561, dtype=torch.float64)
    a, b = torch.meshgrid(grid, grid, indexing="ij")
    inside = a < b
    cell = (grid[1] - grid[0]) ** 2
    total = Ordered(NORMAL, 2).log_prob(torch.stack([a[inside], b[inside]], -1)).exp().sum() * cell
    total += torch.exp(2 * NORMAL.log_prob(grid)).sum() * cell  # half of the cells that the line cuts, twice
    assert total.item() == pytest.approx(1.0, abs=1e-9)


def test_draws_are_those_of_order_statistics():
    """E max of two standard Normals is 1 / sqrt(pi), and its variance 1 - 1 / pi."""
    n = 20_000
    drawn = Ordered(NORMAL, 2).sample([n]) / 2
    assert (drawn.diff() > 0).all()
    assert abs(drawn[:, 1].mean() - torch.pi**-0.5) < 4.9 * (1 - 1 / torch.pi) ** 0.5 / n**0.5


def test_shapes_support_and_refusals():
    fn = Ordered(NORMAL, 3)
    assert (fn.batch_shape, fn.event_shape, fn.sample().shape) == ((), (3,), (3,))
    wide = fn.expand([4])
    assert wide.sample([5]).shape == (5, 4, 3)
    assert wide.log_prob(wide.sample()).shape == (4,)
    value = biject_to(fn.support)(torch.randn(3, dtype=torch.float64))
    assert torch.isfinite(fn.log_prob(value))
    assert Ordered(NORMAL, 2, validate_args=False).log_prob(torch.tensor([1.0, 0.0])) == -torch.inf
    with pytest.raises(ValueError, match="support"):
        Ordered(NORMAL, 2, validate_args=True).log_prob(torch.tensor([1.0, 0.0]))
    for wrong in (dist.Gamma(1.0, 1.0), dist.Normal(torch.zeros(2), 1.0)):
        with pytest.raises(DataError, match="base: expected a distribution of one real number"):
            Ordered(wrong, 2)
    with pytest.raises(DataError, match="size"):
        Ordered(NORMAL, 0)
