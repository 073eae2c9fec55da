"""What naive Bayes for zeros and ones, counts and categories shares: its prior, and counting."""

import warnings
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import scipy.sparse

from ppl_gen.core import Conjugate
from ppl_gen.errors import DataError
from ppl_gen.estimators.base import Incremental, naming
from ppl_gen.estimators.class_labels import chosen_prior
from ppl_gen.estimators.private import Interval

MOST = 1e100  # an alpha that leaves digits to sums, and their squares, of many
LEAST = 1e-10  # scikit-learn's least alpha, where it is not forced
NOTHING = 1e-300  # in the place of an alpha of 0: a prior worth no rows that leaves no log of zero


class Discrete(Incremental):
    """Naive Bayes of a family whose posterior adds the counts of the data to those of the prior, alpha."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like"],
        "fit_prior": ["boolean"],
        "class_prior": ["array-like", None],
        "force_alpha": ["boolean"],
    }
    alpha: Any
    force_alpha: bool
    fit_prior: bool
    class_prior: Any

    def _learn(self, X: Any, codes: np.ndarray, weights: Any, first: bool) -> None:
        classes = len(self.classes_)
        chosen = chosen_prior(self.class_prior, classes, "class_prior")
        worth = np.ones(len(codes)) if weights is None else weights
        if first:
            self.class_count_ = np.zeros(classes)
            self._n_rows = 0
        self._n_rows += len(codes)
        self.class_count_ = self.class_count_ + np.bincount(codes, worth, minlength=classes)
        self._count(X, codes, worth, first)
        if chosen is None:
            chosen = self.class_count_ if self.fit_prior else np.ones(classes)
        with np.errstate(divide="ignore"):  # a class that was not seen yet
            self.class_log_prior_ = np.log(chosen) - np.log(chosen.sum())
        self._alpha = np.maximum(self._check_alpha(), NOTHING)
        self._smooth(self._alpha)

    def _count(self, X: Any, codes: np.ndarray, worth: np.ndarray, first: bool) -> None:
        """Add the counts of these rows, of which each is worth its weight."""
        raise NotImplementedError

    def _smooth(self, alpha: Any) -> None:
        """The posterior means of the probabilities, where every count has ``alpha`` as its prior's."""
        raise NotImplementedError

    def _check_alpha(self) -> Any:
        """``alpha``, by scikit-learn's rules and with its messages."""
        alpha: Any = self.alpha
        if not isinstance(alpha, Real):
            with naming("alpha"):
                alpha = np.asarray(alpha, dtype=np.float64)
        if isinstance(alpha, np.ndarray):
            if alpha.shape[0] != self.n_features_in_:
                raise ValueError(
                    "When alpha is an array, it should contains `n_features`. "
                    f"Got {alpha.shape[0]} elements instead of {self.n_features_in_}."
                )
            if alpha.min() < 0:
                raise ValueError("All values in alpha must be greater than 0.")
        if not np.all(np.less_equal(alpha, MOST)):
            each = np.ravel(alpha)
            place = int(np.argmin(each <= MOST))
            where = f" in place {place}" if len(each) > 1 else ""
            raise DataError(f"alpha: expected numbers from 0 to {MOST:g}, got {each[place]:g}{where}")
        if np.min(alpha) < LEAST and not self.force_alpha:
            warnings.warn(
                f"alpha too small will result in numeric errors, setting alpha = {LEAST:.1e}. Use "
                f"`force_alpha=True` to keep alpha unchanged.",
                stacklevel=6,
            )
            return np.maximum(alpha, LEAST)
        return alpha

    def _asked(self) -> Conjugate:
        """The joint with its prior."""
        raise NotImplementedError


def sums(rows: Any, codes: np.ndarray, worth: np.ndarray, classes: int) -> np.ndarray:
    """The weighted sum of the rows of each class (classes, features), of dense or sparse rows."""
    member = scipy.sparse.csr_matrix((worth, (codes, np.arange(len(codes)))), (classes, len(codes)))
    found = member @ rows
    return found.toarray() if scipy.sparse.issparse(found) else np.asarray(found)
