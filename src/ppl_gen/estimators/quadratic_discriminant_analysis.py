"""Quadratic discriminant analysis, as scikit-learn has it."""

import math
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ppl_gen.estimators.class_labels import chosen_prior, labels
from ppl_gen.estimators.discriminant import Discriminant, triangle
from ppl_gen.estimators.private import HasMethods, Interval, StrOptions


class QuadraticDiscriminantAnalysis(Discriminant):
    """Quadratic discriminant analysis, a drop-in for scikit-learn's, over ppl_gen.models' joint of that name.

    The numbers are scikit-learn's: means and covariances of largest likelihood, which are posterior means of
    mu and of the inverse covariances under a prior worth no rows, then shrunk as the settings say;
    ``predict_proba`` plugs them in. ``posterior_`` is the joint's posterior under a proper prior in units of
    the data: loc the mean of all rows, strength 0.01, freedom 2, scatter 0.02 of the features' variances.
    Beyond the twin: NaN is a cell that was not observed, in ``fit`` (where it is expected given the others
    of its row, by EM) and in ``predict`` (integrated out); ``sample``; ``predict_joint_log_proba``.

    Args:
        solver: "svd", or "eigen", which can shrink.
        shrinkage: None, "auto" (Ledoit-Wolf) or 0 to 1, of every covariance towards a multiple of one.
        priors: class probabilities (n_classes,), instead of the frequencies in the data.
        reg_param: 0 to 1, of every covariance towards one, by "svd".
        store_covariance: whether to keep ``covariance_``.
        tol: a variance along an axis that is no larger is refused: the covariance is singular.
        covariance_estimator: an estimator of `sklearn.covariance`, instead of shrinkage.

    Attributes:
        classes_: the labels. priors_: their probabilities. means_: (n_classes, n_features).
        covariance_: of each class; with store_covariance. rotations_: their axes, scalings_: variances.
        posterior_: a `ppl_gen.Posterior`, for `ask` and `to_arviz`.
        n_features_in_, feature_names_in_: of the rows.

    >>> X = [[0.0, 1.0], [1.0, 0.5], [0.2, 0.1], [4.0, 4.0], [5.0, 7.0], [6.0, 4.5]]
    >>> qda = QuadraticDiscriminantAnalysis().fit(X, ["low"] * 3 + ["high"] * 3)
    >>> qda.predict([[0.5, float("nan")]])
    array(['low'], dtype='<U4')
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "solver": [StrOptions({"svd", "eigen"})],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both"), None],
        "priors": ["array-like", None],
        "reg_param": [Interval(Real, 0, 1, closed="both")],
        "store_covariance": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "covariance_estimator": [HasMethods("fit"), None],
    }

    def __init__(
        self,
        *,
        solver: str = "svd",
        shrinkage: Any = None,
        priors: Any = None,
        reg_param: float = 0.0,
        store_covariance: bool = False,
        tol: float = 1.0e-4,
        covariance_estimator: Any = None,
    ):
        self.solver = solver
        self.shrinkage = shrinkage
        self.priors = priors
        self.reg_param = reg_param
        self.store_covariance = store_covariance
        self.tol = tol
        self.covariance_estimator = covariance_estimator

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from rows (n_samples, n_features) and their classes (n_samples,)."""
        self._validate_params()
        X, y = self._rows(X, y, reset=True, dtype=np.float64)
        self.classes_ = labels(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"The number of classes has to be greater than one. Got {len(self.classes_)} class."
            )
        if self.solver == "svd":
            self._refuse_for_svd(
                "covariance_estimator is not supported with solver='svd'. Try solver='eigen' instead."
            )
        alone = [label for label in self.classes_ if (y == label).sum() == 1]
        if alone:
            raise ValueError(f"y has only 1 sample in class {alone[0]}, covariance is ill defined.")
        chosen = chosen_prior(self.priors, len(self.classes_))
        codes = self._learn(X, y)
        self.priors_ = self._counts / len(codes) if chosen is None else chosen
        each = [self._axes(X[codes == k], k) for k in range(len(self.classes_))]
        self.scalings_, self.rotations_ = [axes[0] for axes in each], [axes[1] for axes in each]
        if self.store_covariance:
            self.covariance_ = [(v * s) @ v.T for s, v in each]
        return self

    def _axes(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The variances along the axes of a class, in falling order, and the axes."""
        root = self._roots[k]
        if self.solver == "svd":
            axes, sds, _ = np.linalg.svd(root)
            scaling = (1 - self.reg_param) * sds**2
            scaling[: len(rows)] += self.reg_param
        else:
            scaling, axes = np.linalg.eigh(self._covariance(rows, root @ root.T))
            scaling, axes = scaling[::-1], axes[:, ::-1]
        if (scaling > self.tol).sum() < rows.shape[1]:
            self._refuse_singular(
                len(rows), np.square(root).sum(1), self.classes_[k], axes[:, scaling <= self.tol]
            )
        return scaling, axes

    def _refuse_singular(self, n: int, variances: np.ndarray, label: Any, flat: np.ndarray) -> None:
        """Say which columns leave no variance along the ``flat`` axes (n_features, axes), and what to do."""
        features, least = len(variances), int(variances.argmin())
        first = f"X: The covariance matrix of class {label} is not full rank. "
        if variances[least] <= self.tol:
            first += f"The variance of column {least} is {variances[least]:g} there, tol is {self.tol:g}. "
        elif n > features:
            terms = (np.abs(flat) * np.sqrt(variances)[:, None]).max(1)  # that cancel along these axes
            tied = ", ".join(map(str, np.flatnonzero(terms > 1e-3 * terms.max())))
            first += f"Columns {tied} follow from one another there: a weighted sum of them is constant. "
        if self.solver == "svd" and n <= features:
            raise np.linalg.LinAlgError(
                f"{first}When using `solver='svd'` the number of samples in each class should be more "
                f"than the number of features, but class {label} has {n} samples and {features} features. "
                f"Try using `solver='eigen'` and setting the parameter `shrinkage` for regularization."
            )
        setting = "shrinkage" if self.solver == "eigen" else "reg_param"
        raise np.linalg.LinAlgError(
            f"{first}Increase the value of `{setting}` to reduce the collinearity, as in {setting}=0.1, or "
            f"leave one of them out."
        )

    def decision_function(self, X: Any) -> np.ndarray:
        """log p(y | x) up to a constant, (n_samples, n_classes); of two classes the log odds (n_samples,)."""
        check_is_fitted(self)
        scores = self.predict_joint_log_proba(X) + self.n_features_in_ / 2 * math.log(2 * math.pi)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _point(self) -> dict[str, Any]:
        each = zip(self.scalings_, self.rotations_, strict=True)
        return {"mu": self.means_, "sigma": np.stack([triangle((v * np.sqrt(s)).T) for s, v in each])}
