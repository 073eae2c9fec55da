"""A mode that no draw visits is found by climbs from elsewhere, and only such a mode."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch

from ppl_gen import ProbabilisticModel, diagnose, fit
from tests.planted_faults.base import REAL, Found, normal, real


class Root(ProbabilisticModel):
    """p(x | z) knows the square of z alone: two modes of equal mass, by symmetry."""

    joint = "p(z) p(x | z)"

    def __init__(self, lean=0.0):
        super().__init__()
        self.lean = (
            lean  # the prior's mean: it takes exp(2 lean |z| / 9) from one mode, and adds it to the other
        )

    def model(self, n):
        z = pyro.sample("z", dist.Normal(real(self.lean), 3.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(z**2, 1.0))


def found(signs, lean=0.0):
    x = 4 + normal(0, 40)
    at, sd = x.mean().sqrt(), float((160 * x.mean()) ** -0.5)

    def guide():
        ends = dist.Normal(at * torch.tensor(signs, dtype=REAL), sd)
        pyro.sample("z", dist.MixtureSameFamily(dist.Categorical(torch.ones(len(signs), dtype=REAL)), ends))

    posterior = fit(Root(lean), Found(guide), x=x)
    return diagnose(posterior, draws=300, more_steps=0), float(at)


def test_one_of_two_symmetric_modes_is_not_believed():
    d, at = found([1.0])
    assert d.quality.trusted  # nothing that is drawn from the guide can see it
    assert d.quality.gap < 0.05
    assert d.faults == ("one of several modes",)
    assert d.verdict.startswith("use it with care: one of several modes (z)")
    (check,) = (c for c in d.checks if c.name == "modes")
    assert check.value == pytest.approx(1.0, abs=0.1)
    assert f"z = {-at:.2f}" in check.shown


def test_a_guide_of_both_modes_is_sound():
    d, _ = found([1.0, -1.0])
    assert not d.faults
    alone, _ = found([1.0])
    assert d.quality.log_evidence - alone.quality.log_evidence == pytest.approx(math.log(2), abs=0.05)


def test_masses_are_told_and_a_mode_of_no_mass_does_no_harm():
    d, at = found([1.0], lean=-3.0)
    (check,) = (c for c in d.checks if c.name == "modes")
    assert math.log(check.value) == pytest.approx(2 * 3 * at / 9, abs=0.1)
    assert not found([1.0], lean=6.0)[0].faults  # exp(-2 * 6 * 2 / 9) = 0.07
    assert found([-1.0], lean=12.0)[0].fault == "stuck in a worse mode"  # exp(2 * 12 * 2 / 9) = 207
