"""Fits in which nothing is wrong: rows drawn from models of their kind, by methods that come to an end."""

import torch
from torch import Tensor

from ppl_gen import (
    EM,
    MAP,
    NUTS,
    SVI,
    CrossValidation,
    Exact,
    Laplace,
    MaximumLikelihood,
    VariationalBayes,
    fit,
)
from ppl_gen.models import (
    PPCA,
    VAE,
    BernoulliMixture,
    BernoulliNaiveBayes,
    CategoricalMixture,
    CategoricalNaiveBayes,
    FactorAnalysis,
    GaussianMixture,
    GaussianNaiveBayes,
    KernelNaiveBayes,
    LinearDiscriminantAnalysis,
    LinearRegression,
    LogisticRegression,
    MixedNaiveBayes,
    MultinomialNaiveBayes,
    PoissonMixture,
    PoissonNaiveBayes,
    QuadraticDiscriminantAnalysis,
    SharedGaussianNaiveBayes,
    SphericalNaiveBayes,
)
from ppl_gen.posterior import Posterior
from tests.planted_faults.base import REAL, normal, sound, uniform
from tests.planted_faults.inference import QUIET, line
from tests.planted_faults.programs import Counts, Line, Location, Outcome, Scale

ROWS = 240


def classes(seed: int, several: int = 2) -> Tensor:
    """Class codes in random order: neighbouring rows are no more alike than others."""
    return (uniform(seed + 500, ROWS) * several).long().clamp(max=several - 1)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed + 900)


def normals(seed: int, spread: float = 1.0, apart: float = 3.0) -> dict[str, Tensor]:
    y = classes(seed)
    scale = 1 + (spread - 1) * y[:, None]
    return {
        "x": apart * y[:, None] * torch.tensor([1.0, -1.0], dtype=REAL) + scale * normal(seed, ROWS, 2),
        "y": y,
    }


def counts(seed: int) -> dict[str, Tensor]:
    y = classes(seed)
    rates = torch.tensor([[2.0, 9.0, 5.0], [12.0, 3.0, 5.0]], dtype=REAL)
    return {"x": torch.poisson(rates[y], generator(seed)), "y": y}


def coins(seed: int) -> dict[str, Tensor]:
    y = classes(seed)
    probs = torch.tensor([[0.1, 0.8, 0.2, 0.9], [0.9, 0.2, 0.8, 0.3]], dtype=REAL)
    return {"x": torch.bernoulli(probs[y], generator=generator(seed)), "y": y}


def codes(seed: int) -> dict[str, Tensor]:
    y = classes(seed)
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]], dtype=REAL)[y]
    columns = [torch.multinomial(probs, 1, generator=generator(seed + i)) for i in range(4)]
    return {"x": torch.cat(columns, 1), "y": y}


@sound()
def exact_location(seed: int) -> Posterior:
    return fit(Location(), x=1 + normal(seed, 50))


@sound()
def exact_normals(seed: int) -> Posterior:
    return fit(GaussianNaiveBayes(classes=2, features=2), **normals(seed, 2.0))


@sound()
def exact_shared_normals(seed: int) -> Posterior:
    return fit(SharedGaussianNaiveBayes(classes=2, features=2), **normals(seed))


@sound()
def exact_spherical_normals(seed: int) -> Posterior:
    return fit(SphericalNaiveBayes(classes=2, features=2), **normals(seed))


@sound()
def exact_linear_discriminant(seed: int) -> Posterior:
    return fit(LinearDiscriminantAnalysis(classes=2, features=2), **normals(seed))


@sound()
def exact_quadratic_discriminant(seed: int) -> Posterior:
    return fit(QuadraticDiscriminantAnalysis(classes=2, features=2), **normals(seed, 2.0))


@sound()
def exact_poisson(seed: int) -> Posterior:
    return fit(PoissonNaiveBayes(classes=2, features=3), **counts(seed))


@sound()
def exact_bernoulli(seed: int) -> Posterior:
    return fit(BernoulliNaiveBayes(classes=2, features=4), **coins(seed))


@sound()
def exact_categorical(seed: int) -> Posterior:
    return fit(CategoricalNaiveBayes(classes=2, features=4, levels=3), **codes(seed))


@sound()
def exact_multinomial(seed: int) -> Posterior:
    return fit(MultinomialNaiveBayes(classes=2, features=3), **counts(seed))


@sound()
def exact_mixed(seed: int) -> Posterior:
    y, x, flags = classes(seed), normals(seed)["x"], coins(seed)["x"][:, :1]
    model = MixedNaiveBayes(classes=2, columns=["gaussian", "gaussian", "bernoulli"])
    return fit(model, x=torch.cat([x, flags], 1), y=y)


@sound()
def exact_regression(seed: int) -> Posterior:
    return fit(LinearRegression(features=3), Exact(), **line(seed, 100))


@sound()
def likely_normals(seed: int) -> Posterior:
    return fit(GaussianNaiveBayes(classes=2, features=2), MaximumLikelihood(), **normals(seed))


@sound()
def likely_regression(seed: int) -> Posterior:
    return fit(LinearRegression(features=3), MaximumLikelihood(), **line(seed, 100))


@sound()
def kernels(seed: int) -> Posterior:
    return fit(KernelNaiveBayes(classes=2, features=2), CrossValidation(), **normals(seed))


