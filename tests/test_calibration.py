"""Calibration curves by hand, and on rows whose probabilities are right."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest

from ppl_gen import calibration_curve
from ppl_gen.errors import DataError


def test_bins_by_hand():
    p, y = [0.1, 0.3, 0.7, 0.7, 0.9, 0.9], [0, 1, 1, 0, 1, 1]
    curve = calibration_curve(p, y, bins=3)
    np.testing.assert_allclose(curve.predicted, [0.2, 0.7, 0.9])
    np.testing.assert_allclose(curve.observed, [0.5, 0.5, 1.0])
    assert curve.counts.tolist() == [2, 2, 2]
    assert curve.error == pytest.approx((0.3 + 0.2 + 0.1) / 3)
    for i, k in enumerate((1, 1, 2)):
        interval = binomtest(k, 2).proportion_ci(0.95, "exact")
        assert (curve.low[i], curve.high[i]) == pytest.approx((interval.low, interval.high))


def test_what_is_looked_at():
    probs, y = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.5, 0.2]]), torch.tensor([0, 1, 1])
    sure = calibration_curve(probs, y, bins=1)  # the class decided for
    assert (sure.predicted[0], sure.observed[0]) == pytest.approx((2 / 3, 2 / 3))
    first = calibration_curve(probs, y, bins=1, of=0)
    assert (first.predicted[0], first.observed[0]) == pytest.approx((1.1 / 3, 1 / 3))
    two = torch.tensor([0.2, 0.9])
    both = torch.stack([1 - two, two], 1)
    np.testing.assert_allclose(calibration_curve(both, [1, 1], bins=2).predicted, [0.8, 0.9])
    np.testing.assert_allclose(calibration_curve(both, [1, 1], bins=2).observed, [0, 1])
    for event in (calibration_curve(two, [0, 1], bins=2), calibration_curve(both, [0, 1], bins=2, of=1)):
        np.testing.assert_allclose(event.predicted, [0.2, 0.9])


def test_too_sure_lies_below_the_diagonal_with_two_classes_as_with_three():
    for classes in (2, 3):
        y = torch.arange(3000) % classes
        said = torch.where(torch.arange(3000) % 5 == 0, (y + 1) % classes, y)  # right in four of five rows
        for sure in (0.9, 0.95):
            probs = torch.full((3000, classes), (1 - sure) / (classes - 1)).double()
            probs[torch.arange(3000), said] = sure
            curve = calibration_curve(probs, y)
            assert (curve.observed < curve.predicted).all()


def test_equal_probabilities_stay_together():
    curve = calibration_curve([0.5] * 90 + [0.9] * 10, [0, 1] * 50, bins=10)
    assert curve.counts.tolist() == [90, 10]


def test_bins_of_few_rows_join_their_neighbours():
    def counts(p):
        return calibration_curve(p, [0] * len(p), bins=10).counts.tolist()

    assert counts([0.6, 0.7] + [0.9] * 98) == [100]  # two rows with a bar from .16 to 1 say nothing
    assert counts([0.6] * 50 + [0.7] * 4 + [0.9] * 46) == [50, 50]
    assert counts([0.6] * 96 + [0.9] * 4) == [100]
    assert counts([0.6] * 95 + [0.9] * 5) == [95, 5]


def test_intervals_cover_what_is_right_and_not_what_is_wrong():
    """Exact intervals: at most 1 bin in 20 misses, up to chance at 1e-6; too sure a model is caught."""
    g = np.random.default_rng(0)
    misses = {"right": 0, "too sure": 0}
    trials, bins = 100, 10
    for _ in range(trials):
        logit = 2 * g.standard_normal(1000)
        y = g.random(1000) < 1 / (1 + np.exp(-logit))
        for name, factor in (("right", 1), ("too sure", 2)):
            curve = calibration_curve(1 / (1 + np.exp(-factor * logit)), y.astype(int), bins=bins)
            assert len(curve.counts) == bins
            misses[name] += int(((curve.predicted < curve.low) | (curve.predicted > curve.high)).sum())
    limit = int(binom.isf(1e-6, trials * bins, 0.05))
    assert misses["right"] <= limit < misses["too sure"]


@pytest.mark.parametrize(
    ("probs", "y", "options", "message"),
    [
        ([0.5, 1.2], [0, 1], {}, "probs: expected probabilities"),
        ([[0.5, 0.4]], [0], {}, "probs: expected probabilities"),
        ([0.5, float("nan")], [0, 1], {}, "probs: expected probabilities"),
        ([0.5], [0, 1], {}, r"got shapes \(1,\) and \(2,\)"),
        ([0.5, 0.5], [0, 2], {}, "y: expected codes from 0 to 1"),
        ([0.5, 0.5], [0, 1], {"bins": 0}, "bins: expected a whole number"),
        ([[0.5, 0.5]], [1], {"of": 2}, "of: expected a column"),
    ],
)
def test_bad_input_is_named(probs, y, options, message):
    with pytest.raises(DataError, match=message):
        calibration_curve(probs, y, **options)
