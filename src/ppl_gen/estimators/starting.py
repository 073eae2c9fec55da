"""Where expectation maximisation starts: responsibilities as scikit-learn draws them, known parameters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus

from ppl_gen.checks import whole
from ppl_gen.errors import DataError

Array = NDArray[Any]
FLOATS = [np.float64, np.float32]


def responsibilities(X: Array, components: int, how: str, generator: np.random.RandomState) -> Array:
    """The share (n, components) of each component in each row of X (n, features), no cell missing."""
    n = len(X)
    if how == "random":
        shares = generator.uniform(size=(n, components))
        found: Array = shares / shares.sum(1, keepdims=True)
        return found
    if how == "kmeans":
        labels = KMeans(components, n_init=1, random_state=generator).fit(X).labels_
        return np.eye(components)[labels]
    if how == "k-means++":
        _, rows = kmeans_plusplus(X, components, random_state=generator)
    else:
        rows = generator.choice(n, size=components, replace=False)
    found = np.zeros((n, components))
    found[rows, np.arange(components)] = 1
    return found


def known_weights(value: Any, components: int) -> Array:
    """``weights_init``: shares that sum to one."""
    found = _numbers("weights_init", "weights", value, (components,))
    if (found < 0).any() or (found > 1).any():
        raise DataError(
            f"weights_init: The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{found.max():.5f}, min value {found.min():.5f}"
        )
    if not np.isclose(found.sum(), 1, rtol=0, atol=1e-6):
        raise DataError(
            f"weights_init: The parameter 'weights' should be normalized, but got sum(weights) = "
            f"{found.sum():.5f}"
        )
    return found / found.sum()


def known_means(value: Any, components: int, features: int) -> Array:
    """``means_init``: (components, features)."""
    return _numbers("means_init", "means", value, (components, features))


def known_precisions(value: Any, structure: str, components: int, features: int) -> Array:
    """``precisions_init``, of the shape of the structure: positive, or symmetric and positive definite."""
    shapes = {
        "full": (components, features, features),
        "tied": (features, features),
        "diag": (components, features),
        "spherical": (components,),
    }
    found = _numbers("precisions_init", f"{structure} precision", value, shapes[structure])
    if structure in ("diag", "spherical"):
        if not (found > 0).all():
            raise DataError(
                f"precisions_init: '{structure} precision' should be positive, got {found.min():g} among them"
            )
    else:
        turned = np.swapaxes(found, -1, -2)
        if not np.allclose(found, turned) or not (np.linalg.eigvalsh((found + turned) / 2) > 0).all():
            raise DataError(
                f"precisions_init: '{structure} precision' should be symmetric, positive-definite"
            )
    return found


def sample_size(n_samples: Any) -> int:
    """A whole number of rows."""
    try:
        return whole("n_samples", n_samples)
    except DataError as error:
        raise DataError(f"Invalid value for 'n_samples': {error}") from None


def root_of_inverse(precision: Array) -> Array:
    """The lower Cholesky factors of the covariances."""
    return np.linalg.cholesky(np.linalg.inv(precision))


def _numbers(name: str, twin: str, value: Any, shape: tuple[int, ...]) -> Array:
    """Finite numbers of a shape; errors quote scikit-learn's name too, which its users look for."""
    try:
        found = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name}: expected numbers of shape {shape}, got {value!r}") from None
    if found.shape != shape:
        raise DataError(
            f"{name}: The parameter '{twin}' should have the shape of {shape}, but got {found.shape}"
        )
    if not np.isfinite(found).all():
        raise DataError(f"{name}: expected finite numbers, got inf or nan among them")
    return found
