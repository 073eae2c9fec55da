"""The envelope of a distribution function holds with the probability that it says, to all digits."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from ppl_gen.diagnostics.criticism.uniformity import ecdf, ecdf_envelope, uniformity
from ppl_gen.errors import DataError


def _brute(n, points, low, high):
    """Sum the multinomial over every way to put n values into the cells between the points."""
    cells = np.diff([0, *points, 1])
    total = 0.0
    for counts in itertools.product(range(n + 1), repeat=len(cells)):
        if sum(counts) == n and all(
            lo <= c <= hi for c, lo, hi in zip(np.cumsum(counts), low, high, strict=False)
        ):
            ways = math.factorial(n) / math.prod(math.factorial(c) for c in counts)
            total += ways * math.prod(p**c for p, c in zip(cells, counts, strict=True))
    return total


@pytest.mark.parametrize("points", [(0.5,), (0.1, 0.4, 0.5), (0.25, 0.5, 0.9)])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_coverage_is_that_of_the_multinomial(points, level):
    _, low, high, coverage = ecdf_envelope(7, level, points)
    low, high = (low * 7).round(), (high * 7).round()
    assert coverage == pytest.approx(_brute(7, points, low, high), abs=1e-12)
    assert coverage >= level
    for i, side in itertools.product(range(len(points)), (0, 1)):  # no limit can be tightened alone …
        tight = [low.copy(), high.copy()]
        tight[side][i] += 1 - 2 * side
        assert _brute(7, points, *tight) < coverage  # … without loss


def test_p_value_is_that_of_the_multinomial():
    points, n = (0.2, 0.6), 6
    chances, worst = [], []
    for counts in itertools.product(range(n + 1), repeat=3):
        if sum(counts) == n:
            at = np.cumsum(counts)[:2]
            tails = np.minimum(binom.cdf(at, n, points), binom.sf(at - 1, n, points))
            ways = math.factorial(n) / math.prod(math.factorial(c) for c in counts)
            chances.append(ways * 0.2 ** counts[0] * 0.4 ** (counts[1] + counts[2]))
            worst.append(tails.min())
    chances, worst = np.array(chances), np.array(worst)
    for first, second in [(1, 4), (0, 0), (5, 6), (2, 2)]:
        u = [0.1] * first + [0.5] * (second - first) + [0.9] * (n - second)
        at = np.array([first, second])
        met = np.minimum(binom.cdf(at, n, points), binom.sf(at - 1, n, points)).min()
        expected = chances[worst <= met * (1 + 1e-9)].sum()
        assert uniformity(u, points=points).p_value == pytest.approx(expected, abs=1e-12)


def test_the_envelope_and_the_p_value_decide_alike():
    rng = np.random.default_rng(0)
    for _ in range(40):
        found = uniformity(rng.beta(1.4, 1.0, size=60))
        assert found.inside == (found.p_value > 1 - found.coverage + 1e-12)


@pytest.mark.parametrize("n", [20, 300])
def test_alarms_are_false_as_often_as_it_says(n):
    rng, rounds = np.random.default_rng(), 4000
    points, low, high, coverage = ecdf_envelope(n, 0.95, tuple(np.arange(1, 20) / 20))
    u = rng.random((rounds, n))
    shares = ecdf(u, points)
    assert (shares == (u[..., None] <= points).mean(1)).all()
    alarms = ((shares < low) | (shares > high)).any(1).sum()
    assert coverage >= 0.95
    assert binom.ppf(5e-7, rounds, 1 - coverage) <= alarms <= binom.isf(5e-7, rounds, 1 - coverage)


def test_ranks_are_a_discrete_uniform():
    largest = 9
    found = uniformity((np.arange(10) + 1) / (largest + 1), points=np.arange(1, 10) / 10)
    np.testing.assert_allclose(found.ecdf, np.arange(1, 10) / 10)
    assert found.p_value > 0.99


def test_crowding_has_a_name():
    rng = np.random.default_rng(1)
    narrow = uniformity(rng.beta(0.5, 0.5, 400))
    shifted = uniformity(rng.beta(2.0, 1.0, 400))
    assert not narrow.inside
    assert narrow.moments[1] > 5 > abs(narrow.moments[0])
    assert not shifted.inside
    assert shifted.moments[0] > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": [0.5, 1.5]}, "values"),
        ({"values": []}, "values"),
        ({"values": [0.5, np.nan]}, "values"),
        ({"values": [0.5], "points": [0.5, 0.2]}, "points"),
        ({"values": [0.5], "level": 1.0}, "level"),
    ],
)
def test_what_is_no_probability_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        uniformity(**arguments)
