"""Categorical naive Bayes, as scikit-learn has it."""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_non_negative

from ppl_gen.distributions import Dirichlets
from ppl_gen.errors import DataError
from ppl_gen.estimators.discrete import Discrete
from ppl_gen.estimators.kept import known
from ppl_gen.estimators.private import Interval
from ppl_gen.models import CategoricalNaiveBayes
from ppl_gen.posterior import Posterior

MOST = 1_000_000  # categories that a feature may have: each costs memory


class CategoricalNB(Discrete):
    """Categorical naive Bayes, a drop-in for `sklearn.naive_bayes.CategoricalNB`: `CategoricalNaiveBayes`.

    ``alpha`` is the prior Dirichlet(alpha) of the categories of each feature and class, and
    ``predict_proba`` the posterior predictive: theta is integrated out, which here is the same as its
    posterior mean plugged in. The class prior is that of the data, worth no prior rows; in ``posterior_``
    pi has the prior Dirichlet(1). Beyond the twin: NaN is a cell that was not observed, in ``fit`` and in
    ``predict``; ``sample``; ``n_categories_`` counts all batches; a number that is no category is read
    as the whole number below it with a warning, and a category never declared is refused by name.

    Args:
        alpha: prior rows of each category. force_alpha: False raises an alpha below 1e-10 to that.
        fit_prior: False takes equal class probabilities. class_prior: (n_classes,), instead of either.
        min_categories: the least number of categories, of all features or of each (n_features,).

    Attributes:
        category_count_: for each feature, rows (n_classes, categories). feature_log_prob_: log theta, alike.
        class_count_: rows, or weights, of each class. class_log_prior_: log p(y) (n_classes,).
        classes_: the labels. n_categories_: of each feature (n_features,).
        posterior_: a `ppl_gen.Posterior`, for `ask` and `to_arviz`.
        n_features_in_, feature_names_in_: of the rows.

    >>> nb = CategoricalNB().fit([[0, 2], [1, 2], [1, 0]], ["a", "b", "b"])
    >>> nb.predict_proba([[1, float("nan")]]).round(3)
    array([[0.182, 0.818]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Discrete._parameter_constraints,
        "min_categories": [None, "array-like", Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
    }

    category_count_: list[np.ndarray]

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        force_alpha: bool = True,
        fit_prior: bool = True,
        class_prior: Any = None,
        min_categories: Any = None,
    ):
        self.alpha = alpha
        self.force_alpha = force_alpha
        self.fit_prior = fit_prior
        self.class_prior = class_prior
        self.min_categories = min_categories

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.positive_only = True
        return tags

    def _rows(self, X: Any, y: Any = "no_validation", *, reset: bool = False, **options: Any) -> Any:
        found = super()._rows(X, y, reset=reset, dtype=np.float64, **options)
        codes = found if isinstance(y, str) else found[0]
        check_non_negative(codes, "CategoricalNB (input X)")
        whole = np.floor(codes)
        broken = codes[codes > whole]
        if len(broken):
            warnings.warn(
                f"X: expected categories as whole numbers, got {broken[0]:g}; took the whole number below",
                stacklevel=5,
            )
        return whole if isinstance(y, str) else (whole, found[1])

    def _levels(self, X: np.ndarray) -> np.ndarray:
        """The categories of each feature, of these rows and as declared."""
        largest = np.where(np.isnan(X), 0.0, X).max(0)
        if (largest >= MOST).any():
            column = int(largest.argmax())
            raise DataError(
                f"X: expected categories 0, 1, 2, … below {MOST}, got {largest[column]:g} in column "
                f"{column}: number those that occur, sklearn.preprocessing.OrdinalEncoder().fit_transform(X)"
            )
        here = largest.astype(np.int64) + 1
        if self.min_categories is None:
            return here
        least = np.asarray(self.min_categories)
        if not np.issubdtype(least.dtype, np.signedinteger):
            raise ValueError(f"'min_categories' should have integral type. Got {least.dtype} instead.")
        if least.shape not in ((), here.shape):
            raise ValueError(
                f"'min_categories' should have shape ({X.shape[1]},) when an array-like is provided. Got "
                f"{least.shape} instead."
            )
        if least.max() > MOST:
            raise DataError(f"min_categories: expected at most {MOST}, got {least.max()}")
        return np.maximum(here, least)

    def _count(self, X: Any, codes: np.ndarray, worth: np.ndarray, first: bool) -> None:
        classes, here, empty = len(self.classes_), self._levels(X), np.isnan(X).all(0)
        if first and self.min_categories is None and empty.any():
            raise DataError(
                f"X: expected a category at least in every column, got none in column {int(empty.argmax())}: "
                f"leave it out, or declare how many there are by min_categories"
            )
        before = [np.zeros((classes, 0))] * len(here) if first else self.category_count_
        self.n_categories_ = np.array([max(n, c.shape[1]) for n, c in zip(here, before, strict=True)])
        self.category_count_ = []
        for cells, n, old in zip(X.T, self.n_categories_, before, strict=True):
            there = ~np.isnan(cells)
            place = codes[there] * n + cells[there].astype(np.int64)
            summed = np.bincount(place, worth[there], minlength=classes * n)
            counts = summed.astype(np.float64).reshape(classes, n)  # of no cells at all they are whole
            counts[:, : old.shape[1]] += old
            self.category_count_.append(counts)

    def _smooth(self, alpha: Any) -> None:
        each = [counts + alpha for counts in self.category_count_]
        self.feature_log_prob_ = [np.log(c) - np.log(c.sum(1, keepdims=True)) for c in each]

    def _asked(self) -> CategoricalNaiveBayes:
        levels = self.n_categories_.tolist()
        return CategoricalNaiveBayes(len(self.classes_), len(levels), levels=levels, pseudocount=self._alpha)

    def _point(self) -> dict[str, Any]:
        return {"theta": np.exp(np.concatenate(self.feature_log_prob_, 1))}

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior: the counts of the data added to those of the prior."""
        prior = self._asked()
        counts = torch.tensor(np.concatenate(self.category_count_, 1))
        return known(
            prior, self._n_rows, self.class_count_, Dirichlets(prior.pseudocount + counts, prior.levels)
        )

    def _joint_log_proba(self, X: Any) -> np.ndarray:
        strange = np.argwhere(self.n_categories_ <= X)
        if len(strange):
            row, column = strange[0]
            raise ValueError(
                f"X: expected categories 0 to {self.n_categories_[column] - 1} in column {column}, got "
                f"{X[row, column]:g} in row {row}. Declare further ones by min_categories; they have their "
                f"prior's probability"
            )
        return super()._joint_log_proba(X)
