"""Totals of densities, where floating point ends before the density does."""

import pyro.distributions as dist
import pytest
import torch

from ppl_gen.diagnostics.trust.joint_checks import density_checks
from ppl_gen.isolation import isolated
from tests.planted_faults.inference import Exponentiated


def faults(fn):
    with isolated(0):
        return [check.fault for check in density_checks("guide", {"tau": {"fn": fn}})]


@pytest.mark.parametrize("shape", [0.005, 0.02, 0.1, 1.0])
def test_a_density_that_floating_point_cuts_off_is_not_called_unnormalised(shape):
    """Of a small shape, much of the mass lies below the smallest number there is."""
    assert not any(faults(dist.Gamma(torch.full((3,), shape), torch.ones(3))))


def test_one_without_its_jacobian_is():
    assert faults(Exponentiated(torch.zeros(3), torch.ones(3))) == ["dropped Jacobian"]


class Cut(dist.Exponential):
    """Truncated at ``end``, inside its declared support; ``total`` is what its density adds up to."""

    def __init__(self, end, total):
        super().__init__(torch.ones_like(end))
        self.end, self.total = end, total

    def expand(self, batch_shape, _instance=None):
        return Cut(self.end.expand(batch_shape), self.total)

    def sample(self, sample_shape=()):
        share = torch.rand(torch.Size(sample_shape) + self.end.shape, dtype=self.end.dtype)
        return -torch.log1p(-share * -torch.expm1(-self.end))

    def log_prob(self, value):
        inside = -value - torch.log(-torch.expm1(-self.end)) + self.total.log()
        return torch.where(value < self.end, inside, -torch.inf)


def test_a_truncated_density_ends_in_a_jump_that_no_grid_meets():
    ends, one = torch.linspace(0.2, 2.0, 100, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    assert not any(faults(Cut(ends, one)))
    assert faults(Cut(ends, 0.8 * one)) == ["unnormalised density"]
