"""Gaussian naive Bayes against scikit-learn: the same rows, the same answers, all checks included."""

from collections.abc import Iterator

import numpy as np
from sklearn.naive_bayes import GaussianNB

from benchmarks.measure import Comparison, compare
from ppl_gen import Exact, MaximumLikelihood, ask, fit
from ppl_gen.models import GaussianNaiveBayes

CLASSES, FEATURES = 5, 20


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = generator.integers(0, CLASSES, n)
    x = generator.standard_normal((n, FEATURES))
    x += generator.standard_normal((CLASSES, FEATURES))[y]
    return x, y


def anchors(repeats: int, n: int = 1_000_000) -> Iterator[Comparison]:
    x, y = rows(n)
    nb, theirs = GaussianNaiveBayes(CLASSES, FEATURES), GaussianNB().fit(x, y)
    for method, target in ((Exact(), 0.3), (MaximumLikelihood(), 0.3)):
        name = type(method).__name__
        yield compare(
            f"fit, {name}",
            lambda m=method: fit(nb, m, x=x, y=y),
            lambda: GaussianNB().fit(x, y),
            repeats,
            target,
        )
    for method, target in ((MaximumLikelihood(), 0.4), (Exact(), None)):
        name = type(method).__name__
        posterior = fit(nb, method, x=x, y=y)
        probs = ask(posterior, "p(y | x)", x=x).probs.numpy()
        atol = 1e-8 if target else 1e-2  # the exact predictive is a Student-t
        np.testing.assert_allclose(probs, theirs.predict_proba(x), rtol=0, atol=atol)
        yield compare(
            f"p(y \\| x), {name}",
            lambda p=posterior: ask(p, "p(y | x)", x=x).probs,
            lambda: theirs.predict_proba(x),
            repeats,
            target,
        )


def growth(largest: int, repeats: int) -> Iterator[Comparison]:
    """Fit and classify at 1,000 rows and every tenfold up to ``largest``."""
    n = 1000
    while n <= largest:
        yield from _at(n, repeats if n <= 1_000_000 else min(repeats, 6))
        n *= 10


def _at(n: int, repeats: int) -> Iterator[Comparison]:
    x, y = rows(n)
    nb = GaussianNaiveBayes(CLASSES, FEATURES)
    ours, theirs = fit(nb, MaximumLikelihood(), x=x, y=y), GaussianNB().fit(x, y)
    yield compare(
        f"fit, {n:,} rows", lambda: fit(nb, x=x, y=y), lambda: GaussianNB().fit(x, y), repeats, rows=n
    )
    yield compare(
        f"p(y \\| x), {n:,} rows",
        lambda: ask(ours, "p(y | x)", x=x).probs,
        lambda: theirs.predict_proba(x),
        repeats,
        rows=n,
    )
