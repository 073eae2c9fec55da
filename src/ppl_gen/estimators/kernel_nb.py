"""Kernel naive Bayes as a scikit-learn estimator."""

import warnings
from typing import Any, ClassVar, Self

import numpy as np

from ppl_gen.distributions.bandwidth import SHARING
from ppl_gen.estimators.base import Classifier
from ppl_gen.estimators.class_labels import chosen_prior, encode, labels
from ppl_gen.estimators.kept import lean
from ppl_gen.estimators.private import StrOptions
from ppl_gen.fit import fit
from ppl_gen.models import KernelNaiveBayes
from ppl_gen.posterior import Posterior


class KernelNB(Classifier):
    """Naive Bayes whose p(x | y) are kernel densities (John and Langley 1995), over `KernelNaiveBayes`.

    scikit-learn has no twin; signature and answers are those of `GaussianNB`. The rows themselves are kept,
    and the bandwidths chosen under which each value is most likely given the others. A class without any
    value of a feature has the Normal of all classes there; a constant feature tells nothing. No bandwidth is
    less than half the least distance of two values of a feature, as if these were rounded to that: where no
    class has two of them (all rows of a class are equal there) that is the bandwidth, and of two classes so
    made p(y | x) is 1 / (1 + exp(-2)) = 0.88 at their values, not 1; a warning says so. NaN is a cell that
    was not observed, in ``fit`` and in ``predict``. In ``posterior_`` pi has the prior Dirichlet(1).

    Args:
        bandwidth: "each" class and feature has its own, each "feature" has one, or all have "one"; or
            numbers that fit (n_classes, n_features).
        priors: class probabilities (n_classes,), instead of the frequencies in the data.

    Attributes:
        bandwidth_: (n_classes, n_features). leave_one_out_: the log likelihood, in nats, that chose it.
        class_count_: rows of each class. class_prior_: probabilities of the classes. classes_: the labels.
        posterior_: a `ppl_gen.Posterior`, for `ask`.
        n_features_in_, feature_names_in_: of the rows.

    >>> nb = KernelNB().fit([[0.0], [1.0], [1.2], [8.0], [-7.0]], ["in", "in", "in", "out", "out"])
    >>> nb.predict([[7.0], [0.5]])
    array(['out', 'in'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "bandwidth": [StrOptions(set(SHARING)), "array-like", float, int],
        "priors": ["array-like", None],
    }

    def __init__(self, *, bandwidth: Any = "each", priors: Any = None):
        self.bandwidth = bandwidth
        self.priors = priors

    def fit(self, X: Any, y: Any) -> Self:
        """Keep the rows (n_samples, n_features) of their classes (n_samples,), and choose bandwidths."""
        self._validate_params()
        X, y = self._rows(X, y, reset=True, dtype=np.float64)
        self.classes_ = labels(y)
        codes, classes = encode(y, self.classes_), len(self.classes_)
        chosen = chosen_prior(self.priors, classes)
        self.class_count_ = np.bincount(codes, minlength=classes)
        self.class_prior_ = self.class_count_ / len(codes) if chosen is None else chosen
        if isinstance(self.bandwidth, str):
            _warn_of_still(X, codes)
        self._found = lean(self._fitted(X, codes))
        self.bandwidth_ = self._found.model.bandwidth.numpy()
        self.leave_one_out_ = float(self._found.model.leave_one_out)
        return self

    def _fitted(self, X: np.ndarray, codes: np.ndarray) -> Posterior:
        seen = ~np.isnan(X)
        count = np.maximum(seen.sum(0), 1)
        loc = np.where(seen, X, 0.0).sum(0) / count
        scale = np.sqrt((np.where(seen, X - loc, 0.0) ** 2).sum(0) / count)
        varied = np.array([len(np.unique(c[s])) > 1 for c, s in zip(X.T, seen.T, strict=True)])
        sizes, units = len(self.classes_), {"loc": loc, "scale": np.where(varied, scale, 1.0)}
        bandwidth = self.bandwidth
        if isinstance(bandwidth, str) and not varied.all():  # a constant says nothing of a bandwidth
            h = np.ones((sizes, X.shape[1]))
            if varied.any():
                some = KernelNaiveBayes(sizes, int(varied.sum()), bandwidth=bandwidth)
                h[:, varied] = fit(some, x=X[:, varied], y=codes).model.bandwidth.numpy()
            bandwidth = h
        return fit(KernelNaiveBayes(sizes, X.shape[1], bandwidth=bandwidth, **units), x=X, y=codes)

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior; it holds the rows' values, which are the density."""
        return self._found


def _warn_of_still(X: np.ndarray, codes: np.ndarray) -> None:
    """Tell of columns with one value in every class, but not the same: they say nothing of a bandwidth."""
    if np.bincount(codes).max() < 2:
        return
    with np.errstate(invalid="ignore"):
        still = [
            j
            for j, column in enumerate(X.T)
            if len(values := {(k, v) for k, v in zip(codes.tolist(), column.tolist(), strict=True) if v == v})
            == len({k for k, _ in values})
            and len({v for _, v in values}) > 1
        ]
    if still:
        step = np.diff(np.unique(X[~np.isnan(X[:, still[0]]), still[0]])).min()
        warnings.warn(
            f"X: column {still[0]} has one value in every class, which says nothing of a bandwidth: it is "
            f"taken as rounded, with bandwidth {step / 2:.3g}, half the least step; if its values are "
            f"categories, take CategoricalNB or MixedNB, else pass numbers, bandwidth=…",
            UserWarning,
            stacklevel=4,
        )
