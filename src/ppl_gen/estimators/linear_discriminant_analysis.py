"""Linear discriminant analysis, as scikit-learn has it."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.linalg
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ppl_gen import models
from ppl_gen.estimators.base import normalised
from ppl_gen.estimators.class_labels import labels, prior_numbers
from ppl_gen.estimators.discriminant import Discriminant, triangle
from ppl_gen.estimators.private import HasMethods, Interval, StrOptions
from ppl_gen.imputation import imputed
from ppl_gen.inference.guides import Point

FLAT = 1e-12  # share of the longest axis' variance, features in units of their own, that is rounding


class LinearDiscriminantAnalysis(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Discriminant):
    """Linear discriminant analysis, a drop-in for scikit-learn's, over ppl_gen.models' joint of that name.

    The numbers are scikit-learn's: means and the shared covariance of largest likelihood, which are posterior
    means of mu and of the inverse covariance under a prior worth no rows, then shrunk as the settings say;
    ``predict_proba`` plugs them in, by the linear scores that this joint comes down to. ``posterior_`` is the
    joint's posterior under a proper prior in units of the data: loc the mean of all rows, strength 0.01,
    freedom 2, scatter 0.02 of the features' variances. Beyond the twin: NaN is a cell that was not observed,
    in ``fit`` (where it is expected given the others of its row, by EM) and in ``predict`` (integrated out);
    ``sample``; ``predict_joint_log_proba``. Those three need a covariance that is not singular.

    Args:
        solver: "svd", or "lsqr" or "eigen", which can shrink; "lsqr" has no ``transform``.
        shrinkage: None, "auto" (Ledoit-Wolf) or 0 to 1, of the covariance towards a multiple of one.
        priors: class probabilities (n_classes,), instead of the frequencies in the data.
        n_components: of ``transform``; at most, and by default, min(n_classes - 1, n_features).
        store_covariance: whether "svd" keeps ``covariance_``, which the others always do.
        tol: of "svd": a standard deviation along an axis, in units of the features', that counts as zero.
        covariance_estimator: an estimator of `sklearn.covariance`, instead of shrinkage.

    Attributes:
        classes_: the labels. priors_: their probabilities. means_: (n_classes, n_features).
        coef_, intercept_: of the linear scores; of two classes, of the log odds.
        covariance_: of a row given its class. xbar_: the mean of all rows, of "svd".
        scalings_: the columns that ``transform`` multiplies by. explained_variance_ratio_: theirs.
        posterior_: a `ppl_gen.Posterior`, for `ask` and `to_arviz`.
        n_features_in_, feature_names_in_: of the rows.

    >>> X = [[0.0, 1.0], [1.0, 0.5], [0.2, 0.1], [4.0, 4.0], [5.0, 7.0], [6.0, 4.5]]
    >>> lda = LinearDiscriminantAnalysis().fit(X, ["low"] * 3 + ["high"] * 3)
    >>> lda.predict([[0.5, float("nan")]])
    array(['low'], dtype='<U4')
    >>> lda.transform(X).shape
    (6, 1)
    """

    model = models.LinearDiscriminantAnalysis
    coef_: np.ndarray
    intercept_: np.ndarray
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "solver": [StrOptions({"svd", "lsqr", "eigen"})],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both"), None],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "priors": ["array-like", None],
        "store_covariance": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "covariance_estimator": [HasMethods("fit"), None],
    }

    def __init__(
        self,
        solver: str = "svd",
        shrinkage: Any = None,
        priors: Any = None,
        n_components: int | None = None,
        store_covariance: bool = False,
        tol: float = 1e-4,
        covariance_estimator: Any = None,
    ):
        self.solver = solver
        self.shrinkage = shrinkage
        self.priors = priors
        self.n_components = n_components
        self.store_covariance = store_covariance
        self.tol = tol
        self.covariance_estimator = covariance_estimator

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from rows (n_samples, n_features) and their classes (n_samples,)."""
        self._validate_params()
        X, y = self._rows(X, y, reset=True, dtype=np.float64, ensure_min_samples=2)
        self.classes_ = labels(y)
        classes = len(self.classes_)
        if len(X) == classes:
            raise ValueError("The number of samples must be more than the number of classes.")
        most = min(classes - 1, X.shape[1])
        if self.n_components is not None and self.n_components > most:
            raise ValueError("n_components cannot be larger than min(n_features, n_classes - 1).")
        if self.solver == "svd":
            self._refuse_for_svd("covariance estimator is not supported with svd solver. Try another solver")
        codes = self._learn(X, y)
        self._refuse_still()
        self.priors_ = self._class_priors()
        self._n_features_out = most if self.n_components is None else self.n_components
        {"svd": self._by_svd, "lsqr": self._by_lsqr, "eigen": self._by_eigen}[self.solver](X, codes)
        if classes == 2:
            coef, constant, centre = self._about
            self.coef_ = np.diff(coef, axis=0)
            self.intercept_ = np.diff(constant) - self.coef_ @ centre
        return self

    def _class_priors(self) -> np.ndarray:
        if self.priors is None:
            return self._counts / self._counts.sum()
        priors = prior_numbers(self.priors, len(self.classes_))
        if abs(priors.sum() - 1.0) > 1e-5:
            warnings.warn("The priors do not sum to 1. Renormalizing", UserWarning, stacklevel=4)
            return priors / priors.sum()
        return priors

    def _within(self, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """The covariance of a row given its class, averaged over the class priors."""
        plain = self._roots @ self._roots.mT
        each = [self._covariance(X[codes == k], plain[k]) for k in range(len(plain))]
        return np.tensordot(self.priors_, each, 1)

    def _discriminants(self) -> None:
        """Linear scores from the means' places along ``scalings_``, about ``xbar_``."""
        place = (self.means_ - self.xbar_) @ self.scalings_
        with np.errstate(divide="ignore"):
            constant = np.log(self.priors_) - 0.5 * (place**2).sum(1)
        self.coef_ = place @ self.scalings_.T
        self.intercept_ = constant - self.coef_ @ self.xbar_
        self._about = self.coef_, constant, self.xbar_

    def _by_svd(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Make the rows of each class white, then turn the means' spread onto its axes."""
        n, classes = len(X), len(self.classes_)
        if self.store_covariance:
            self.covariance_ = self._within(X, codes)
        self.xbar_ = self.priors_ @ self.means_
        self._root = np.concatenate(self._roots.mT * np.sqrt(self._counts / n)[:, None, None])
        sd = np.sqrt((self._root**2).sum(0))
        sd[sd <= 1e-14 * np.abs(self.means_).max(0)] = 1.0  # a constant
        _, along, axes = scipy.linalg.svd(self._root / sd, full_matrices=False)
        rank = (along > self.tol).sum()
        white = (axes[:rank] / sd).T / along[:rank]
        weight = np.sqrt(n * self.priors_ / max(classes - 1, 1))
        _, along, axes = scipy.linalg.svd(
            (weight * (self.means_ - self.xbar_).T).T @ white, full_matrices=False
        )
        share = along**2 / ((along**2).sum() or 1.0)
        self.explained_variance_ratio_ = share[: self._n_features_out]
        self.scalings_ = white @ axes[: (along > self.tol * along[:1]).sum()].T
        self._discriminants()

    def _by_lsqr(self, X: np.ndarray, codes: np.ndarray) -> None:
        self.covariance_ = self._within(X, codes)
        sd = np.sqrt(np.diag(self.covariance_))
        sd = np.where(sd > 0, sd, 1.0)
        unit = self.covariance_ / sd / sd[:, None]
        self._plain(lambda means: scipy.linalg.lstsq(unit, (means / sd).T, cond=FLAT)[0].T / sd)

    def _by_eigen(self, X: np.ndarray, codes: np.ndarray) -> None:
        """The axes along which the classes' means spread most, in units of the rows' spread within them."""
        self.covariance_ = within = self._within(X, codes)
        share = self._counts / len(X)
        away = self.means_ - share @ self.means_
        plain = np.tensordot(share, self._roots @ self._roots.mT, 1) + (away.T * share) @ away
        try:
            values, axes = scipy.linalg.eigh(self._covariance(X, plain) - within, within)
        except np.linalg.LinAlgError as error:
            raise np.linalg.LinAlgError(
                f"X: expected features of which none is a constant or a sum of others within the classes: "
                f"set shrinkage, or take solver='svd'. {error}"
            ) from error
        self.explained_variance_ratio_ = np.sort(values / (values.sum() or 1.0))[::-1][: self._n_features_out]
        self.scalings_ = axes[:, ::-1]
        self._plain(lambda means: means @ self.scalings_ @ self.scalings_.T)

    def _plain(self, coef: Callable[[np.ndarray], np.ndarray]) -> None:
        """Scores about the origin, as of scikit-learn, and about the rows' mean, which keep all digits."""
        centre = self._counts @ self.means_ / self._counts.sum()
        for means in (self.means_, self.means_ - centre):
            slope = coef(means)
            with np.errstate(divide="ignore"):
                constant = np.log(self.priors_) - 0.5 * (means * slope).sum(1)
            if means is self.means_:
                self.coef_, self.intercept_ = slope, constant
        self._about = slope, constant, centre

    def transform(self, X: Any) -> np.ndarray:
        """The rows along the axes on which the classes differ most, (n_samples, n_components).

        A missing cell counts as its mean given the others of the row, so the result is an expectation, too.
        """
        if self.solver == "lsqr":
            raise NotImplementedError("transform not implemented for 'lsqr' solver (use 'svd' or 'eigen').")
        check_is_fitted(self)
        X = self._rows(X, dtype=np.float64)
        if (gone := np.isnan(X).any(1)).any():
            values = {name: torch.as_tensor(v) for name, v in {"pi": self.priors_, **self._point()}.items()}
            point = replace(self.posterior_, guide=Point(self._asked(), values))
            X = X.copy()
            X[gone] = imputed(point, x=X[gone]).numpy()
        centred = X - self.xbar_ if self.solver == "svd" else X
        return (centred @ self.scalings_)[:, : self._n_features_out]

    def decision_function(self, X: Any) -> np.ndarray:
        """log p(y | x) up to a constant, (n_samples, n_classes); of two classes the log odds (n_samples,)."""
        check_is_fitted(self)
        X = self._rows(X, dtype=np.float64)
        scores = self._scores(X)
        if len(self.classes_) == 2:
            return scores[:, 1] - scores[:, 0]
        plain = X @ self.coef_.T + self.intercept_  # the constant that scikit-learn leaves in
        return np.where(np.isnan(plain), scores, plain)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(y | x) of every row and class, shape (n_samples, n_classes)."""
        check_is_fitted(self)
        return normalised(self._scores(self._rows(X, dtype=np.float64)))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every row, shape (n_samples,)."""
        check_is_fitted(self)
        return self.classes_[self._scores(self._rows(X, dtype=np.float64)).argmax(1)]

    def _scores(self, X: np.ndarray) -> np.ndarray:
        """The joint's log p(x, y) less what all classes share: linear in x; with missing cells, asked."""
        coef, constant, centre = self._about
        gone = np.isnan(X).any(1)
        scores: np.ndarray = np.where(gone[:, None], 0.0, X - centre) @ coef.T + constant
        if gone.any():
            scores[gone] = self._joint_log_proba(X[gone])
        return scores

    def _point(self) -> dict[str, Any]:
        """Means and the Cholesky factor of the shared covariance."""
        if self.solver == "svd":
            root = self._root
        else:
            values, axes = np.linalg.eigh(self.covariance_)
            root = (axes * np.sqrt(values.clip(min=0.0))).T
        sigma = triangle(root)
        if (np.diag(sigma) <= 1e-10 * np.sqrt((root**2).sum(0))).any():
            raise ValueError(
                "X: expected rows that determine the covariance; it is singular, so this question, which "
                "needs a density of the rows, has no answer. Leave out features that are constant or follow "
                "from others, or set shrinkage, with solver='eigen' or 'lsqr'"
            )
        return {"mu": self.means_, "sigma": sigma}
