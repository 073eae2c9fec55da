"""Multinomial naive Bayes, as scikit-learn has it."""

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from scipy.special import gammaln
from sklearn.utils.validation import check_non_negative

from ppl_gen.distributions import DirichletGamma
from ppl_gen.estimators.discrete import NOTHING, Discrete, sums
from ppl_gen.estimators.kept import known
from ppl_gen.models import MultinomialNaiveBayes
from ppl_gen.posterior import Posterior


class MultinomialNB(Discrete):
    """Multinomial naive Bayes, a drop-in for `sklearn.naive_bayes.MultinomialNB`: `MultinomialNaiveBayes`.

    ``alpha`` is the prior Dirichlet(alpha) of the features' shares theta of each class; ``predict_proba``
    plugs their posterior mean in. The class prior is that of the data, worth no prior rows; in
    ``posterior_`` pi has the prior Dirichlet(1), and lam, the expected total of a row, Gamma(1, 0.01).
    Joint log probabilities leave out what is the same for all classes, as scikit-learn's do. Counts may be
    fractions, such as tf-idf. Beyond the twin: ``sample``, which draws whole counts; an alpha of 0 gives no
    NaN. A missing count would leave the row's total open, and is refused. Sparse rows stay sparse.

    Args:
        alpha: prior count of each feature in each class; or one for each feature.
        force_alpha: False raises an alpha below 1e-10 to that.
        fit_prior: False takes equal class probabilities. class_prior: (n_classes,), instead of either.

    Attributes:
        class_count_: rows, or weights, of each class. class_log_prior_: log p(y) (n_classes,).
        classes_: the labels. feature_count_: sums of each class (n_classes, n_features).
        feature_log_prob_: log theta (n_classes, n_features).
        posterior_: a `ppl_gen.Posterior`, for `ask` and `to_arviz`.
        n_features_in_, feature_names_in_: of the rows.

    >>> nb = MultinomialNB().fit([[3, 0, 1], [0, 2, 2]], ["spam", "ham"])
    >>> nb.predict_proba([[2, 0, 0]]).round(3)
    array([[0.059, 0.941]])
    """

    missing = False
    sparse = True
    feature_count_: np.ndarray
    _log_base: float  # of the counts seen, log 1/x!

    def __init__(
        self, *, alpha: Any = 1.0, force_alpha: bool = True, fit_prior: bool = True, class_prior: Any = None
    ):
        self.alpha = alpha
        self.force_alpha = force_alpha
        self.fit_prior = fit_prior
        self.class_prior = class_prior

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # on real numbers, as the twin's
        tags.input_tags.positive_only = True
        return tags

    def _rows(self, X: Any, y: Any = "no_validation", *, reset: bool = False, **options: Any) -> Any:
        found = super()._rows(X, y, reset=reset, **options)
        check_non_negative(found if isinstance(y, str) else found[0], "MultinomialNB (input X)")
        return found

    def _count(self, X: Any, codes: np.ndarray, worth: np.ndarray, first: bool) -> None:
        counts = sums(X, codes, worth, len(self.classes_)).astype(np.float64)
        terms = X.copy() if issparse(X) else X
        if issparse(terms):  # log 0! is zero
            terms.data = gammaln(terms.data + 1.0)
        else:
            terms = gammaln(terms + 1.0)
        base = -float(worth @ np.asarray(terms.sum(1)).ravel())
        self.feature_count_ = counts if first else self.feature_count_ + counts
        self._log_base = base if first else self._log_base + base

    def _smooth(self, alpha: Any) -> None:
        counts = self.feature_count_ + alpha
        self.feature_log_prob_ = np.log(counts) - np.log(counts.sum(1, keepdims=True))

    def _asked(self) -> MultinomialNaiveBayes:
        return MultinomialNaiveBayes(*self.feature_count_.shape, pseudocount=self._alpha)

    def _point(self) -> dict[str, Any]:
        length = max(self.feature_count_.sum() / self.class_count_.sum(), NOTHING)
        return {"theta": np.exp(self.feature_log_prob_), "lam": length}

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior: the counts of the data added to those of the prior."""
        prior = self._asked()
        features = DirichletGamma(
            prior.pseudocount + torch.tensor(self.feature_count_),
            prior.shape + self.feature_count_.sum(),
            prior.rate + self.class_count_.sum(),
            prior.log_base + self._log_base,
        )
        return known(prior, self._n_rows, self.class_count_, features)

    def _joint_log_proba(self, X: Any) -> np.ndarray:
        """The joint's log p(x, y) less what all classes share, by a product that keeps sparse rows sparse."""
        scores: np.ndarray = X @ self.feature_log_prob_.T + self.class_log_prior_
        return scores
