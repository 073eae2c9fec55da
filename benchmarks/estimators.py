"""`LogisticRegression` and `PPCA` of `ppl_gen.estimators` against scikit-learn's, all checks included."""

from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from benchmarks.measure import Comparison, compare
from ppl_gen.estimators import PPCA, LogisticRegression

FEATURES, AXES = 20, 5
LIMITS = """\
Where ours takes longer, this is why. `LogisticRegression` goes on to Newton's mode, to 4e-6 of a standard
deviation, and keeps the Gaussian about it and the evidence, where the peer ends at a slope of 1e-4: at 2,000
rows of 5 classes (1.6 times) the curvature of 105 weights takes as long as the way there, and at 1,000 of 2
classes it is some 60 operations on small matrices, each of which costs more to call than to do. Below 10,000
rows `PPCA` pays 0.2 to 0.3 ms a fit for the density and its evidence, and both pay 0.05 ms a question for
checks. `PPCA` takes the mean from the rows before it multiplies them: that costs a copy, and keeps the digits
of features far from zero.
"""


def logistic(repeats: int, largest: int = 100_000) -> Iterator[Comparison]:
    for n, k in ((1_000, 2), (10_000, 2), (largest, 2), (2_000, 5), (10_000, 5), (largest, 5)):
        generator = np.random.default_rng(0)
        x = generator.standard_normal((n, FEATURES))
        scores = x @ generator.standard_normal((FEATURES, k)) + generator.gumbel(size=(n, k))
        yield from _logistic(f"{n:,} × {FEATURES}, {k} classes", x, scores.argmax(1), repeats)
    x, y = load_digits(return_X_y=True)
    yield from _logistic("digits, 1,797 × 64, 10 classes", x / 16, y, repeats)


def _logistic(what: str, x: np.ndarray, y: np.ndarray, repeats: int) -> Iterator[Comparison]:
    ours, theirs = LogisticRegression(max_iter=1000).fit(x, y), SklearnLogisticRegression(max_iter=1000)
    exact = SklearnLogisticRegression(max_iter=1000, solver="newton-cholesky", tol=1e-10).fit(x, y)
    atol = 1e-4 if ours._found.root is not None else 2e-2  # else ours ends as theirs does, by tol
    np.testing.assert_allclose(ours.predict_proba(x), exact.predict_proba(x), rtol=0, atol=atol)
    theirs.fit(x, y)
    yield compare(f"fit, {what}", lambda: ours.fit(x, y), lambda: theirs.fit(x, y), repeats)
    yield compare(
        f"predict_proba, {what}", lambda: ours.predict_proba(x), lambda: theirs.predict_proba(x), repeats
    )


def principal(repeats: int, largest: int = 100_000) -> Iterator[Comparison]:
    shapes = ((1_000, FEATURES), (10_000, FEATURES), (largest, FEATURES), (5_000, 200), (200, 2_000))
    for n, d in shapes:
        generator = np.random.default_rng(0)
        codes = generator.standard_normal((n, AXES))
        x = 2 * codes @ generator.standard_normal((AXES, d)) + generator.standard_normal((n, d))
        yield from _principal(f"{n:,} × {d:,}", x, AXES, repeats)
    yield from _principal("digits, 1,797 × 64", load_digits().data, 8, repeats)


def _principal(what: str, x: np.ndarray, axes: int, repeats: int) -> Iterator[Comparison]:
    ours, theirs = PPCA(axes).fit(x), PCA(axes).fit(x)
    if len(x) > x.shape[1]:  # else theirs is a sketch
        np.testing.assert_allclose(ours.score_samples(x), theirs.score_samples(x), rtol=1e-6)
    yield compare(f"fit, {what} to {axes}", lambda: ours.fit(x), lambda: theirs.fit(x), repeats)
    for name in ("transform", "score_samples"):
        one, other = getattr(ours, name), getattr(theirs, name)
        yield compare(f"{name}, {what}", lambda: one(x), lambda: other(x), repeats)  # noqa: B023
