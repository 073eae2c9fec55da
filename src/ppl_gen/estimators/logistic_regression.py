"""Logistic regression with the face of `sklearn.linear_model.LogisticRegression`."""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ppl_gen import models
from ppl_gen.ask import Answer, ask
from ppl_gen.distributions import centre_and_spread
from ppl_gen.errors import Unanswerable
from ppl_gen.estimators.base import Estimator, encode, labels, lean
from ppl_gen.estimators.starting import FLOATS, Array, sample_size
from ppl_gen.fit import fit
from ppl_gen.inference import MAP, Laplace
from ppl_gen.posterior import Posterior

CURVED = 5e7  # parameters² × rows up to which the curvature at the mode is worth its price
NEWTON = 20  # steps that Newton may need
FLAT = 1e5  # prior standard deviation, in log odds, of what the prior leaves open: intercepts


class LogisticRegression(ClassifierMixin, Estimator):
    """Logistic regression, a drop-in for `sklearn.linear_model.LogisticRegression`.

    A ridge is a Gaussian prior: ``coef_`` is the posterior's mode under weights of variance C, each class
    with weights of its own (of two classes C / 2, so that their difference has the penalty of one), and
    intercepts of which the prior says nothing. ``posterior_`` is a Gaussian about that mode (Laplace), so
    that ``ask(est.posterior_, "p(y | x)", x=X)`` averages over what the rows leave open; of more than a few
    hundred parameters it is the mode alone. ``predict_proba`` plugs the mode in, as scikit-learn does.

    Args:
        penalty, l1_ratio: no other than the ridge ("l2", 0) or None, which is C = inf: an L1 penalty is no
            Gaussian prior.
        C: the weights' prior variance, in units of X: the inverse of the ridge.
        tol: of L-BFGS: the slope, in nats a unit of a weight, at which it ends. Newton needs none.
        fit_intercept: False leaves the intercepts at zero.
        class_weight: a weight for each class, by label, or "balanced".
        max_iter: steps at most; fewer than 20 leave Newton's out.
        dual, intercept_scaling, random_state, solver, verbose, warm_start, n_jobs: accepted; the mode is one
            wherever the climb starts, and does not depend on them.

    Attributes:
        coef_ (n_classes, n_features), intercept_ (n_classes,): the mode; one row for two classes.
        classes_: the labels. n_iter_: steps taken. posterior_: a `ppl_gen.Posterior`.

    >>> X, y = [[-1.0], [0.0], [1.0], [2.0]], ["no", "yes", "no", "yes"]
    >>> LogisticRegression().fit(X, y).coef_.round(4)
    array([[0.4858]])
    """

    missing = False  # x is given
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
        "max_iter": [Interval(Integral, 1, None, closed="left")],
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
        if self.penalty is None and self.C != 1.0:
            warnings.warn("penalty=None will ignore the C and l1_ratio parameters", UserWarning, stacklevel=2)
        X, y = self._rows(X, y, reset=True, dtype=FLOATS)
        check_classification_targets(y)
        self.classes_ = labels(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y: expected samples of at least 2 classes, got one class alone: {self.classes_[0]!r}"
            )
        codes = encode(y, self.classes_)
        weights = self._worth(codes, self._weights(sample_weight, X))
        self._keep(self._climbed(torch.tensor(X, dtype=torch.float64), codes, weights), X.dtype)
        return self

    def _worth(self, codes: Array, weights: Any) -> Any:
        """How often each row counts, by itself and by its class."""
        if self.class_weight is None:
            return weights
        weights = np.ones(len(codes)) if weights is None else weights
        if isinstance(self.class_weight, dict):
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        else:
            total = np.bincount(codes, weights)
            each = total.sum() / (len(total) * total)
        return weights * each[codes]

    def _model(self, x: torch.Tensor) -> models.LogisticRegression:
        k, d = len(self.classes_), x.shape[1]
        _, spread = centre_and_spread(x)
        ridge = np.inf if self.penalty is None else self.C
        flat = FLAT / max(1.0, len(x) / 1e4) ** 0.5  # wider ones drown in the rounding of many rows
        scale = (spread * (ridge / (2 if k == 2 else 1)) ** 0.5).clamp(1e-100, flat)[:, None].expand(d, k)
        if self.fit_intercept:
            scale = torch.cat([torch.full((1, k), flat, dtype=scale.dtype), scale])
        return models.LogisticRegression(k, d, scale=scale, intercept=self.fit_intercept)

    def _climbed(self, x: torch.Tensor, codes: Array, weights: Any) -> Posterior:
        model = self._model(x)
        if model.scale.numel() ** 2 * len(x) <= CURVED and self.max_iter >= NEWTON:
            try:
                return fit(model, Laplace(newton=self.max_iter, draws=2, weights=weights), x=x, y=codes)
            except Unanswerable:  # no peak within reach: the best there is
                pass
        climb = MAP(steps=self.max_iter, newton=0, tolerance=max(self.tol, 1e-12), weights=weights)
        posterior = fit(model, climb, x=x, y=codes)
        if posterior.guide.steps >= self.max_iter:
            warnings.warn(
                f"LogisticRegression failed to converge in {self.max_iter} iterations: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=4,
            )
        return posterior

    def _keep(self, posterior: Posterior, dtype: Any) -> None:
        p: Any = posterior.model
        mode = posterior.point["w"] if posterior.point else posterior.guide.auto.loc.reshape(p.scale.shape)
        w = mode.detach().numpy()
        slope = w[-p.features :].T / p.spread.numpy()
        start = w[0] - slope @ p.centre.numpy() if self.fit_intercept else np.zeros(len(slope))
        if len(slope) == 2:
            slope, start = slope[1:] - slope[:1], start[1:] - start[:1]
        else:  # what all classes share tells nothing
            slope, start = slope - slope.mean(0), start - start.mean()
        self.coef_, self.intercept_ = slope.astype(dtype), start.astype(dtype)
        self.n_iter_ = np.array([posterior.guide.steps], dtype=np.int32)
        self.posterior_ = lean(posterior)

    def decision_function(self, X: Any) -> Array:
        """The log odds of the second of two classes (n,), else the score of each class (n, n_classes)."""
        check_is_fitted(self)
        scores = self._rows(X, dtype=FLOATS) @ self.coef_.T + self.intercept_
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Array:
        """The most probable class of every row (n,)."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)]

    def predict_log_proba(self, X: Any) -> Array:
        """log p(y | x) at the mode, of every row and class (n, n_classes)."""
        return self._asked(X).log_joint.log_softmax(-1).numpy().astype(self.coef_.dtype)

    def predict_proba(self, X: Any) -> Array:
        """p(y | x) at the mode, of every row and class (n, n_classes)."""
        return self._asked(X).probs.numpy().astype(self.coef_.dtype)

    def _asked(self, X: Any) -> Answer:
        check_is_fitted(self)
        X = self._rows(X, dtype=FLOATS)
        p: Any = self.posterior_.model
        slope, start = self.coef_.astype(np.float64), self.intercept_.astype(np.float64)
        if len(slope) == 1:
            slope, start = np.stack([-slope[0], slope[0]]) / 2, np.array([-start[0], start[0]]) / 2
        w = (slope * p.spread.numpy()).T
        if self.fit_intercept:
            w = np.concatenate([(start + slope @ p.centre.numpy())[None], w])
        return ask(self.posterior_, "p(y | x, w)", x=X, w=w)

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Classes drawn from p(y | x), averaged over the posterior: (n, n_samples).

        The rows themselves cannot be drawn: x is given, not generated.
        """
        check_is_fitted(self)
        answer = ask(self.posterior_, "p(y | x)", x=self._rows(X, dtype=FLOATS))
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return self.classes_[answer.sample(sample_size(n_samples), seed=seed).numpy().T]
