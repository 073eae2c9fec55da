"""Gaussian mixtures with the face of `sklearn.mixture.GaussianMixture`."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ppl_gen import models
from ppl_gen.arrays import as_tensor
from ppl_gen.core import Conjugate
from ppl_gen.distributions import filled
from ppl_gen.errors import DataError, NonFinite
from ppl_gen.estimators.base import drawing
from ppl_gen.estimators.kept import lean
from ppl_gen.estimators.mixture_density import MixtureDensity
from ppl_gen.estimators.private import Interval, StrOptions
from ppl_gen.estimators.starting import (
    FLOATS,
    known_means,
    known_precisions,
    known_weights,
    responsibilities,
    root_of_inverse,
)
from ppl_gen.fit import fit
from ppl_gen.inference import EM
from ppl_gen.posterior import Posterior

STRUCTURES = {"full": "full", "tied": "tied", "diag": "diagonal", "spherical": "spherical"}


class GaussianMixture(MixtureDensity):
    """Gaussian mixture by expectation maximisation: `sklearn.mixture.GaussianMixture`, and more.

    The same steps from the same start: one ``random_state`` gives the numbers that scikit-learn gives, to
    rounding. Missing cells (NaN) are taken too, in `fit` and everywhere else: they are summed out exactly.

    Args:
        n_components: how many.
        covariance_type: "full", "tied" (one for all), "diag" or "spherical".
        tol: stop when a step gains less, in nats a row.
        reg_covar: added to every variance, in squared units of X.
        max_iter: steps at most; 0 keeps the start.
        n_init: starts, of which the likeliest end is kept.
        init_params: "kmeans", "k-means++", "random" or "random_from_data".
        weights_init, means_init, precisions_init: parts of the start that are known, of the shapes of
            ``weights_``, ``means_`` and ``precisions_``.
        random_state: decides starts and samples.
        warm_start: `fit` goes on from the fit before.
        verbose, verbose_interval: 1 prints a line for each start, 2 every so many steps too.

    Attributes:
        weights_, means_, covariances_, precisions_, precisions_cholesky_: the parameters, as scikit-learn
            shapes them.
        converged_, n_iter_, lower_bound_, lower_bounds_: of the start that was kept; the bounds are mean log
            likelihoods of a row before each step, in nats.
        posterior_: the `ppl_gen.Posterior`, a point, for `ask` and `to_arviz`.

    >>> X = [[1, 2], [2, 4], [1, 0], [9, 2], [10, 4], [10, 0]]
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> mixture.predict([[0, 0], [12, float("nan")]])
    array([1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "tol": [Interval(Real, 0, None, closed="left")],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "k-means++", "random", "random_from_data"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def fit(self, X: Any, y: Any = None) -> Self:
        """The parameters that make the rows of X (n, features) most likely; y is ignored."""
        self._validate_params()
        X = self._rows(X, reset=True, dtype=FLOATS, ensure_min_samples=2)
        if len(X) < self.n_components:
            raise DataError(
                f"X: expected n_samples >= n_components, a row for each of {self.n_components} components, "
                f"got n_samples = {len(X)}"
            )
        x, model = as_tensor("X", X, torch.float64).double(), self._model(X.shape[1])
        generator, before = drawing(self.random_state), -math.inf
        if self.warm_start and hasattr(self, "converged_"):
            starts, before = [self.posterior_.point], self.lower_bound_
        else:
            starts = [self._start(model, x, generator) for _ in range(self.n_init)]
        ends = []
        for place, start in enumerate(starts):
            ends.append(self._climbed(model, x, start, before))
            self._tell(place, ends[-1])
        self._keep(max(ends, key=lambda end: end.bounds[-1:]), X.dtype)
        return self

    def _model(self, features: int) -> Conjugate:
        structure = STRUCTURES[self.covariance_type]
        model: Conjugate = models.GaussianMixture(self.n_components, features, covariance=structure)
        return model

    def _start(self, model: Any, x: Tensor, generator: np.random.RandomState) -> dict[str, Any]:
        """The parameters of the first responsibilities, and in their place those that are known."""
        k, d = self.n_components, x.shape[1]
        known: dict[str, Any] = {}
        if self.weights_init is not None:
            known["pi"] = known_weights(self.weights_init, k)
        if self.means_init is not None:
            known["mu"] = known_means(self.means_init, k, d)
        if self.precisions_init is not None:
            precision = known_precisions(self.precisions_init, self.covariance_type, k, d)
            narrow = self.covariance_type in ("diag", "spherical")
            known["tau" if narrow else "sigma"] = precision if narrow else root_of_inverse(precision)
        if len(known) == 3:
            return known
        shares = responsibilities(filled(x).numpy(), k, self.init_params, generator)
        ridge = self.reg_covar if self.precisions_init is None else 1.0  # which is then not looked at
        with torch.no_grad(), self._explained():
            counted, _ = model.flat().completed({}, x=x, z=torch.as_tensor(shares, dtype=x.dtype))
            values: dict[str, Any] = counted.point(0.0, ridge=ridge)
        return values | known

    def _climbed(self, model: Any, x: Tensor, start: Mapping[str, Any], before: float) -> "_End":
        """As many steps as scikit-learn takes: one more follows that which gained too little."""
        settings = EM(tolerance=float(self.tol), smoothing=0.0, ridge=float(self.reg_covar), start=start)
        with warnings.catch_warnings(record=True) as caught, self._explained():
            warnings.simplefilter("always")
            posterior = fit(model, replace(settings, steps=self.max_iter + 1), x=x)
            bounds = (posterior.elbo / len(x)).tolist()
            converged = len(bounds) <= self.max_iter
            if self.max_iter and abs(bounds[0] - before) < self.tol:  # the fit before had come to rest
                posterior = fit(model, replace(settings, steps=2, tolerance=0.0), x=x)
                bounds, converged = bounds[:1], True
            elif converged:
                posterior = fit(posterior, replace(settings, steps=1, start=None), x=x)
        told = {str(warning.message): warning.category for warning in caught}  # each once
        return _End(posterior, bounds[: self.max_iter], converged, told)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (DataError, NonFinite) as error:
            raise DataError(
                f"X: expected rows that determine {self.n_components} components, and a covariance is "
                f"singular or out of range: raise reg_covar (now {self.reg_covar:g}), take fewer components, "
                f"or rescale X. {error}"
            ) from error

    def _tell(self, place: int, end: "_End") -> None:
        if self.verbose:
            state = "converged" if end.converged else "not converged"
            bound = f", lower bound {end.bounds[-1]:.6f} nats a row" if end.bounds else ""
            print(f"Initialization {place}: {state} after {len(end.bounds)} iterations{bound}")
        if self.verbose > 1:
            for step in range(self.verbose_interval - 1, len(end.bounds), self.verbose_interval):
                print(f"  Iteration {step + 1}: lower bound {end.bounds[step]:.6f} nats a row")

    def _keep(self, end: "_End", dtype: Any) -> None:
        for text, category in end.told.items():
            text = text.replace("smoothing", "reg_covar").replace("EM(prior=True)", "raise reg_covar")
            warnings.warn(text, category, stacklevel=4)
        if not end.converged and self.max_iter:
            warnings.warn(
                f"GaussianMixture did not converge in {self.max_iter} steps: raise max_iter or tol, or try "
                f"another start (n_init, init_params)",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.posterior_ = lean(end.posterior)
        point = {name: value.numpy() for name, value in end.posterior.point.items()}
        self.weights_, self.means_ = (point[name].astype(dtype) for name in ("pi", "mu"))
        if "tau" in point:
            covariances, roots = 1 / point["tau"], np.sqrt(point["tau"])
            precisions = point["tau"]
        else:
            sigma = point["sigma"]
            covariances = sigma @ np.swapaxes(sigma, -1, -2)
            roots = np.swapaxes(np.linalg.inv(sigma), -1, -2)
            precisions = roots @ np.swapaxes(roots, -1, -2)
        self.covariances_, self.precisions_ = covariances.astype(dtype), precisions.astype(dtype)
        self.precisions_cholesky_ = roots.astype(dtype)
        self.converged_, self.n_iter_, self.lower_bounds_ = end.converged, len(end.bounds), end.bounds
        self.lower_bound_ = np.float64(end.bounds[-1] if end.bounds else -math.inf)


class _End(NamedTuple):
    """Where one climb ended."""

    posterior: Posterior
    bounds: list[float]  # mean log likelihood before each step
    converged: bool
    told: Mapping[str, type[Warning]]  # what it warned of
