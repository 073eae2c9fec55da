"""Bernoulli naive Bayes, as scikit-learn has it."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.preprocessing import binarize

from ppl_gen.distributions import Beta
from ppl_gen.estimators.discrete import Discrete, sums
from ppl_gen.estimators.kept import known
from ppl_gen.estimators.private import Interval
from ppl_gen.models import BernoulliNaiveBayes
from ppl_gen.posterior import Posterior


class BernoulliNB(Discrete):
    """Bernoulli naive Bayes, a drop-in for `sklearn.naive_bayes.BernoulliNB`, over `BernoulliNaiveBayes`.

    ``alpha`` is the prior Beta(alpha, alpha) of every theta, and ``predict_proba`` the posterior predictive:
    theta is integrated out, which here is the same as its posterior mean plugged in. The class prior is that
    of the data, worth no prior rows; in ``posterior_`` pi has the prior Dirichlet(1). Beyond the twin: NaN is
    a cell that was not observed, in ``fit`` and in ``predict``; ``sample``; an alpha of 0 gives no NaN; cells
    other than zeros and ones are refused where ``binarize`` is None. Sparse rows stay sparse.

    Args:
        alpha: prior rows with a one, and prior rows with a zero, of each class; or one for each feature.
        force_alpha: False raises an alpha below 1e-10 to that.
        binarize: cells above it are ones; None takes the cells as they are.
        fit_prior: False takes equal class probabilities. class_prior: (n_classes,), instead of either.

    Attributes:
        class_count_: rows, or weights, of each class. class_log_prior_: log p(y) (n_classes,).
        classes_: the labels. feature_count_: ones of each class (n_classes, n_features).
        feature_log_prob_: log p(x = 1 | y) (n_classes, n_features).
        posterior_: a `ppl_gen.Posterior`, for `ask` and `to_arviz`.
        n_features_in_, feature_names_in_: of the rows.

    >>> nb = BernoulliNB().fit([[1, 0], [1, 1], [0, 1]], ["spam", "spam", "ham"])
    >>> nb.predict_proba([[1, float("nan")]]).round(3)
    array([[0.182, 0.818]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Discrete._parameter_constraints,
        "binarize": [None, Interval(Real, 0, None, closed="left")],
    }

    sparse = True
    feature_count_: np.ndarray
    _zeros: np.ndarray  # of each class, as feature_count_ counts ones

    def __init__(
        self,
        *,
        alpha: Any = 1.0,
        force_alpha: bool = True,
        binarize: float | None = 0.0,
        fit_prior: bool = True,
        class_prior: Any = None,
    ):
        self.alpha = alpha
        self.force_alpha = force_alpha
        self.binarize = binarize
        self.fit_prior = fit_prior
        self.class_prior = class_prior

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # on real numbers, as the twin's
        return tags

    def _rows(self, X: Any, y: Any = "no_validation", *, reset: bool = False, **options: Any) -> Any:
        found = super()._rows(X, y, reset=reset, **options)
        return self._bits(found) if isinstance(y, str) else (self._bits(found[0]), found[1])

    def _bits(self, X: Any) -> Any:
        """Zeros and ones, and NaN where a cell is missing."""
        if issparse(X):
            if np.isnan(X.data).any():
                raise ValueError("X: expected no NaN in sparse rows, got some: pass X.toarray()")
            bits = X if self.binarize is None else binarize(X, threshold=self.binarize)
        elif self.binarize is None:
            bits = X.astype(np.float64)
        else:
            bits = np.where(np.isnan(X), np.nan, self.binarize < X)
        cells = bits.data if issparse(bits) else bits
        legal = np.isnan(cells) | (cells == 0) | (cells == 1)
        if not legal.all():
            raise ValueError(
                f"X: expected zeros and ones, since binarize is None, got {cells[~legal][0]:g}. Pass the "
                f"threshold above which a cell is a one, binarize=…"
            )
        return bits

    def _count(self, X: Any, codes: np.ndarray, worth: np.ndarray, first: bool) -> None:
        classes = len(self.classes_)
        bits, gone = _known(X)
        ones = sums(bits, codes, worth, classes)
        zeros = np.bincount(codes, worth, minlength=classes)[:, None] - ones
        if gone is not None:
            zeros -= sums(gone, codes, worth, classes)
        self.feature_count_ = ones if first else self.feature_count_ + ones
        self._zeros = zeros if first else self._zeros + zeros

    def _smooth(self, alpha: Any) -> None:
        ones, zeros = self.feature_count_ + alpha, self._zeros + alpha
        self.feature_log_prob_ = np.log(ones) - np.log(ones + zeros)
        self._log_zero = np.log(zeros) - np.log(ones + zeros)

    def _asked(self) -> BernoulliNaiveBayes:
        return BernoulliNaiveBayes(*self.feature_count_.shape, ones=self._alpha, zeros=self._alpha)

    def _point(self) -> dict[str, Any]:
        return {"theta": np.exp(self.feature_log_prob_)}

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior: the counts of the data added to those of the prior."""
        prior = self._asked()
        features = Beta(
            prior.ones + torch.tensor(self.feature_count_), prior.zeros + torch.tensor(self._zeros)
        )
        return known(prior, self._n_rows, self.class_count_, features)

    def _joint_log_proba(self, X: Any) -> np.ndarray:
        """The joint's log p(x, y), by products that leave sparse rows sparse."""
        bits, gone = _known(X)
        scores: np.ndarray = bits @ (self.feature_log_prob_ - self._log_zero).T
        scores += self._log_zero.sum(1) + self.class_log_prior_
        return scores if gone is None else scores - gone @ self._log_zero.T


def _known(X: Any) -> tuple[Any, np.ndarray | None]:
    """The cells with zeros where they are missing, and where that is, if anywhere."""
    gone = None if issparse(X) else np.isnan(X)
    return (X, None) if gone is None or not gone.any() else (np.where(gone, 0.0, X), gone)
