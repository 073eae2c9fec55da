"""Rows with a few far out, and rows that are lopsided, by quantiles that hold no noise of their own."""

import numpy as np
import pytest
from scipy import stats
from torch.distributions import Normal

from ppl_gen.diagnostics.trust.data_checks import compared


def checked(y):
    """Rows beside replicates of a Normal with their mean and sd."""
    drawn = np.random.default_rng(0).normal(y.mean(), y.std(), (len(y), 200))
    return compared("y", Normal(0.0, 1.0), y, drawn)


def quantiles(family, n):
    """In an order that hides them from neighbours."""
    return np.random.default_rng(1).permutation(family.ppf((np.arange(n) + 0.5) / n))


@pytest.mark.parametrize("n", [100, 200, 500])
@pytest.mark.parametrize("side", [-1, 1])
def test_one_far_row_makes_tails_and_no_skew(n, side):
    y = np.append(quantiles(stats.t(3), n), 25.0 * side)
    assert stats.skew(y) * side > 1.2  # five sds of a hundred normal rows
    assert checked(y).fault == "heavy tails"


@pytest.mark.parametrize("n", [100, 200, 500])
@pytest.mark.parametrize("family", [stats.expon(), stats.lognorm(0.5), stats.lognorm(1.0)])
def test_rows_that_are_lopsided_all_along_are_skewed(n, family):
    for side in (-1, 1):
        assert checked(side * quantiles(family, n)).fault == "skewed"


def test_a_logarithm_is_advised_only_of_what_has_one():
    y = quantiles(stats.lognorm(1.0), 200)
    assert "logarithm" in checked(y).fix
    for other in (-y, y - 1, y.clip(0.3) - 0.3):
        assert checked(other).fault == "skewed"
        assert "logarithm" not in checked(other).fix
        assert "SkewLogistic" in checked(other).fix
