"""Calibration: whether rows that get probability 0.8 are right in 80 of 100 cases."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppl_gen.checks import whole
from ppl_gen.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Predicted probabilities against observed frequencies, bin by bin; made by `calibration_curve`.

    Attributes:
        predicted: mean probability of each bin that holds rows, (bins,).
        observed: share of them where the event came, (bins,).
        low, high: its 95 % interval (Clopper and Pearson 1934), (bins,).
        counts: rows of each bin, (bins,).
        error: the expected calibration error, the mean of |observed - predicted| weighted by the rows.
    """

    predicted: Array
    observed: Array
    low: Array
    high: Array
    counts: Array

    @property
    def error(self) -> float:
        """Expected calibration error: sum over bins of (rows / all rows) × |observed - predicted|."""
        return float(np.average(abs(self.observed - self.predicted), weights=self.counts))


def calibration_curve(probs: Any, y: Any, *, bins: int = 10, of: int | None = None) -> CalibrationCurve:
    """How often what was predicted with probability p came true (Murphy and Winkler 1977).

    Rows are put in order of their probability and cut into ``bins`` of as many rows each (as nearly as
    may be; equal probabilities stay together). Ties can leave a bin of fewer than half its rows: it joins
    the bin above it, the last one that below. The expected calibration error of a calibrated model is not
    zero: chance alone makes it about the bins' standard error. Compare like with like: same rows, same bins.

    Args:
        probs: (n, classes), the probabilities of each row's classes; or (n,), of the event y = 1.
        y: (n,) classes as codes from 0 up.
        bins: at most so many.
        of: the class whose probability is looked at; None looks, in ``probs`` (n, classes), at the class
            decided for, whose probability is the confidence.

    Raises:
        DataError: the shapes or values do not fit.

    Reference: Naeini, Cooper and Hauskrecht 2015, the expected calibration error (with bins of equal width).

    >>> curve = calibration_curve([0.2, 0.2, 0.2, 0.2, 0.2, 0.9, 0.9], [0, 0, 1, 0, 0, 1, 1], bins=2)
    >>> curve.predicted, curve.observed, round(curve.error, 4)
    (array([0.2, 0.9]), array([0.2, 1. ]), 0.0286)
    """
    from scipy.stats import beta

    p, came = _event(probs, y, of)
    order = p.argsort(kind="stable")
    p, came = p[order], came[order]
    cuts = np.arange(1, whole("bins", bins)) * len(p) // bins
    before, after = (np.searchsorted(p, p[cuts], side) for side in ("left", "right"))
    starts, fewest = [0], len(p) / bins / 2
    for cut in np.unique(np.where(cuts - before <= after - cuts, before, after)):
        if cut - starts[-1] >= fewest and len(p) - cut >= fewest:
            starts.append(int(cut))
    parts = np.split(np.arange(len(p)), starts[1:])
    n, k = np.array([len(part) for part in parts]), np.array([came[part].sum() for part in parts])
    low = np.where(k > 0, beta.ppf(0.025, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, beta.ppf(0.975, k + 1, np.maximum(n - k, 1)), 1.0)
    return CalibrationCurve(np.array([p[part].mean() for part in parts]), k / n, low, high, n)


def _event(probs: Any, y: Any, of: int | None) -> tuple[Array, Array]:
    """The probability of the event that is looked at, and whether it came, for each row."""
    p, codes = (np.asarray(v.detach().cpu() if hasattr(v, "detach") else v) for v in (probs, y))
    p = p.astype(float)
    if p.ndim not in (1, 2) or not len(p) or codes.shape != p.shape[:1]:
        raise DataError(
            f"probs: expected (n, classes) or (n,) and y (n,), got shapes {p.shape} and {codes.shape}"
        )
    if not ((p >= 0) & (p <= 1 + 1e-9)).all() or (p.ndim == 2 and not np.allclose(p.sum(1), 1, atol=1e-6)):
        raise DataError("probs: expected probabilities, which for the classes of a row add up to one")
    classes = p.shape[1] if p.ndim == 2 else 2
    if not np.isin(codes, np.arange(classes)).all():
        raise DataError(f"y: expected codes from 0 to {classes - 1}, got {np.unique(codes)[:5].tolist()}")
    if of is not None and (whole("of", of, least=0) >= classes or p.ndim == 1):
        raise DataError(f"of: expected a column of probs (n, {classes}), got {of}")
    if p.ndim == 1:
        return p, codes == 1
    if of is None:
        return p.max(1), p.argmax(1) == codes
    return p[:, of], codes == of
