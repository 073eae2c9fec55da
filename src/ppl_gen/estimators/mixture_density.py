"""What a mixture that was fitted answers, with the face of `sklearn.mixture.GaussianMixture`."""

import math
from typing import Any, Self

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from ppl_gen.ask import ask
from ppl_gen.estimators.base import Estimator, drawing
from ppl_gen.estimators.starting import FLOATS, Array, sample_size
from ppl_gen.posterior import Posterior


class MixtureDensity(DensityMixin, Estimator):
    """A density of rows with hidden components; a subclass fits ``posterior_`` and ``means_``."""

    posterior_: Posterior
    means_: Array
    covariance_type: str
    random_state: Any

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find ``posterior_``; y is ignored."""
        raise NotImplementedError

    def fit_predict(self, X: Any, y: Any = None) -> Array:
        """Fit, and the likeliest component of each row (n,)."""
        return self.fit(X).predict(X)

    def predict(self, X: Any) -> Array:
        """The likeliest component of each row (n,)."""
        return self.predict_proba(X).argmax(1)

    def predict_proba(self, X: Any) -> Array:
        """p(component | row), shape (n, n_components)."""
        check_is_fitted(self)
        x = self._rows(X, dtype=FLOATS)
        return ask(self.posterior_, "p(z | x)", x=x).probs.numpy().astype(x.dtype)

    def score_samples(self, X: Any) -> Array:
        """log p(row) in nats of each row (n,)."""
        check_is_fitted(self)
        x = self._rows(X, dtype=FLOATS)
        return ask(self.posterior_, "p(x)").log_prob(x=x).numpy().astype(x.dtype)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of log p(row) in nats."""
        return np.float64(self.score_samples(X).mean())

    def bic(self, X: Any) -> float:
        """The Bayesian information criterion of the rows: lower is better."""
        scores = self.score_samples(X)
        return np.float64(-2 * scores.sum() + self._n_parameters() * math.log(len(scores)))

    def aic(self, X: Any) -> float:
        """Akaike's information criterion of the rows: lower is better."""
        return np.float64(-2 * self.score_samples(X).sum() + 2 * self._n_parameters())

    def _n_parameters(self) -> int:
        """How many numbers were free."""
        k, d = self.means_.shape
        triangle = d * (d + 1) // 2
        spreads = {"full": k * triangle, "tied": triangle, "diag": k * d, "spherical": k}
        return int(spreads[self.covariance_type] + k * d + k - 1)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Array]:
        """New rows (n_samples, features) and the component of each (n_samples,).

        Args:
            random_state: of this call; by default the estimator's.
        """
        check_is_fitted(self)
        rows = sample_size(n_samples)
        generator = drawing(self.random_state if random_state is None else random_state)
        drawn = ask(self.posterior_, "p(x, z)").sample(rows, seed=int(generator.randint(2**31 - 1)))
        return drawn["x"].numpy(), drawn["z"].numpy()
