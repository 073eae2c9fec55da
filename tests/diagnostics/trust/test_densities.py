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
