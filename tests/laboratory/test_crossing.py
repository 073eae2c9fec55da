"""Crossings of curves whose truth is known: coverage, and false alarms."""

import math

import pytest
import torch
from scipy.stats import binom

from ppl_gen.laboratory.crossing import Crossing, crossing, half_width, leaders, parted

SIZES = (8, 16, 32, 64, 128, 256)
X = torch.tensor(SIZES, dtype=torch.float64).log()
NAMES = ("a", "b")
RATE = 1e-6


def experiment(mean, repeats, generator, noise=1.0):
    """Paired differences (repeats, sizes), correlated between the sizes of a repeat, as nested sets are."""
    shared = torch.randn(repeats, 1, generator=generator, dtype=torch.float64)
    own = torch.randn(repeats, len(SIZES), generator=generator, dtype=torch.float64)
    return mean + noise * (0.7 * shared + own)


def at_most(rate, trials):
    """The most successes that chance allows at this rate."""
    return int(binom.isf(RATE, trials, rate))


def test_a_curve_is_parted_where_the_line_cuts_zero():
    for at in (10.0, 47.0, 200.0):
        assert float(parted(SIZES, X - math.log(at))) == pytest.approx(at, rel=1e-12)
    straight = torch.tensor([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    assert float(parted(SIZES, straight)) == pytest.approx(math.sqrt(32 * 64))
    wiggly = torch.tensor([-3.0, -2.0, 0.1, -1.0, 2.0, 3.0])  # a blip is no crossing
    assert 64 < float(parted(SIZES, wiggly)) < 128
    assert float(parted(SIZES, torch.ones(6))) == pytest.approx(8)  # none inside
    assert float(parted(SIZES, -torch.ones(6))) == pytest.approx(256)


def test_intervals_hold_together():
    """Of 2,000 experiments at most 5 in 100 name a leader, at any size, where there is none."""
    g, trials = torch.Generator().manual_seed(0), 2000
    alarms = sum(bool(leaders(experiment(0.0, 8, g)).any()) for _ in range(trials))
    assert alarms <= at_most(0.05, trials)
    single = sum(
        bool((d.mean(0).abs() > half_width(d)).any()) for d in (experiment(0.0, 8, g) for _ in range(300))
    )
    assert single > at_most(0.05, 300)  # intervals of one size each do not


def test_no_crossing_is_made_up():
    """One model is never worse, and equal at the largest sizes: the other is seldom found ahead."""
    g, trials = torch.Generator().manual_seed(1), 1000
    mean = torch.tensor([-1.0, -0.6, -0.3, 0.0, 0.0, 0.0])
    found = [crossing("error", NAMES, SIZES, experiment(mean, 30, g), 0) for _ in range(trials)]
    assert sum(map(bool, found)) <= at_most(0.05, trials)
    assert sum(c.first == "a" for c in found) > 0.9 * trials  # it has the power to see who is ahead
    assert str(next(c for c in found if not c)) == "no crossing that 30 repeats can establish"


@pytest.mark.parametrize("repeats", [20, 100])
def test_the_interval_of_the_crossing_covers_it(repeats):
    """A line through zero at 40 rows. The bootstrap is approximate, so nine in ten is asked for."""
    g, trials, truth = torch.Generator().manual_seed(2), 300, 40.0
    mean = (X - math.log(truth)) * 6 / math.sqrt(repeats)
    found = [crossing("error", NAMES, SIZES, experiment(mean, repeats, g), seed) for seed in range(trials)]
    crossed = [c for c in found if c]
    assert len(crossed) > 0.9 * trials
    misses = sum(not c.low <= truth <= c.high for c in crossed)
    assert misses <= at_most(0.1, len(crossed))
    halves = sum(not c.rows * 0.97 <= truth <= c.rows * 1.03 for c in crossed)
    assert halves > at_most(0.1, len(crossed))  # an interval of 3 % would not
    assert {(c.first, c.then) for c in crossed} == {("a", "b")}


def test_it_is_the_same_either_way_round_and_every_time():
    d = experiment(2 * (X - math.log(40.0)), 30, torch.Generator().manual_seed(3))
    one, other = crossing("error", NAMES, SIZES, d, 5), crossing("error", NAMES[::-1], SIZES, -d, 5)
    assert one == other == crossing("error", NAMES, SIZES, d, 5)
    assert one.first == "a"
    assert one.low <= one.rows <= one.high
    assert str(one).startswith(f"the curves cross at about {one.rows:.0f} rows (95 % interval")


def test_an_interval_that_may_go_on_says_so():
    found = Crossing("error", "a", "b", 20.0, 8.0, 30.0, (8, 256), 20)
    assert str(found) == "the curves cross at about 20 rows (95 % interval 8 or fewer to 30)"
    flat = experiment(torch.ones(6), 30, torch.Generator().manual_seed(4))
    none = crossing("error", NAMES, SIZES, flat, 0)
    assert (bool(none), none.first, none.then) == (False, "b", "")
