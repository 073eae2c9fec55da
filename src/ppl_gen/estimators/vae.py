"""The variational autoencoder as a scikit-learn transformer and density."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ppl_gen import models
from ppl_gen.arrays import as_tensor
from ppl_gen.ask import ask
from ppl_gen.checks import whole
from ppl_gen.distributions import Bernoulli, Gaussian, Likelihood
from ppl_gen.errors import DataError
from ppl_gen.estimators.base import Estimator, coded, drawing
from ppl_gen.estimators.kept import lean
from ppl_gen.estimators.private import Interval, StrOptions
from ppl_gen.estimators.starting import Array, sample_size
from ppl_gen.fit import fit
from ppl_gen.inference import SVI
from ppl_gen.inference.evidence import log_mean_exp

MOST = 1e15  # whose squares, summed over rows, single precision holds
LIKELIHOODS = {"gaussian": Gaussian, "bernoulli": Bernoulli}


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Variational autoencoder (Kingma and Welling 2014), over `ppl_gen.models.VAE`, trained by `SVI`.

    It stands where `sklearn.decomposition.PCA` does: `transform` gives codes, `inverse_transform` rows, and
    `score_samples` and `sample` are of the density. Missing cells (NaN) are summed out of the likelihood; the
    encoder sees the mean of their column.

    Args:
        n_components: numbers in a code.
        likelihood: "gaussian" for real numbers, "bernoulli" for zeros and ones, or another of
            `ppl_gen.distributions`, such as ``BetaBinomial(17)`` for grey levels.
        hidden_layer_sizes: of the encoder and of the decoder.
        steps: gradient steps. learning_rate: of Adam, at its highest. batch_size: rows a step, all if fewer.
        draws: of a row's code, of which `score_samples` makes the importance-weighted log likelihood.
        random_state: decides initial weights, batches and draws; scores and samples too.
        verbose: whether to show a progress bar.

    Attributes:
        elbo_ (steps,): one draw's estimate of the bound on log p(X) in nats, before each step.
        n_iter_: steps taken. n_components: the length of a code.
        posterior_: a `ppl_gen.Posterior`.

    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> vae = VAE(n_components=1, hidden_layer_sizes=(8,), steps=20, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.inverse_transform(vae.transform(X)).shape, vae.sample(4).shape
    ((50, 1), (50, 3), (4, 3))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "likelihood": [StrOptions(set(LIKELIHOODS)), Likelihood],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "steps": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "draws": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        likelihood: Any = "gaussian",
        hidden_layer_sizes: Sequence[int] | int = (64,),
        steps: int = 2000,
        learning_rate: float = 1e-3,
        batch_size: int = 100,
        draws: int = 100,
        random_state: Any = None,
        verbose: bool | int = False,
    ):
        self.n_components = n_components
        self.likelihood = likelihood
        self.hidden_layer_sizes = hidden_layer_sizes
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.draws = draws
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train both networks on the rows of X (n, features); y is ignored."""
        self._validate_params()
        X = self._rows(X, reset=True, dtype="numeric")
        _refuse_large(X)
        seed = int(drawing(self.random_state).randint(2**31 - 1))
        known = isinstance(self.likelihood, str)
        model = models.VAE(
            X.shape[1],
            self.n_components,
            LIKELIHOODS[self.likelihood]() if known else self.likelihood,
            hidden=[whole("hidden_layer_sizes", size) for size in np.atleast_1d(self.hidden_layer_sizes)],
            seed=seed,
        )
        batch = 0 if self.batch_size >= len(X) else int(self.batch_size)
        settings = SVI(
            steps=int(self.steps),
            learning_rate=float(self.learning_rate),
            batch_size=batch,
            seed=seed,
            progress=bool(self.verbose),
        )
        posterior = fit(model, settings, x=X)
        self.elbo_, self.n_iter_ = posterior.elbo.numpy(), len(posterior.elbo)
        posterior.model.double()  # answers to one row must not depend on the others, by rounding either
        self.posterior_ = lean(replace(posterior, dtypes={"x": torch.float64}))
        self._seed = seed
        return self

    @property
    def _n_features_out(self) -> int:
        p: Any = self.posterior_.model
        return int(p.latent)

    def transform(self, X: Any) -> Array:
        """The mean of q(code | row), the encoder's, of each row (n, n_components)."""
        check_is_fitted(self)
        with torch.no_grad():
            mean, _ = self._encoded(as_tensor("X", self._rows(X, dtype="numeric"), torch.float64).double())
        codes: Array = mean.numpy()
        return codes

    def _encoded(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of q(code | row)."""
        p: Any = self.posterior_.model
        mean, log_scale = p.encoder(p.units(x)).chunk(2, -1)
        return mean, log_scale.exp()

    def inverse_transform(self, X: Any) -> Array:
        """The mean of p(row | code) of codes (n, n_components): shape (n, features)."""
        check_is_fitted(self)
        rows: Array = ask(self.posterior_, "p(x | z)", z=coded(X, self._n_features_out)).mean.detach().numpy()
        return rows

    def score_samples(self, X: Any) -> Array:
        """log p(row) in nats of each row (n,), importance weighted.

        The log of the mean of p(row, code) / q(code | row) over ``draws`` codes of the encoder: on average
        too low, the less the more are drawn (Burda, Grosse and Salakhutdinov 2016). All rows share the draws'
        noise, so that what is said of one does not depend on the others.
        """
        check_is_fitted(self)
        X = self._rows(X, dtype="numeric")

        def alike(n: int, x: torch.Tensor) -> None:
            with pyro.plate("data", n):
                pyro.sample("z", _Alike(*self._encoded(x)).to_event(1))

        with torch.no_grad():
            weights, _ = replace(self.posterior_, guide=alike).weighted(int(self.draws), self._seed, x=X)
        found: Array = log_mean_exp(weights).numpy()
        return found

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of log p(row) in nats, as `score_samples` estimates it."""
        return np.float64(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Array:
        """New rows (n_samples, n_features).

        Args:
            random_state: of this call; by default the estimator's.
        """
        check_is_fitted(self)
        generator = drawing(self.random_state if random_state is None else random_state)
        seed = int(generator.randint(2**31 - 1))
        drawn = ask(self.posterior_, "p(x)").sample(sample_size(n_samples), seed=seed)
        rows: Array = drawn.detach().numpy()
        return rows


def _refuse_large(X: Array) -> None:
    """Name a number that single precision, in which networks learn, cannot square."""
    sizes = np.nan_to_num(np.abs(X.astype(np.float64)))
    if sizes.max() > MOST:
        place = np.unravel_index(int(sizes.argmax()), X.shape)
        raise DataError(
            f"X: expected numbers of at most {MOST:.0e} in size, since networks learn in single precision; "
            f"got {X[place]:g} in row {place[0]}, column {place[1]}: rescale, X / {sizes.max():.0e}"
        )


class _Alike(dist.Normal):
    """A Normal whose draws have the same noise in all rows."""

    def rsample(self, sample_shape: Any = ()) -> torch.Tensor:
        noise = torch.randn((*sample_shape, *self.loc.shape[-1:]), dtype=self.loc.dtype)
        drawn: torch.Tensor = self.loc + self.scale * noise
        return drawn
