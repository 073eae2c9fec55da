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


class Direction(ProbabilisticModel):
    """Angles about an unknown one; twice an angle knows it only up to half a turn."""

    joint = "p(m) p(a | m)"

    def __init__(self, times):
        super().__init__()
        self.times = times

    def model(self, n):
        m = pyro.sample("m", dist.VonMises(real(0.0), real(0.1)).expand([1]).to_event(1))
        with pyro.plate("data", n):
            pyro.sample("a", dist.VonMises(self.times * m[0], 4.0))


def aimed(times):
    """The check of modes, and the angle where the guide lies."""
    at, n = 2.9, 60
    a = times * at + 0.5 * normal(0, n)
    at = torch.atan2(a.sin().sum(), a.cos().sum()) / times
    if times == 1:
        assert at > 2.6  # near the end of the range, so that climbs from elsewhere end at another turn

    def guide():
        pyro.sample("m", dist.Normal(at.reshape(1), (times * (3.4 * n) ** 0.5) ** -1).to_event(1))

    d = diagnose(fit(Direction(times), Found(guide), a=torch.remainder(a, math.tau)), draws=300, more_steps=0)
    return next(c for c in d.checks if c.name == "modes"), float(at)


def test_whole_turns_lead_to_the_same_mode_and_half_turns_to_another():
    check, _ = aimed(1)
    assert check.state == "ok", check
    assert " 0 of " not in check.shown
    check, at = aimed(2)
    assert check.fault == "one of several modes"
    other = float(check.shown.split(" = ")[1].split()[0])
    assert abs(math.remainder(other - at - math.pi, math.tau)) < 0.1
    assert abs(other - at) < math.pi + 0.1  # of the other's turns, the nearest
