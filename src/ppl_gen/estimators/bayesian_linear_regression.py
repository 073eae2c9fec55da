"""Bayesian linear regression with the face of `sklearn.linear_model.BayesianRidge`."""

from dataclasses import replace
from math import log, pi
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ppl_gen.ask import ask
from ppl_gen.estimators.base import Estimator, drawing
from ppl_gen.estimators.kept import lean
from ppl_gen.estimators.private import Interval
from ppl_gen.estimators.starting import FLOATS, Array, sample_size
from ppl_gen.fit import fit
from ppl_gen.inference import Exact
from ppl_gen.models import LinearRegression
from ppl_gen.posterior import Posterior

NOTHING = dict.fromkeys(("precision", "shape", "rate"), 1e-300)  # a prior worth no rows
LEAST, MOST = 1e-12, 1e15  # prior precisions of an intercept that is free (a share of the ridge), or none
POSITIVE = Interval(Real, 0, None, closed="left")


class BayesianLinearRegression(RegressorMixin, Estimator):
    """Bayesian linear regression, a drop-in for `sklearn.linear_model.BayesianRidge`.

    The precisions of noise (alpha) and weights (lambda) are those that make the rows most probable, found by
    MacKay's steps, as scikit-learn takes them: the numbers are the same. Given their ratio the joint
    `LinearRegression` is conjugate and ``posterior_`` exact, with its log evidence. ``predict`` of standard
    deviations is the Student t that follows, which does not know the noise for certain, nor the intercept:
    they are wider than scikit-learn's, by about 1 / n. Offsets cost nothing, but as in scikit-learn priors
    of the precisions, and ``tol``, suit features of order 1 in units of y: standardise smaller ones.

    Args:
        max_iter: steps at most. tol: stop when the weights move by less, all together.
        alpha_1, alpha_2, lambda_1, lambda_2: shape and rate of the Gamma priors of the noise's and of the
            weights' precision.
        alpha_init, lambda_init: precisions to start from; 1 / var(y) and 1 by default.
        compute_score: whether ``scores_`` are kept.
        fit_intercept: whether there is an intercept, of which the prior says nothing.
        copy_X, verbose: accepted; X is never overwritten.

    Attributes:
        coef_ (n_features,), intercept_: posterior means. sigma_: the covariance of the weights given alpha_.
        alpha_, lambda_: the precisions. scores_: the log marginal likelihood before each step and at the end,
            in nats, hyperpriors included. n_iter_: steps taken. X_offset_, X_scale_: means of X, ones.
        posterior_: a `ppl_gen.Posterior`; its ``log_evidence`` is that of y.

    >>> ridge = BayesianLinearRegression().fit([[0, 0], [1, 1], [2, 2]], [0, 1, 2])
    >>> ridge.predict([[1, 1]])
    array([1.])
    """

    missing = False  # x is given
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        **{name: [POSITIVE] for name in ("alpha_1", "alpha_2", "lambda_1", "lambda_2")},
        **{name: [None, POSITIVE] for name in ("alpha_init", "lambda_init")},
        **{name: ["boolean"] for name in ("compute_score", "fit_intercept", "copy_X")},
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        max_iter: int = 300,
        tol: float = 1e-3,
        alpha_1: float = 1e-6,
        alpha_2: float = 1e-6,
        lambda_1: float = 1e-6,
        lambda_2: float = 1e-6,
        alpha_init: float | None = None,
        lambda_init: float | None = None,
        compute_score: bool = False,
        fit_intercept: bool = True,
        copy_X: bool = True,
        verbose: bool = False,
    ):
        self.max_iter = max_iter
        self.tol = tol
        self.alpha_1 = alpha_1
        self.alpha_2 = alpha_2
        self.lambda_1 = lambda_1
        self.lambda_2 = lambda_2
        self.alpha_init = alpha_init
        self.lambda_init = lambda_init
        self.compute_score = compute_score
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows (n_samples, n_features) and their targets (n_samples,)."""
        self._validate_params()
        X, y = self._rows(X, y, reset=True, dtype=FLOATS, y_numeric=True)
        weights = self._weights(sample_weight, X)
        counted = fit(LinearRegression(X.shape[1], **NOTHING), Exact(weights=weights), x=X, y=y)
        family: Any = counted.model.family("weights")
        loc, root, shape, rate = (field.numpy() for field in family)
        seen = _Seen.of(root, root @ loc, 2 * float(rate), 2 * float(shape), self.fit_intercept)
        centre = np.average(y, weights=weights)
        variance = float(np.average((y - centre) ** 2, weights=weights))
        self._climb(seen, variance)
        eigenvalues = self.alpha_ * seen.lengths**2 + self.lambda_
        self.sigma_ = (seen.axes.T @ (seen.axes / eigenvalues[:, None])).astype(X.dtype)
        weights_ = seen.weights(self.lambda_ / self.alpha_)
        self.coef_ = weights_.astype(X.dtype)
        self.intercept_ = np.float64(seen.intercept(weights_) if self.fit_intercept else 0.0)
        self.X_offset_ = np.average(X, axis=0, weights=weights) * self.fit_intercept
        self.X_scale_ = np.ones(X.shape[1], X.dtype)
        self.posterior_ = lean(_under(self._prior(np.r_[1.0, self.X_offset_], float(centre)), counted))
        return self

    def _prior(self, where: Array, centre: float) -> LinearRegression:
        """The joint's prior, given the ratio of the precisions.

        Of an intercept that is free it knows next to nothing: a share of a row at the middle of the rows, the
        terms ``where`` and the target ``centre``, so that offsets of either leave what follows as it is.
        """
        ridge = float(np.clip(self.lambda_ / self.alpha_, 1e-300, 1e300))
        free = np.r_[1e-300 if self.fit_intercept else MOST, np.full(len(where) - 1, ridge)]
        settings = {"shape": max(self.alpha_1, 1e-300), "rate": max(self.alpha_2, 1e-300)}
        prior = LinearRegression(len(where) - 1, precision=free, **settings)
        if not self.fit_intercept:
            return prior
        family: Any = prior.family("weights")
        share, row = LEAST * min(1.0, ridge), torch.as_tensor(where, dtype=torch.float64)
        met = family.updated(row[None], row.new_tensor([centre]), row.new_tensor([share]))
        return prior.having(weights=met._replace(shape=family.shape, rate=family.rate))

    def _climb(self, seen: "_Seen", variance: float) -> None:
        """The precisions that make the targets most probable (MacKay 1992, Bayesian interpolation)."""
        eps = float(np.finfo(np.float64).eps)
        alpha = 1 / (variance + eps) if self.alpha_init is None else max(float(self.alpha_init), 1e-100)
        ridge = 1.0 if self.lambda_init is None else max(float(self.lambda_init), 1e-100)
        before, scores = None, []
        for _ in range(self.max_iter):
            scores.append(self._score(seen, alpha, ridge))
            weights, error = seen.weights(ridge / alpha), seen.squares(ridge / alpha)
            known = float((alpha * seen.lengths**2 / (ridge + alpha * seen.lengths**2)).sum())
            ridge = _ratio(known + 2 * self.lambda_1, float(weights @ weights) + 2 * self.lambda_2)
            alpha = _ratio(seen.rows - known + 2 * self.alpha_1, error + 2 * self.alpha_2)
            if before is not None and np.abs(before - weights).sum() < self.tol:
                break
            before = weights
        self.n_iter_, self.alpha_, self.lambda_ = len(scores), np.float64(alpha), np.float64(ridge)
        scores.append(self._score(seen, alpha, ridge))
        self.scores_: Any = np.array(scores) if self.compute_score else []

    def _score(self, seen: "_Seen", alpha: float, ridge: float) -> float:
        """log p(y | alpha, lambda) + log of the hyperpriors, in nats."""
        weights = seen.weights(ridge / alpha)
        prior = self.lambda_1 * log(ridge) - self.lambda_2 * ridge
        prior += self.alpha_1 * log(alpha) - self.alpha_2 * alpha
        volume = len(weights) * log(ridge) - float(np.log(ridge + alpha * seen.lengths**2).sum())
        fitted = alpha * seen.squares(ridge / alpha) + ridge * float(weights @ weights)
        return prior + 0.5 * (volume + seen.rows * (log(alpha) - log(2 * pi)) - fitted)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The expected targets (n,); with ``return_std`` their standard deviations (n,) too.

        These are infinite where fewer than three rows were seen, as Student's t says.
        """
        check_is_fitted(self)
        X = self._rows(X, dtype=FLOATS)
        mean = X @ self.coef_ + self.intercept_
        if not return_std:
            return mean
        t = self.posterior_.model.family("weights").predictive(
            self.posterior_.model.basis(torch.tensor(X, dtype=torch.float64))
        )
        return mean, t.variance.nan_to_num(nan=np.inf, posinf=np.inf).sqrt().numpy().astype(X.dtype)

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Targets drawn from p(y | x), weights and noise integrated out: (n, n_samples)."""
        check_is_fitted(self)
        answer = ask(self.posterior_, "p(y | x)", x=self._rows(X, dtype=FLOATS))
        seed = int(drawing(random_state).randint(2**31 - 1))
        drawn: Array = answer.sample(sample_size(n_samples), seed=seed).numpy().T
        return drawn


def _ratio(one: float, other: float) -> float:
    """A precision, which is neither 0 nor infinite where the rows would have it so."""
    return max(one, 1e-100) / max(other, 1e-100)


def _under(prior: LinearRegression, counted: Posterior) -> Posterior:
    """The posterior that the rows ``counted`` give from another prior."""
    with torch.no_grad():
        after = prior.merged(counted.model, counted.prior)
        evidence = float(after.log_normalizer() - prior.log_normalizer())
    elbo = torch.tensor([evidence], dtype=torch.float64)
    return replace(counted, model=after, prior=prior, evidence=evidence, elbo=elbo, _drawn={})


class _Seen(NamedTuple):
    """What the rows say of the weights, along the principal axes of their features."""

    lengths: Array  # singular values of the features (n_features,)
    axes: Array  # (n_features, n_features)
    along: Array  # the targets along the left singular vectors
    rest: float  # squares of the targets that no weights explain
    rows: float  # or their weights' sum
    constant: Array  # the direction of the intercept
    features: Array
    targets: Array

    @classmethod
    def of(cls, root: Array, targets: Array, rest: float, rows: float, intercept: bool) -> "_Seen":
        """From as many rows as there are terms, the first of which is the intercept."""
        constant, features = root[:, 0], root[:, 1:]
        if intercept:
            unit = constant / np.linalg.norm(constant)
            x, y = features - np.outer(unit, unit @ features), targets - unit * (unit @ targets)
        else:
            x, y = features, targets
        left, lengths, axes = np.linalg.svd(x, full_matrices=False)
        along = left.T @ y
        return cls(
            lengths,
            axes,
            along,
            rest + max(float(y @ y - along @ along), 0.0),
            rows,
            constant,
            features,
            targets,
        )

    def weights(self, ridge: float) -> Array:
        """Those of least squares and ``ridge`` times their own."""
        found: Array = self.axes.T @ (self.lengths * self.along / (self.lengths**2 + ridge))
        return found

    def squares(self, ridge: float) -> float:
        """What these weights leave of the targets."""
        return self.rest + float(np.square(ridge * self.along / (self.lengths**2 + ridge)).sum())

    def intercept(self, weights: Array) -> float:
        """The intercept that goes with the weights."""
        return float(
            self.constant @ (self.targets - self.features @ weights) / (self.constant @ self.constant)
        )
