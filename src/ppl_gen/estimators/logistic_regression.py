"""Logistic regression with the face of `sklearn.linear_model.LogisticRegression`."""

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from ppl_gen.arrays import as_tensor, dense
from ppl_gen.ask import ask
from ppl_gen.distributions import centre_and_spread
from ppl_gen.errors import DataError
from ppl_gen.estimators.base import Estimator, densified, drawing, normalised
from ppl_gen.estimators.class_labels import encode, labels
from ppl_gen.estimators.climbing import NEWTON, Peak
from ppl_gen.estimators.private import Interval, StrOptions
from ppl_gen.estimators.softmax import Logistic, Softmax
from ppl_gen.estimators.starting import FLOATS, Array, sample_size
from ppl_gen.posterior import Posterior

CURVED = 5e7  # parameters² × rows up to which the curvature at the mode is worth its price
QUICK = 5e6  # the same, up to which Newton's steps alone are the fastest way there
MOST = 1e15  # that rows may weigh together by their class: a class of more leaves no digits to the others
FLAT = 1e5  # prior standard deviation, in log odds, of what the prior leaves open: intercepts


class LogisticRegression(ClassifierMixin, Estimator):
    """Logistic regression, a drop-in for `sklearn.linear_model.LogisticRegression`.

    A ridge is a Gaussian prior: ``coef_`` is the posterior's mode under weights of variance C, each class
    with weights of its own (of two classes C / 2, so that their difference has the penalty of one), and
    intercepts of which the prior says nothing. ``posterior_`` is a Gaussian about that mode (Laplace), so
    that ``ask(est.posterior_, "p(y | x)", x=X)`` averages over what the rows leave open; of more than a few
    hundred parameters it is the mode alone. ``predict_proba`` plugs the mode in, as scikit-learn does.
    ``fit`` makes sparse rows dense, up to 1 GiB; answers leave them sparse.

    Args:
        penalty, l1_ratio: no other than the ridge ("l2", 0) or None, which is C = inf: an L1 penalty is no
            Gaussian prior.
        C: the weights' prior variance, in units of X: the inverse of the ridge.
        tol: of L-BFGS: the slope, in nats a row and a weight's unit, at which it ends. Newton, which goes on
            from there where parameters are few, needs none.
        fit_intercept: False leaves the intercepts at zero.
        class_weight: a weight for each class, by label, or "balanced".
        max_iter: steps of L-BFGS at most; fewer than 20 leave Newton's out.
        warm_start: whether the climb starts where the last fit ended, of as many classes and features.
        dual, intercept_scaling, random_state, solver, verbose, n_jobs: accepted; the mode is one wherever the
            climb starts, and does not depend on them. As in the twin "liblinear" takes two classes, and it
            alone takes dual.

    Attributes:
        coef_ (n_classes, n_features), intercept_ (n_classes,): the mode; one row for two classes.
        classes_: the labels. n_iter_: steps taken. posterior_: a `ppl_gen.Posterior`.

    >>> X, y = [[-1.0], [0.0], [1.0], [2.0]], ["no", "yes", "no", "yes"]
    >>> LogisticRegression().fit(X, y).coef_.round(4)
    array([[0.4529]])
    """

    missing = False  # x is given
    sparse = True
    least_weight = 1e-6  # below, the prior alone answers
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "penalty": [StrOptions({"deprecated", "l1", "l2", "elasticnet"}), None],
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "dual": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "intercept_scaling": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "solver": [StrOptions({"lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        penalty: Any = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "lbfgs",
        max_iter: int = 100,
        verbose: int = 0,
        warm_start: bool = False,
        n_jobs: Any = None,
    ):
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """The mode of the weights given rows (n_samples, n_features) and their classes (n_samples,)."""
        self._validate_params()
        if self.penalty in ("l1", "elasticnet") or self.l1_ratio:
            which = "penalty" if self.penalty in ("l1", "elasticnet") else "l1_ratio"
            raise ValueError(
                f"{which}: expected the ridge alone ('l2', l1_ratio=0), which is a Gaussian prior of the "
                f"weights, got {getattr(self, which)!r}"
            )
        if self.dual and self.solver != "liblinear":
            raise ValueError(f"dual: Solver {self.solver} supports only dual=False, got dual={self.dual}")
        if self.penalty is None and self.C != 1.0:
            warnings.warn("penalty=None will ignore the C and l1_ratio parameters", UserWarning, stacklevel=3)
        X, y = self._rows(X, y, reset=True, dtype=FLOATS)
        X = densified(X)
        self.classes_ = labels(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y: expected samples of at least 2 classes, got one class alone: "
                f"{self.classes_.tolist()[0]!r}"
            )
        if len(self.classes_) > 2 and self.solver == "liblinear":
            raise ValueError(
                f"solver: The 'liblinear' solver does not support multiclass classification, got "
                f"{len(self.classes_)} classes: take 'lbfgs'"
            )
        codes = encode(y, self.classes_)
        weights = self._worth(codes, self._weights(sample_weight, X))
        self._climbed(self._joint(as_tensor("X", X, torch.float64).double(), codes, weights))
        self._keep(X.dtype)
        return self

    def _worth(self, codes: Array, weights: Any) -> Any:
        """How often each row counts, by itself and by its class."""
        if self.class_weight is None:
            return weights
        weights = np.ones(len(codes)) if weights is None else weights
        if isinstance(self.class_weight, dict):
            for label, weight in self.class_weight.items():
                if not (isinstance(weight, Real) and 0 <= float(weight) < np.inf):
                    raise DataError(f"class_weight: expected numbers from 0 up, got {weight!r} for {label!r}")
            if not any(self.class_weight.get(label, 1) for label in self.classes_.tolist()):
                raise DataError("class_weight: expected a class that counts, got 0 for each of them")
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        else:
            total = np.bincount(codes, weights)
            each = total.sum() / (len(total) * np.where(total > 0, total, np.inf))  # 0 for one without rows
        worth = weights * each[codes]
        if not self.least_weight <= worth.sum() <= MOST:
            raise DataError(
                f"class_weight: expected weights of rows that add up to {self.least_weight:g} to {MOST:g}, "
                f"got {worth.sum():g}: take others"
            )
        return worth

    def _joint(self, x: torch.Tensor, codes: Array, weights: Any) -> Softmax:
        k, d = len(self.classes_), x.shape[1]
        centre, spread = centre_and_spread(x)
        ridge = np.inf if self.penalty is None else self.C
        flat = FLAT / max(1.0, len(x) / 1e4) ** 0.5  # wider ones drown in the rounding of many rows
        scale = (spread * (ridge / (2 if k == 2 else 1)) ** 0.5).clamp(1e-100, flat)[:, None].expand(d, k)
        if self.fit_intercept:
            scale = torch.cat([torch.full((1, k), flat, dtype=scale.dtype), scale])
        else:
            centre = torch.zeros_like(centre)
        return (Logistic if k == 2 else Softmax)(x, codes, centre, spread, scale, weights)

    def _climbed(self, joint: Softmax) -> None:
        end = start = Peak(self._start(joint))
        work = end.u.numel() ** 2 * joint.basis.shape[1] if self.max_iter >= NEWTON else np.inf
        if work <= CURVED and not end.u.any():
            start = joint.foothill(end)
        if work <= QUICK or start.root is not None:
            end = joint.newton(start)
        if end.root is None:
            end = joint.climbed(end.u, self.max_iter, self.tol)
            end = joint.newton(end) if work <= CURVED else end
        if not end.converged:
            warnings.warn(
                f"LogisticRegression failed to converge in {self.max_iter} iterations: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=4,
            )
        self._found = joint.found(end)

    def _start(self, joint: Softmax) -> torch.Tensor:
        """Zero; with ``warm_start`` where the last fit ended, if of as many classes and features."""
        k = len(self.classes_)
        shape = (1 if k == 2 else k, len(joint.spread))
        if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == shape:
            return joint.free(torch.from_numpy(self._at(joint.centre.numpy(), joint.spread.numpy())))
        return torch.zeros_like(joint.ridge)

    def _keep(self, dtype: Any) -> None:
        found = self._found
        centre, spread, w = found.centre.numpy(), found.spread.numpy(), found.w.numpy()
        slope = w[-len(spread) :].T / spread
        start = w[0] - slope @ centre if self.fit_intercept else np.zeros(len(slope))
        if len(slope) == 2:
            slope, start = slope[1:] - slope[:1], start[1:] - start[:1]
        else:  # what all classes share tells nothing
            slope, start = slope - slope.mean(0), start - start.mean()
        self.coef_, self.intercept_ = slope.astype(dtype), start.astype(dtype)
        self.n_iter_ = np.array([found.steps], dtype=np.int32)

    def _at(self, centre: Array, spread: Array) -> Array:
        """The mode as ``w`` of a joint in these units."""
        slope, start = self.coef_.astype(np.float64), self.intercept_.astype(np.float64)
        if len(slope) == 1:
            slope, start = np.stack([-slope[0], slope[0]]) / 2, np.array([-start[0], start[0]]) / 2
        w = (slope * spread).T
        return np.concatenate([(start + slope @ centre)[None], w]) if self.fit_intercept else w

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior, for `ppl_gen.ask` and `ppl_gen.to_arviz`."""
        check_is_fitted(self)
        tensors = {name: v for name, v in self._found._asdict().items() if isinstance(v, torch.Tensor)}
        kept: dict[str, Any] = {name: dense(name, v) for name, v in tensors.items()}  # if of inference mode
        return self._found._replace(**kept).posterior()

    def _scores(self, X: Any) -> tuple[Array, Any]:
        """The score of each class, or of two the log odds of the second (n, 1); and the type of X."""
        check_is_fitted(self)
        X = self._rows(X, dtype=FLOATS)
        scores = X.astype(np.float64, copy=False) @ np.ascontiguousarray(self.coef_.T, np.float64)
        scores += self.intercept_
        return scores, X.dtype

    def decision_function(self, X: Any) -> Array:
        """The log odds of the second of two classes (n,), else the score of each class (n, n_classes)."""
        scores, dtype = self._scores(X)
        return (scores.ravel() if scores.shape[1] == 1 else scores).astype(dtype, copy=False)

    def predict(self, X: Any) -> Array:
        """The most probable class of every row (n,)."""
        scores = self._scores(X)[0]
        return self.classes_[(scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(1)]

    def predict_log_proba(self, X: Any) -> Array:
        """log p(y | x) at the mode, of every row and class (n, n_classes)."""
        scores, dtype = self._scores(X)
        found = (
            _of_both(torch.nn.functional.logsigmoid, scores) if scores.shape[1] == 1 else normalised(scores)
        )
        return found.astype(dtype, copy=False)

    def predict_proba(self, X: Any) -> Array:
        """p(y | x) at the mode, of every row and class (n, n_classes)."""
        scores, dtype = self._scores(X)
        found = _of_both(torch.sigmoid, scores) if scores.shape[1] == 1 else np.exp(normalised(scores))
        return found.astype(dtype, copy=False)

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Classes drawn from p(y | x), averaged over the posterior: (n, n_samples).

        The rows themselves cannot be drawn: x is given, not generated.
        """
        check_is_fitted(self)
        answer = ask(self.posterior_, "p(y | x)", x=densified(self._rows(X, dtype=FLOATS)))
        seed = int(drawing(random_state).randint(2**31 - 1))
        return self.classes_[answer.sample(sample_size(n_samples), seed=seed).numpy().T]


def _of_both(function: Callable[[torch.Tensor], torch.Tensor], scores: Array) -> Array:
    """A function (n, 2) of the log odds of the first class, and of the second, the ``scores`` (n, 1)."""
    odds = torch.from_numpy(scores[:, 0])
    return torch.stack([function(-odds), function(odds)]).numpy().T
