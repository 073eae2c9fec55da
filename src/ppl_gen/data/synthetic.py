"""Rows drawn from a known truth, so that what a fit finds can be held against it.

Every function has a generator of its own: the same seed gives the same rows, the global one is untouched.
"""

import torch
from torch import Generator, Tensor

from ppl_gen.data.dataset import Dataset

__all__ = ["gaussian_classes", "gaussian_mixture", "linear_gaussian"]


def gaussian_classes(
    rows: int, classes: int = 2, features: int = 2, separation: float = 2.0, copies: int = 0, seed: int = 0
) -> Dataset:
    """Draws from Gaussian naive Bayes itself, p(y) p(x | y), or from a world that breaks its assumption.

    Classes are equally likely, and ``x | y`` is Gaussian with mean ``mu[y]`` and unit variance in every
    feature. The means are Gaussian too, scaled so that pairs of them are ``separation`` apart in root mean
    square. With ``copies`` the columns are repeated exactly that many times: features are then dependent
    given the class, and naive Bayes counts the same evidence ``copies + 1`` times.

    Returns:
        ``x`` float64 ``[rows, features * (copies + 1)]``; ``truth``: ``pi [classes]``, and mean ``mu`` and
        precision ``tau``, both ``[classes, features]``, of the columns before they were copied.

    Raises:
        ValueError: a size is too small or ``separation`` negative.

    Example:
        >>> gaussian_classes(100, copies=1).features
        ('x0', 'x1', 'x0_copy1', 'x1_copy1')
    """
    _at_least(1, rows=rows, classes=classes, features=features)
    _at_least(0, copies=copies, separation=separation)
    generator = torch.Generator().manual_seed(seed)
    mu = _means(classes, features, separation, generator)
    x, y = _around(mu, rows, generator)
    names = tuple(f"x{i}" for i in range(features))
    return Dataset(
        name="gaussian classes",
        x=x.repeat(1, copies + 1),
        y=y,
        classes=tuple(f"class {k}" for k in range(classes)),
        features=names + tuple(f"{name}_copy{c}" for c in range(1, copies + 1) for name in names),
        source=f"drawn from Gaussian naive Bayes, separation {separation:g}, {copies} copies, seed {seed}",
        truth=dict(
            pi=torch.full((classes,), 1 / classes, dtype=torch.float64), mu=mu, tau=torch.ones_like(mu)
        ),
    )


def gaussian_mixture(
    rows: int = 1000, components: int = 3, features: int = 2, separation: float = 4.0, seed: int = 0
) -> Dataset:
    """Draws from a mixture of Gaussians, p(z) p(x | z): naive Bayes whose class is hidden.

    Components are equally likely, with unit variance and means at a root-mean-square distance ``separation``.

    Returns:
        ``x`` float64 ``[rows, features]``; ``y`` is the hidden component, to compare with and not to fit;
        ``truth``: ``pi [components]``, mean ``mu`` and precision ``tau``, both ``[components, features]``.

    Raises:
        ValueError: a size is too small or ``separation`` negative.

    Example:
        >>> gaussian_mixture(rows=10).truth["mu"].shape
        torch.Size([3, 2])
    """
    _at_least(1, rows=rows, components=components, features=features)
    _at_least(0, separation=separation)
    generator = torch.Generator().manual_seed(seed)
    mu = _means(components, features, separation, generator)
    x, z = _around(mu, rows, generator)
    return Dataset(
        name="gaussian mixture",
        x=x,
        y=z,
        classes=tuple(f"component {k}" for k in range(components)),
        features=tuple(f"x{i}" for i in range(features)),
        source=f"drawn from a mixture of Gaussians, separation {separation:g}, seed {seed}",
        truth=dict(
            pi=torch.full((components,), 1 / components, dtype=torch.float64), mu=mu, tau=torch.ones_like(mu)
        ),
    )


def linear_gaussian(
    rows: int, features: int = 5, latent: int = 2, noise: float = 0.5, seed: int = 0
) -> Dataset:
    """Draws from probabilistic PCA: z standard normal, x = z Wᵀ + mu + noise.

    The marginal of ``x`` is Gaussian with mean ``mu`` and covariance ``W Wᵀ + noise² I``.

    Returns:
        ``x`` float64 ``[rows, features]``; ``y`` all zero, for there are no classes; ``truth``: ``weight``
        (W) ``[features, latent]``, ``mu [features]``, ``noise []`` (a standard deviation) and the hidden
        ``z [rows, latent]``.

    Raises:
        ValueError: a size is too small, ``latent`` exceeds ``features``, or ``noise`` is not positive.

    Source:
        Tipping & Bishop, Probabilistic principal component analysis (1999).

    Example:
        >>> linear_gaussian(100)
        linear gaussian: 100 rows × 5 features, 1 class (100)
    """
    _at_least(1, rows=rows, features=features, latent=latent)
    if latent > features:
        raise ValueError(f"latent: expected at most the {features} features, got {latent}")
    if not 0 < noise < float("inf"):
        raise ValueError(f"noise: expected a positive standard deviation, got {noise}")
    generator = torch.Generator().manual_seed(seed)
    weight, mu = _normal(features, latent, generator=generator), _normal(features, generator=generator)
    z, error = _normal(rows, latent, generator=generator), _normal(rows, features, generator=generator)
    return Dataset(
        name="linear gaussian",
        x=z @ weight.mT + mu + noise * error,
        y=torch.zeros(rows, dtype=torch.int64),
        classes=("all",),
        features=tuple(f"x{i}" for i in range(features)),
        source=f"drawn from probabilistic PCA, {latent} latent, noise {noise:g}, seed {seed}",
        truth=dict(weight=weight, mu=mu, noise=torch.tensor(noise, dtype=torch.float64), z=z),
    )


def _at_least(least: int, **arguments: float) -> None:
    for name, value in arguments.items():
        if not least <= value < float("inf"):  # written so that NaN fails too
            raise ValueError(f"{name}: expected a number from {least} on, got {value}")


def _normal(*shape: int, generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _means(classes: int, features: int, separation: float, generator: Generator) -> Tensor:
    """Means ``[classes, features]`` around zero, pairwise `separation` apart in root mean square."""
    mu = _normal(classes, features, generator=generator)
    if classes == 1:
        return torch.zeros_like(mu)
    mu = mu - mu.mean(0)
    # The mean squared distance of all pairs is 2 k / (k - 1) times the mean squared length, once centred.
    return mu * separation / (2 * mu.square().sum() / (classes - 1)).sqrt()


def _around(mu: Tensor, rows: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Rows ``[rows, features]`` of unit variance around a mean drawn uniformly, and which one ``[rows]``."""
    which = torch.randint(len(mu), (rows,), generator=generator)
    return mu[which] + _normal(rows, mu.shape[1], generator=generator), which
