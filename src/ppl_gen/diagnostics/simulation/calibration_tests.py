"""Are posteriors calibrated? Tests with exact null distributions, and the power they have.

If a posterior is right, the truth is one more draw of it: the probability integral transform u of the truth
is uniform, and its normal score z, the quantile of u, is standard Normal whatever the posterior's shape. For
Gaussian posteriors z is (truth - mean) / sd, so the sum of z² says whether sds are right, the sum of z
whether means are, and the empirical distribution function (ECDF) of u whether the shape is.

References: Cook, Gelman and Rubin 2006 (z²); Talts et al. 2018 (ranks); Säilynoja, Bürkner and Vehtari 2022
(ECDF); Yao, Vehtari, Simpson and Gelman 2018 (symmetry); Butler 1969 (its test).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ppl_gen.checks import positive, whole
from ppl_gen.diagnostics.criticism.uniformity import Array, ecdf, ecdf_envelope, p_value, places
from ppl_gen.errors import DataError

SHARES = {"bias": 0.4, "spread": 0.4, "shape": 0.2}  # of the false alarms that a quantity may give
LEAST = 1e-15  # p-values below are rounding


class PValues(NamedTuple):
    """p-values of the sum of z, of the sum of z², and of the ECDF."""

    bias: float
    spread: float
    shape: float


def three_tests(u: Array) -> PValues:
    """Exact p-values that ``u`` (size,) is from the uniform distribution, two-sided each.

    >>> [round(p, 3) for p in three_tests((np.arange(50) + 0.5) / 50)]
    [1.0, 0.952, 1.0]
    """
    from scipy.stats import chi2, norm

    z, size = normal_scores(u), len(u)
    squares = float(z @ z)
    return PValues(
        2 * float(norm.sf(abs(z.sum()) / size**0.5)),
        min(1.0, 2 * float(min(chi2.cdf(squares, size), chi2.sf(squares, size)))),
        p_value(u, places(size)),
    )


def normal_scores(u: Array) -> Array:
    """The quantiles of the standard Normal at ``u``."""
    from scipy.special import ndtri

    scores: Array = ndtri(u)
    return scores


# Symmetry ---------------------------------------------------------------------------------------------------


def symmetry(u: Array) -> float:
    """Exact p-value that the distribution of ``u`` (size,) is symmetric about a half (Butler 1969).

    The statistic is the largest difference of the numbers of values below x and above 1 - x. Under symmetry
    each value lies on either side with probability a half, so the difference, as x grows, is a random walk.

    >>> symmetry(np.linspace(0.01, 0.99, 40)) > 0.5, symmetry(np.linspace(0.01, 0.6, 40)) < 0.01
    (True, True)
    """
    signs = np.sign(u - 0.5)[np.argsort(-abs(u - 0.5), kind="stable")]
    farthest = int(abs(signs.cumsum()).max())
    walk = np.zeros(2 * farthest + 1)  # walks that have not been that far yet
    walk[farthest] = 1.0
    for _ in range(len(u)):
        walk = (np.append(walk[1:], 0.0) + np.append(0.0, walk[:-1])) / 2
        walk[[0, -1]] = 0.0
    return float(1 - walk.sum())


# All together -----------------------------------------------------------------------------------------------


def holm(p_values: Sequence[float], shares: Sequence[float] | None = None) -> list[float]:
    """p-values that hold together: the false-alarm rate at which each test would speak (Holm 1979).

    Args:
        p_values: of the tests. shares: their weights, alike by default.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.5])]
    [0.03, 0.08, 0.5]
    """
    weights = np.ones(len(p_values)) if shares is None else np.asarray(shares, float)
    order, highest = np.argsort(np.asarray(p_values) / weights, kind="stable"), 0.0
    adjusted = [0.0] * len(p_values)
    left = float(weights.sum())
    for i in order:
        highest = max(highest, min(1.0, max(p_values[i], LEAST) / float(weights[i]) * left))
        adjusted[i], left = highest, left - float(weights[i])
    return adjusted


def calibration_power(
    simulations: int = 200,
    draws: int = 99,
    *,
    sd: float = 1.0,
    bias: float = 0.0,
    quantities: int = 1,
    false_alarm: float = 0.05,
    repeats: int = 2000,
    seed: int = 0,
) -> float:
    """Probability that `simulation_based_calibration` finds a wrong posterior of one quantity.

    Which planning takes: how many simulations, for a fault of what size? A Gaussian posterior is off by
    ``bias`` and has ``sd`` times the right standard deviation; the other quantities are right.

    Args:
        simulations, draws: of each the posterior's draws.
        sd: the posterior's standard deviation in units of the right one.
        bias: of the posterior's mean, in right standard deviations.
        quantities: that are judged together. false_alarm: of all of them.
        repeats: that estimate the probability, with standard error at most 1 / (2 √repeats).
        seed: decides them.

    >>> calibration_power(200, sd=0.8) > 0.9 > 0.6 > calibration_power(50, sd=0.8)
    True
    """
    from scipy.special import ndtr

    size, count = whole("simulations", simulations), whole("draws", draws)
    whole("quantities", quantities)
    whole("repeats", repeats)
    positive("sd", sd)
    if not 0 < false_alarm < 1:
        raise DataError(f"false_alarm: expected a probability between 0 and 1, got {false_alarm!r}")
    rng = np.random.default_rng(seed)
    right = ndtr((rng.standard_normal((repeats, size)) - bias) / sd)
    u = (rng.binomial(count, right) + rng.random(right.shape)) / (count + 1)
    return float(np.mean(alarms(u, false_alarm / quantities)))


def alarms(u: Array, false_alarm: float) -> Array:
    """Whether any of the three tests speaks, of each of the samples ``u`` (samples, size)."""
    from scipy.stats import chi2, norm

    size, z = u.shape[1], normal_scores(u)
    squares, half = (z * z).sum(1), {name: share * false_alarm / 2 for name, share in SHARES.items()}
    off = abs(z.sum(1)) / size**0.5 > norm.isf(half["bias"])
    wide = (squares < chi2.ppf(half["spread"], size)) | (squares > chi2.isf(half["spread"], size))
    points, low, high, _ = ecdf_envelope(size, 1 - SHARES["shape"] * false_alarm)
    shares = ecdf(u, points)
    found: Array = off | wide | ((shares < low) | (shares > high)).any(1)
    return found