@sound()
def principal_components(seed: int) -> Posterior:
    return fit(
        PPCA(features=4, latent=2),
        x=normal(seed, ROWS, 2) @ normal(7, 2, 4) + 0.5 * normal(seed + 1, ROWS, 4),
    )


@sound()
def factors(seed: int) -> Posterior:
    x = normal(seed, ROWS, 1) @ normal(7, 1, 4) + 0.5 * normal(seed + 1, ROWS, 4)
    return fit(FactorAnalysis(features=4, latent=1), x=x)


@sound()
def em_of_normals(seed: int) -> Posterior:
    return fit(GaussianMixture(components=2, features=2), EM(seed=seed), x=normals(seed, apart=6.0)["x"])


@sound()
def em_of_full_normals(seed: int) -> Posterior:
    model = GaussianMixture(components=2, features=2, covariance="full")
    return fit(model, EM(seed=seed), x=normals(seed, apart=6.0)["x"])


@sound()
def em_of_counts(seed: int) -> Posterior:
    return fit(PoissonMixture(components=2, features=3), EM(seed=seed), x=counts(seed)["x"])


@sound()
def em_of_coins(seed: int) -> Posterior:
    return fit(BernoulliMixture(components=2, features=4), EM(seed=seed), x=coins(seed)["x"])


@sound()
def em_of_codes(seed: int) -> Posterior:
    return fit(CategoricalMixture(components=2, features=4, levels=3), EM(seed=seed), x=codes(seed)["x"])


@sound()
def vb_of_normals(seed: int) -> Posterior:
    model = GaussianMixture(components=2, features=2)
    return fit(model, VariationalBayes(seed=seed), x=normals(seed, apart=6.0)["x"])


@sound()
def vb_of_spherical_normals(seed: int) -> Posterior:
    model = GaussianMixture(components=2, features=2, covariance="spherical")
    return fit(model, VariationalBayes(seed=seed), x=normals(seed, apart=6.0)["x"])


@sound()
def vb_of_counts(seed: int) -> Posterior:
    return fit(PoissonMixture(components=2, features=3), VariationalBayes(seed=seed), x=counts(seed)["x"])


@sound()
def laplace_of_a_classifier(seed: int) -> Posterior:
    x = normal(seed, ROWS, 2)
    y = (uniform(seed + 1, ROWS) < x[:, 0].sigmoid()).long()
    return fit(LogisticRegression(classes=2, features=2), Laplace(), x=x, y=y)


@sound()
def laplace_of_normal_rows(seed: int) -> Posterior:
    return fit(Outcome(), Laplace(), x=2 + normal(seed, ROWS))


@sound()
def map_of_a_classifier(seed: int) -> Posterior:
    x = normal(seed, ROWS, 2)
    y = (uniform(seed + 1, ROWS) < x[:, 0].sigmoid()).long()
    return fit(LogisticRegression(classes=2, features=2), MAP(), x=x, y=y)


@sound()
def svi_of_a_regression(seed: int) -> Posterior:
    method = SVI(steps=3000, learning_rate=0.03, guide="full_rank", seed=seed, **QUIET)
    return fit(Line(3), method, **line(seed))


@sound()
def svi_of_a_mean_and_scale(seed: int) -> Posterior:
    method = SVI(steps=2500, learning_rate=0.03, guide="full_rank", seed=seed, **QUIET)
    return fit(Outcome(), method, x=2 + normal(seed, 100))


@sound()
def svi_of_a_scale(seed: int) -> Posterior:
    return fit(Scale(), SVI(steps=1500, learning_rate=0.03, seed=seed, **QUIET), x=2 * normal(seed, 80))


@sound()
def svi_of_counts(seed: int) -> Posterior:
    x = torch.poisson(5 * torch.ones(ROWS, dtype=REAL), generator(seed))
    return fit(Counts(), SVI(steps=1500, learning_rate=0.03, seed=seed, **QUIET), x=x)


@sound()
def svi_of_minibatches(seed: int) -> Posterior:
    method = SVI(steps=3000, learning_rate=0.02, batch_size=60, guide="full_rank", seed=seed, **QUIET)
    return fit(Line(2), method, **line(seed, ROWS, 2))


@sound()
def svi_of_a_classifier(seed: int) -> Posterior:
    method = SVI(steps=3000, learning_rate=0.03, guide="full_rank", seed=seed, **QUIET)
    return fit(LogisticRegression(classes=2, features=1), method, x=normal(seed, ROWS, 1), y=classes(seed))


@sound(slow=True)
def codes_of_images(seed: int) -> Posterior:
    x = torch.bernoulli((normal(seed, 400, 2) @ normal(7, 2, 10) * 2).sigmoid(), generator=generator(seed))
    return fit(VAE(10, 2, hidden=(16,)), SVI(steps=3000, learning_rate=0.01, seed=seed, **QUIET), x=x)


@sound(slow=True)
def chains_of_a_regression(seed: int) -> Posterior:
    method = NUTS(draws=250, warmup=150, chains=2, seed=seed, progress=False)
    return fit(LinearRegression(features=2), method, **line(seed, 50, 2))


@sound(slow=True)
def chains_of_normal_rows(seed: int) -> Posterior:
    method = NUTS(draws=300, warmup=300, chains=2, seed=seed, progress=False)
    return fit(Outcome(), method, x=2 + normal(seed, 50))
