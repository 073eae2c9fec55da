"""Gaussian naive Bayes, as scikit-learn has it."""

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch

from ppl_gen.distributions import Moments, NormalGamma
from ppl_gen.estimators.base import Incremental
from ppl_gen.estimators.class_labels import chosen_prior
from ppl_gen.estimators.kept import known, lean
from ppl_gen.estimators.private import Interval
from ppl_gen.fit import fit
from ppl_gen.inference import Exact
from ppl_gen.models import GaussianNaiveBayes
from ppl_gen.posterior import Posterior

NOTHING = dict.fromkeys(("concentration", "strength", "shape", "rate"), 1e-300)  # a prior worth no rows


class GaussianNB(Incremental):
    """Gaussian naive Bayes, a drop-in for `sklearn.naive_bayes.GaussianNB`, over `GaussianNaiveBayes`.

    The numbers are scikit-learn's: parameters of largest likelihood, which are the posterior means of pi, mu
    and tau under a prior worth no rows, with ``epsilon_`` added to the variances; ``predict_proba`` plugs
    them in. ``posterior_`` is the joint's posterior under a proper prior in units of the data: of each
    feature, loc its mean, strength 0.01, shape 1, rate 0.01 of its variance. Beyond the twin: NaN is a cell
    that was not observed, in ``fit`` and in ``predict``; ``sample``; weights and batches give to the last
    digits what repeated rows and one fit give (so ``epsilon_`` counts weights, and all batches).

    Args:
        priors: class probabilities (n_classes,), instead of the frequencies in the data.
        var_smoothing: the share of the widest feature's variance that is added to all variances.

    Attributes:
        class_count_: rows, or weights, of each class (n_classes,). class_prior_: their probabilities.
        classes_: the labels. epsilon_: what is added to variances.
        theta_, var_: means and variances of each class (n_classes, n_features).
        posterior_: a `ppl_gen.Posterior`, for `ask` and `to_arviz`.
        n_features_in_, feature_names_in_: of the rows.

    >>> nb = GaussianNB().fit([[0.0], [1.0], [5.0], [6.0]], ["low", "low", "high", "high"])
    >>> nb.predict([[0.4], [float("nan")]])
    array(['low', 'high'], dtype='<U4')
    >>> rows, classes = nb.sample(3, y="low", random_state=0)
    >>> rows.shape
    (3, 1)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "priors": ["array-like", None],
        "var_smoothing": [Interval(Real, 0, None, closed="left")],
    }

    _counted: Posterior  # under a prior worth no rows

    def __init__(self, *, priors: Any = None, var_smoothing: float = 1e-9):
        self.priors = priors
        self.var_smoothing = var_smoothing

    def _learn(self, X: Any, codes: np.ndarray, weights: Any, first: bool) -> None:
        if first:
            self._chosen = chosen_prior(self.priors, len(self.classes_))
        prior = (
            GaussianNaiveBayes(len(self.classes_), X.shape[1], **NOTHING) if first else self._counted.prior
        )
        found = fit(prior if first else self._counted, Exact(weights=weights), x=X, y=codes)
        n = len(codes) if first else self._counted.n + len(codes)
        self._counted = replace(lean(found), prior=prior, n=n, shapes=found.shapes_of(n))
        self.class_count_ = self._counted.model.concentration.numpy()
        frequencies = self.class_count_ / self.class_count_.sum()
        self.class_prior_ = frequencies if self._chosen is None else self._chosen
        rows = self._moments
        centre, spread = rows.pooled()
        rounding = max(1e-15 * float(centre.abs().max()), 1e-140) ** 2
        widest = float(spread.max())
        unit = widest if widest > rounding else 1.0  # 1: the rows are constant
        self.epsilon_ = np.float64(self.var_smoothing * unit)
        mean, precision = NormalGamma(rows.mean, rows.counts, rows.counts / 2, rows.squares / 2).point(0.0)
        self.theta_, self.var_ = mean.numpy(), 1 / precision.numpy() + self.epsilon_

    @property
    def _moments(self) -> Moments:
        """Of the rows so far."""
        after, before = (p.family("features") for p in (self._counted.model, self._counted.prior))
        return after.moments(before)

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior under a proper prior in units of the data."""
        loc, spread = self._moments.pooled()
        spread = torch.where(spread > 0, spread, self.epsilon_ or 1.0)
        prior = GaussianNaiveBayes(*self.theta_.shape, loc=loc, rate=0.01 * spread)
        features = prior.family("features").given(self._moments)
        return known(prior, self._counted.n, self.class_count_, features)

    def _asked(self) -> GaussianNaiveBayes:
        return GaussianNaiveBayes(*self.theta_.shape)

    def _point(self) -> dict[str, Any]:
        return {"mu": self.theta_, "tau": 1 / self.var_}
