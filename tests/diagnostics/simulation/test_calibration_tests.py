"""The tests of calibration keep their rates, and have the power that is stated."""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom, kstest, norm

from ppl_gen.diagnostics import calibration_power
from ppl_gen.diagnostics.criticism.uniformity import ecdf, ecdf_envelope
from ppl_gen.diagnostics.simulation.calibration_tests import (
    SHARES,
    alarms,
    holm,
    symmetry,
    three_tests,
)
from ppl_gen.diagnostics.simulation.coverage import LEVELS, clopper_pearson, coverage
from ppl_gen.errors import DataError

FALSE_ALARM = 1e-6
REPEATS = 4000


def at_most(rate, repeats):
    """Alarms of so many repeats that a test of this rate stays below, up to FALSE_ALARM."""
    return binom.isf(FALSE_ALARM, repeats, rate)


def samples(repeats=REPEATS, size=200, seed=0):
    return np.random.default_rng(seed).random((repeats, size))


@pytest.mark.parametrize("size", [20, 200])
def test_false_alarms_keep_to_the_rate(size):
    u = samples(size=size)
    for rate in (0.01, 0.05):
        assert alarms(u, rate).sum() <= at_most(rate, REPEATS)
        points, low, high, _ = ecdf_envelope(size, 1 - rate)
        shares = ecdf(u, points)
        out = ((shares < low) | (shares > high)).any(1).sum()
        assert rate * REPEATS / 4 < out <= at_most(rate, REPEATS)


def test_p_values_of_right_posteriors_are_uniform_or_larger():
    u = samples(60)
    p = np.array([three_tests(row) for row in u])
    for column in p.T:
        assert kstest(column, "uniform", alternative="greater").pvalue > FALSE_ALARM
    for row, values in zip(u[:20], p[:20], strict=True):  # alarms are the p-values' own decisions
        by_share = [value <= share * 0.2 for value, share in zip(values, SHARES.values(), strict=True)]
        assert alarms(row[None], 0.2)[0] == any(by_share)


def test_each_test_finds_its_own_fault():
    z = np.random.default_rng(3).standard_normal(400)
    assert three_tests(ndtr(z + 0.5)).bias < 1e-9
    assert three_tests(ndtr(1.5 * z)).spread < 1e-9
    halves = np.concatenate([np.linspace(0.26, 0.49, 100), np.linspace(0.76, 0.99, 100)])  # gaps
    assert three_tests(halves).shape < 1e-9


def test_symmetry_is_exact_and_sees_one_sided_histograms():
    sizes = np.linspace(0.05, 0.45, 9)
    walks = [np.abs(np.cumsum(s)).max() for s in itertools.product([1, -1], repeat=9)]
    u = 0.5 + sizes * np.array([1, 1, 1, -1, 1, 1, -1, 1, 1])
    farthest = np.abs(np.cumsum(np.sign(u - 0.5)[::-1])).max()
    assert symmetry(u) == pytest.approx(np.mean(np.array(walks) >= farthest), abs=1e-12)
    right = samples(400)
    assert sum(symmetry(row) <= 0.01 for row in right) <= at_most(0.01, 400)
    narrow = np.random.default_rng(0).beta(0.3, 0.3, 400)  # U-shaped, yet symmetric
    assert symmetry(narrow) > FALSE_ALARM
    assert three_tests(narrow).spread < FALSE_ALARM
    assert symmetry(np.random.default_rng(0).beta(0.3, 0.9, 400)) < FALSE_ALARM


def test_holm_keeps_the_rate_of_the_whole_and_the_weights():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.01, 0.5], [0.8, 0.2])[0] == pytest.approx(0.0125)
    every = np.random.default_rng(0).random((REPEATS, 6))
    assert sum(min(holm(row)) <= 0.05 for row in every) <= at_most(0.05, REPEATS)


def test_two_hundred_simulations_find_what_they_promise():
    """An sd 20 % too small in 3 of 4 cases, a bias of 0.3 sds in 95 of 100; ten simulations do not."""
    repeats = 6000
    assert calibration_power(10, sd=0.8) < 0.3
    assert calibration_power(10, bias=0.3) < 0.3
    for fault, least in (({"sd": 0.8}, 0.75), ({"bias": 0.3}, 0.95)):
        assert (
            calibration_power(200, **fault, repeats=repeats)
            > least + 5 * (least * (1 - least) / repeats) ** 0.5
        )
    assert calibration_power(200, repeats=repeats) <= at_most(0.05, repeats) / repeats


def test_a_bias_of_one_of_four_is_found_nearly_as_often_as_any_test_could():
    """The most powerful test of a shift, with all false alarms that one of four quantities may give."""
    shift, level, repeats = 0.3 * 200**0.5, 0.05 / 4, 4000
    best = norm.sf(norm.isf(level / 2) - shift)
    assert best == pytest.approx(0.96, abs=0.005)
    found = calibration_power(200, bias=0.3, quantities=4, repeats=repeats)
    error = (0.25 / repeats) ** 0.5
    assert best - 0.06 - 5 * error < found < best + 5 * error
    assert calibration_power(260, bias=0.3, quantities=4, repeats=repeats) > 0.95


def test_ranks_alone_would_miss_a_narrow_posterior():
    z = np.random.default_rng(0).standard_normal((500, 200)) / 0.8
    u = ndtr(z)
    by_ranks = np.mean([kstest(row, "uniform").pvalue <= 0.05 for row in u])
    assert by_ranks < 0.6 < 0.75 < alarms(u, 0.05).mean()


def test_arguments_of_power_are_checked():
    for wrong in ({"sd": 0}, {"false_alarm": 2}, {"simulations": 0}, {"quantities": 0}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            calibration_power(**wrong)


def test_coverage_is_that_of_the_intervals():
    u = samples(1, 5000)[0]
    table = coverage({"right": u, "narrow": np.clip(0.5 + 1.5 * (u - 0.5), 0, 1)})
    for row in table.itertuples():
        tail = FALSE_ALARM / len(table)
        expected = row.nominal if row.quantity == "right" else row.nominal / 1.5
        hits = round(row.observed * 5000)
        assert binom.cdf(hits, 5000, expected) > tail
        assert binom.sf(hits - 1, 5000, expected) > tail
        assert row.low < row.observed < row.high
    assert tuple(table.nominal[:4]) == LEVELS
    with pytest.raises(DataError, match="levels"):
        coverage({"w": u}, [1.5])


def test_clopper_pearson_holds_the_truth_as_often_as_it_says():
    ends = [clopper_pearson(k, 20) for k in range(21)]
    for p in (0.03, 0.3, 0.5):
        held = sum(binom.pmf(k, 20, p) for k, (low, high) in enumerate(ends) if low <= p <= high)
        assert held >= 0.95
    assert ends[0][0] == 0
    assert ends[20][1] == 1
