"""Every estimator with rows it is made for; a new one joins by a line."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import discriminant_analysis, naive_bayes

from ppl_gen import estimators as ours

Rows = tuple[np.ndarray, np.ndarray]


def reals(rng: np.random.Generator, n: int) -> Rows:
    """Three Normal classes, each with at least two rows for every feature."""
    y = np.concatenate([np.repeat([0, 1, 2], 6), rng.integers(0, 3, n - 18)])
    return rng.normal(size=(n, 3)) * [1.0, 2.0, 0.5] + rng.normal(size=(3, 3))[y], y


def two(rng: np.random.Generator, n: int) -> Rows:
    """Two Normal classes."""
    X, y = reals(rng, n)
    return X[y < 2], y[y < 2]


def bits(rng: np.random.Generator, n: int) -> Rows:
    """Zeros and ones of three classes."""
    y = np.concatenate([[0, 1, 2], rng.integers(0, 3, n - 3)])
    return (rng.random((n, 4)) < rng.random((3, 4))[y]).astype(float), y


def counts(rng: np.random.Generator, n: int) -> Rows:
    """Counts of three classes."""
    _, y = bits(rng, n)
    return rng.poisson(rng.gamma(1.0, 4.0, (3, 4))[y]).astype(float), y


def codes(rng: np.random.Generator, n: int) -> Rows:
    """Category codes of three classes; the first row shows the highest of each feature."""
    _, y = bits(rng, n)
    X = rng.integers(0, [3, 2, 5], (n, 3)).astype(float)
    X[0] = [2, 1, 4]
    return X, y


@dataclass(frozen=True)
class Case:
    """An estimator and what is known of it.

    Attributes:
        make: a new one.
        rows: of a generator and a number.
        twin: scikit-learn's, if there is one.
        affine: whether shifting features, and scaling all alike, changes nothing.
        digits: to which invariances hold, as an absolute tolerance of probabilities.
    """

    make: Callable[[], Any]
    rows: Callable[[np.random.Generator, int], Rows]
    twin: Callable[..., Any] | None = None
    affine: bool = False
    digits: float = 1e-9


CASES = {
    "GaussianNB": Case(ours.GaussianNB, reals, naive_bayes.GaussianNB, affine=True),
    "GaussianNB, smoothed": Case(
        lambda: ours.GaussianNB(var_smoothing=0.3, priors=[0.2, 0.3, 0.5]), reals, affine=True
    ),
    "BernoulliNB": Case(ours.BernoulliNB, bits, naive_bayes.BernoulliNB),
    "MultinomialNB": Case(ours.MultinomialNB, counts, naive_bayes.MultinomialNB),
    "CategoricalNB": Case(lambda: ours.CategoricalNB(min_categories=[3, 2, 5]), codes),
    "KernelNB": Case(ours.KernelNB, reals, affine=True, digits=1e-5),  # bandwidths end at 1e-8 in log h
    "MixedNB": Case(
        lambda: ours.MixedNB(columns=dict.fromkeys(["x0", "x1", "x2"], "gaussian")), reals, affine=True
    ),
    "LinearDiscriminantAnalysis": Case(
        ours.LinearDiscriminantAnalysis, reals, discriminant_analysis.LinearDiscriminantAnalysis, affine=True
    ),
    "LinearDiscriminantAnalysis, two classes": Case(
        lambda: ours.LinearDiscriminantAnalysis(solver="eigen"), two, affine=True
    ),
    "QuadraticDiscriminantAnalysis": Case(
        lambda: ours.QuadraticDiscriminantAnalysis(tol=0.0), reals, affine=True, digits=1e-7
    ),
}
LATENT = {"PPCA", "VAE", "BayesianLinearRegression", "GaussianMixture", "LogisticRegression"}  # test_latent_….py
EVERY = sorted(set(ours.__all__) - LATENT)
