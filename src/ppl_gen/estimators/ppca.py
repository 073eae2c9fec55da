"""Probabilistic principal component analysis with the face of `sklearn.decomposition.PCA`."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ppl_gen import models
from ppl_gen.arrays import as_tensor
from ppl_gen.ask import ask
from ppl_gen.distributions.linear_gaussian import LinearGaussian, principal_axes
from ppl_gen.distributions.number_of_axes import log_evidence_of_axes
from ppl_gen.distributions.starts import in_blocks
from ppl_gen.errors import DataError
from ppl_gen.estimators.base import Estimator, coded, densified, drawing
from ppl_gen.estimators.private import Interval, StrOptions
from ppl_gen.estimators.starting import FLOATS, Array, sample_size
from ppl_gen.inference import MaximumLikelihood
from ppl_gen.inputs import describe
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

LEAST = 1e-10  # share of the variance that is noise at least


class PPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Probabilistic PCA (Tipping and Bishop 1999), a drop-in for `sklearn.decomposition.PCA`.

    The maximum of the likelihood in closed form; with missing cells (NaN) by expectation maximisation. These
    are summed out of `score_samples`; `transform` takes their mean given the others of the row. As in
    scikit-learn variances are n / (n - 1) times those of largest likelihood, and so are those of
    ``posterior_``. Its noise may be zero, that of a density cannot: here it is what the least axis has
    where there are as many as features, and 1e-10 of the variance at least; and where rows are fewer than
    features it is spread over all directions that are left. Sparse rows are made dense, up to 1 GiB.

    Args:
        n_components: how many; a number below 1 takes as many as explain more than this share of the
            variance; "mle" as many as have the largest evidence (Minka 2000), from complete rows that are at
            least as many as features; None as many as features, or rows if these are fewer.
        copy, svd_solver, tol, iterated_power, n_oversamples, power_iteration_normalizer: accepted; X is never
            overwritten, and all ways lead to one solution.
        whiten: whether `transform` gives components of variance one.
        random_state: decides samples.

    Attributes:
        components_ (n_components, n_features): the principal axes, orthonormal, longest first.
        explained_variance_, explained_variance_ratio_, singular_values_ (n_components,): along them.
        mean_ (n_features,), noise_variance_: of the density. n_components_, n_samples_: as numbers.
        posterior_: a `ppl_gen.Posterior`; ``ask(pca.posterior_, "p(z | x)", x=X)`` are the codes.

    >>> pca = PPCA(n_components=1).fit([[0.0, 0.1], [1.0, 0.9], [2.0, 2.1], [3.0, 2.9]])
    >>> pca.transform([[1.5, 1.5], [3.0, float("nan")]]).round(1)
    array([[0. ],
           [2.1]])
    """

    sparse = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"mle"}),
            None,
        ],
        "copy": ["boolean"],
        "whiten": ["boolean"],
        "svd_solver": [StrOptions({"auto", "full", "covariance_eigh", "arpack", "randomized"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "iterated_power": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "n_oversamples": [Interval(Integral, 1, None, closed="left")],
        "power_iteration_normalizer": [StrOptions({"auto", "QR", "LU", "none"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: Any = None,
        *,
        copy: bool = True,
        whiten: bool = False,
        svd_solver: str = "auto",
        tol: float = 0.0,
        iterated_power: Any = "auto",
        n_oversamples: int = 10,
        power_iteration_normalizer: str = "auto",
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.copy = copy
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.tol = tol
        self.iterated_power = iterated_power
        self.n_oversamples = n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        self.random_state = random_state

    def _rows(self, X: Any, y: Any = "no_validation", *, reset: bool = False, **options: Any) -> Any:
        return densified(super()._rows(X, y, reset=reset, **options))

    def fit(self, X: Any, y: Any = None) -> Self:
        """The axes and the noise that make the rows of X (n, features) most likely; y is ignored."""
        self._validate_params()
        X = self._rows(X, reset=True, dtype=FLOATS, ensure_min_samples=2)
        if (empty := np.isnan(X).all(0)).any():
            raise DataError(
                f"X: expected a number at least in every column, got none in column {int(empty.argmax())}: "
                f"leave it out"
            )
        found = self._learn(as_tensor("X", X, torch.float64).double())
        (n, d), linear = X.shape, self._found[0]
        loc, weights, variance = (part.numpy() for part in linear)
        noise, lengths = float(variance[0]), np.linalg.norm(weights, axis=0)
        axes = weights / np.where(lengths > 0, lengths, 1) if found is None else found.numpy()
        if found is None and not lengths.all():  # an axis no longer than the noise is any that is left
            full = np.linalg.svd(axes[:, lengths > 0])[0]
            axes[:, lengths == 0] = full[:, (lengths > 0).sum() : len(lengths)]
        axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
        explained = np.square(lengths) + noise
        self.mean_, self.components_ = loc.astype(X.dtype), axes.T.astype(X.dtype)
        self.explained_variance_ = explained.astype(X.dtype)
        total = np.square(lengths).sum() + d * noise
        self.explained_variance_ratio_ = (explained / total).astype(X.dtype)
        self.singular_values_ = np.sqrt((n - 1) * explained).astype(X.dtype)
        self.noise_variance_, self.n_components_, self.n_samples_ = np.float64(noise), axes.shape[1], n
        return self

    def _learn(self, x: torch.Tensor) -> torch.Tensor | None:
        """The density, its variances divided by n - 1, its noise if chosen, and the log likelihood.

        Returns the principal axes (features, latent), where the rows tell all of them.
        """
        (n, d), gone = x.shape, bool(x.sum().isnan())
        most = int(self.n_components) if isinstance(self.n_components, Integral) else None
        loc, spectrum, axes = principal_axes(torch.where(x.isnan(), x.nanmean(0), x) if gone else x, most)
        latent = self._by_evidence(spectrum, n, gone) or self._latent(min(n, d), spectrum.numpy())
        more, least, last = n / (n - 1), LEAST * float(spectrum.sum()), min(latent, d - 1)
        noiseless = bool(spectrum[last:].sum() <= (d - last) * least)
        noise = torch.tensor(least, dtype=torch.float64) if noiseless and least else None
        if gone:
            with isolated(0):
                loc, weights, variance = LinearGaussian.start(x, latent).em(x, True, noise)
            linear = LinearGaussian(loc, more**0.5 * weights, variance if noiseless else more * variance)
            evidence = float(linear.log_prob(x).sum())
        else:
            linear = LinearGaussian.along(loc, more * spectrum, axes, x, latent, noise)
            along = torch.full((d,), float(linear.variance[0]), dtype=torch.float64)
            along[:latent] += linear.weights.square().sum(0)
            evidence = -0.5 * n * float((2 * torch.pi * along).log().sum() + (spectrum / along).sum())
        self._found = linear, noise, evidence, n
        return axes[:, :latent] if n >= d and not gone else None

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior, for `ppl_gen.ask` and `ppl_gen.to_arviz`."""
        check_is_fitted(self)
        linear, noise, evidence, n = self._found
        d, latent = linear.weights.shape
        prior = models.PPCA(d, latent, noise=None if noise is None else noise**0.5)
        elbo = torch.tensor([evidence], dtype=torch.float64)
        with isolated(0):
            sites = describe(prior, {})
        after, method, dtypes = prior.having(linear), MaximumLikelihood(), {"x": torch.float64}
        return Posterior(
            after, prior, None, method, elbo, n, {"x": (n, d)}, sites, (), evidence, dtypes=dtypes
        )

    def _by_evidence(self, spectrum: torch.Tensor, n: int, gone: bool) -> int:
        """How many components have the largest evidence; 0 if these are not asked for."""
        if self.n_components != "mle":
            return 0
        if n < len(spectrum):
            raise ValueError(
                f"n_components='mle' is only supported if n_samples >= n_features, got {n} rows of "
                f"{len(spectrum)}: choose n_components as a number, or as a share of the variance"
            )
        if gone:
            raise DataError(
                "n_components: 'mle' compares the axes of complete rows, and cells of X are missing: choose "
                "a number, or fit PPCA(n_components='mle') to the rows without NaN and take its n_components_"
            )
        if len(spectrum) < 2 or not spectrum[0] > 0:
            what = "one feature" if len(spectrum) < 2 else "rows that are all the same"
            raise DataError(f"n_components: 'mle' compares axes, and X has {what}: choose n_components=1")
        return 1 + int(log_evidence_of_axes(spectrum, n).argmax())

    def _latent(self, most: int, spectrum: Array) -> int:
        """How many components."""
        wanted = self.n_components
        if wanted is None:
            return most
        if not isinstance(wanted, Integral):
            share = spectrum.cumsum() / max(spectrum.sum(), np.finfo(float).tiny)
            return min(most, int(np.searchsorted(share, wanted, side="right")) + 1)
        if int(wanted) > most:
            raise ValueError(
                f"n_components={wanted!r} must be between 1 and min(n_samples, n_features)={most!r}"
            )
        return int(wanted)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def transform(self, X: Any) -> Array:
        """The rows along the principal axes (n, n_components)."""
        check_is_fitted(self)
        X = self._rows(X, dtype=FLOATS)
        found = self._codes(X)
        gaps = np.isnan(found[:, 0])
        if gaps.any():
            codes = ask(self.posterior_, "p(z | x)", x=X[gaps]).mean
            expected = ask(self.posterior_, "p(x | z)", z=codes).mean.numpy().astype(X.dtype)
            found[gaps] = self._codes(np.where(np.isnan(X[gaps]), expected, X[gaps]))
        return found / np.sqrt(self.explained_variance_) if self.whiten else found

    def _codes(self, X: Array) -> Array:
        """Complete rows along the axes; of others NaN."""
        mean, axes = torch.from_numpy(self.mean_.astype(X.dtype)), np.ascontiguousarray(self.components_.T)
        return np.concatenate([(u - mean).numpy() @ axes for u in in_blocks(as_tensor("X", X, mean.dtype))])

    def inverse_transform(self, X: Any) -> Array:
        """The rows (n, features) nearest to the mean among those with these components (n, n_components)."""
        check_is_fitted(self)
        Z = coded(X, len(self.components_))
        found: Array = (
            Z * np.sqrt(self.explained_variance_) if self.whiten else Z
        ) @ self.components_ + self.mean_
        return found

    def score_samples(self, X: Any) -> Array:
        """log p(row) in nats of each row (n,)."""
        check_is_fitted(self)
        X = self._rows(X, dtype=FLOATS)
        found: Array = self._found[0].log_prob(as_tensor("X", X, torch.float64).double()).numpy()
        return found

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of log p(row) in nats."""
        return np.float64(self.score_samples(X).mean())

    def get_covariance(self) -> Array:
        """The covariance of the density (n_features, n_features)."""
        check_is_fitted(self)
        beyond = self.explained_variance_ - self.noise_variance_
        noise = self.noise_variance_ * np.eye(len(self.mean_))
        covariance: Array = (self.components_.T * beyond) @ self.components_ + noise
        return covariance

    def get_precision(self) -> Array:
        """Its inverse."""
        check_is_fitted(self)
        beyond = 1 / self.explained_variance_ - 1 / self.noise_variance_
        noise = np.eye(len(self.mean_)) / self.noise_variance_
        precision: Array = (self.components_.T * beyond) @ self.components_ + noise
        return precision

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Array:
        """New rows (n_samples, n_features).

        Args:
            random_state: of this call; by default the estimator's.
        """
        check_is_fitted(self)
        generator = drawing(self.random_state if random_state is None else random_state)
        seed = int(generator.randint(2**31 - 1))
        drawn: Array = ask(self.posterior_, "p(x)").sample(sample_size(n_samples), seed=seed).detach().numpy()
        return drawn

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
