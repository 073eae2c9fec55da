"""What linear and quadratic discriminant analysis share: classes of rows with full covariances."""

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf, shrunk_covariance
from sklearn.preprocessing import StandardScaler

from ppl_gen.errors import DataError
from ppl_gen.estimators.base import Classifier
from ppl_gen.estimators.class_labels import encode
from ppl_gen.estimators.kept import known, lean
from ppl_gen.fit import fit
from ppl_gen.inference import EM, Exact
from ppl_gen.models import QuadraticDiscriminantAnalysis
from ppl_gen.posterior import Posterior

# A prior worth no rows. The degrees of freedom, which no estimate reads, leave its density finite.
NOTHING: dict[str, Any] = {"concentration": 1e-300, "strength": 1e-300, "scatter": 1e-300, "freedom": 1.0}


class Discriminant(Classifier):
    """A classifier by multivariate Normal classes.

    What is known of the rows: ``_counts`` (n_classes,), ``means_`` (n_classes, n_features) and ``_roots``
    (n_classes, n_features, n_features), L of each class, where L Lᵀ is its covariance of largest likelihood;
    and ``_found``, if cells were missing, the point that `EM` found.
    """

    model = QuadraticDiscriminantAnalysis
    solver: str
    shrinkage: Any
    covariance_estimator: Any
    _found: Posterior | None

    @property
    def missing(self) -> bool:  # type: ignore[override]
        """Whether NaN may stand for "not observed": Ledoit and Wolf, and others, need whole rows."""
        return self.covariance_estimator is None and not isinstance(self.shrinkage, str)

    def _learn(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Counts, means and covariances of the classes by the joint; returns the rows' codes."""
        codes, sizes = encode(y, self.classes_), (len(self.classes_), X.shape[1])
        self._counts, self._found = np.bincount(codes, minlength=len(self.classes_)), None
        if np.isnan(X).any():
            self._found = lean(fit(self.model(*sizes), EM(), x=X, y=codes))
            self.means_ = self._found.point["mu"].numpy()
            self._roots = self._found.point["sigma"].numpy() * np.ones((sizes[0], 1, 1))
            return codes
        rows = fit(QuadraticDiscriminantAnalysis(*sizes, **NOTHING), Exact(), x=X, y=codes).model
        self.means_ = rows.loc.numpy()
        factor = rows.factor.numpy()
        factor = np.where(np.abs(factor) < 1e-140, 0.0, factor)  # the prior's own, of a constant feature
        self._roots = factor / np.sqrt(self._counts)[:, None, None]
        return codes

    def _refuse_still(self) -> None:
        """Name columns that do not vary within any class but differ between them: evidence without end."""
        far = 1e-14 * np.abs(self.means_).max(0)
        still = (np.sqrt(np.square(self._roots).sum(-1)) <= far).all(0)
        apart = np.flatnonzero(still & (np.ptp(self.means_, axis=0) > far))
        if not len(apart) or self.covariance_estimator is not None:
            return
        text = (
            f"X: expected features that vary within a class, got column {apart[0]}, which does not and "
            f"differs between classes: it tells them apart by itself, and leaves no covariance to estimate"
        )
        if still.all():
            raise DataError(text)
        if not self.shrinkage:
            warnings.warn(f"{text}; as in scikit-learn it is left aside", stacklevel=4)

    def _covariance(self, rows: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """The covariance of ``rows`` that the settings ask for; ``plain`` is that of largest likelihood."""
        if self.covariance_estimator is None and not isinstance(self.shrinkage, str):
            return shrunk_covariance(plain, self.shrinkage) if self.shrinkage else plain
        if self.covariance_estimator is None:
            scaler = StandardScaler()
            found = ledoit_wolf(scaler.fit_transform(rows))[0]
            return scaler.scale_[:, None] * found * scaler.scale_
        if self.shrinkage is not None and self.shrinkage != 0:
            raise ValueError(
                "covariance_estimator and shrinkage parameters are not None. Only one of the two can be set."
            )
        self.covariance_estimator.fit(rows)
        if not hasattr(self.covariance_estimator, "covariance_"):
            raise ValueError(
                f"{type(self.covariance_estimator).__name__} does not have a covariance_ attribute"
            )
        return np.atleast_2d(self.covariance_estimator.covariance_)

    def _refuse_for_svd(self, sentence: str) -> None:
        if self.shrinkage is not None:
            raise NotImplementedError("shrinkage not supported with 'svd' solver.")
        if self.covariance_estimator is not None:
            raise ValueError(sentence)

    def _asked(self) -> QuadraticDiscriminantAnalysis:
        return self.model(*self.means_.shape)

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior under a proper prior in units of the data; a point if cells were missing."""
        if self._found is not None:
            return self._found
        counts = torch.tensor(self._counts, dtype=torch.float64)
        means, roots = torch.tensor(self.means_), torch.tensor(self._roots)
        share = (counts / counts.sum())[:, None]
        loc = (share * means).sum(0)
        spread = (share * (roots.square().sum(-1) + (means - loc).square())).sum(0)
        spread = torch.where(spread > 0, spread, 1.0)
        prior = self.model(*self.means_.shape, loc=loc, scatter=0.02 * spread)
        away = roots.mT * counts.sqrt()[:, None, None]
        features = prior.family("features").given(counts, means, list(away))
        return known(prior, int(counts.sum()), self._counts, features)


def triangle(rows: np.ndarray) -> np.ndarray:
    """The lower triangle L, of positive diagonal, for which L Lᵀ = rowsᵀ rows."""
    upper: Any = np.linalg.qr(rows, mode="r")
    lower: np.ndarray = (upper * np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None]).T
    return lower
