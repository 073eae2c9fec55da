"""The warning that a prior overrules the rows: where it must come, and where it must not."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from ppl_gen import EM, SVI, MaximumLikelihood, VariationalBayes, ask, fit
from ppl_gen.data import breast_cancer, digits, iris, wine
from ppl_gen.errors import Unreliable
from ppl_gen.models import (
    DiscretisedRegression,
    GaussianMixture,
    GaussianNaiveBayes,
    GaussianRegression,
    LinearDiscriminantAnalysis,
    LinearRegression,
    MixedNaiveBayes,
    QuadraticDiscriminantAnalysis,
    SharedGaussianNaiveBayes,
    SphericalNaiveBayes,
)

CLASSIFIERS = [
    GaussianNaiveBayes,
    SharedGaussianNaiveBayes,
    SphericalNaiveBayes,
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
    lambda classes, features: MixedNaiveBayes(classes=classes, columns=["gaussian"] * features),
]
SIZED = "x: expected numbers of the size"


def rows(n=60, seed=0):
    y = np.arange(n) % 2
    return np.random.default_rng(seed).normal(size=(n, 2)) + 4 * y[:, None], y


@pytest.mark.parametrize("made", CLASSIFIERS)
@pytest.mark.parametrize(("scale", "shift"), [(1, 1e8), (1, -1e4), (1e-10, 0), (1e-3, 0)])
def test_a_prior_that_decides_says_so_and_decides(made, scale, shift):
    x, y = rows()
    moved = scale * x + shift
    with pytest.warns(Unreliable, match=SIZED):
        posterior = fit(made(classes=2, features=2), x=moved, y=y)
    assert ask(posterior, "p(y | x)", x=moved).probs.max(1).values.mean() < 0.6
    trusted = fit(made(classes=2, features=2), x=x, y=y)
    assert ask(trusted, "p(y | x)", x=x).probs.max(1).values.mean() > 0.95


@pytest.mark.parametrize("made", CLASSIFIERS)
@pytest.mark.parametrize("data", [iris, wine, digits, breast_cancer])
def test_sensible_data_pass_in_silence(made, data):
    data = data().standardized()
    classes, features = len(data.classes), len(data.features)
    for part in (data, data[: 4 * classes], data[:1]):
        fit(made(classes=classes, features=features), x=part.x, y=part.y)
        fit(made(classes=classes, features=features), x=1e9 * part.x, y=part.y)  # the data decide


@pytest.mark.parametrize("n", [2, 3, 10, 100])
@pytest.mark.parametrize("classes", [1, 3])
def test_rows_of_the_prior_itself_do_not_contradict_it(n, classes):
    """At most one column in a million would: 4 × 2 × 400 of them are looked at."""
    p = GaussianNaiveBayes(classes=classes, features=400)
    drawn = ask(p, "p(x, y)").sample(n * classes, seed=n)
    mu_tau = ask(p, "p(mu, tau)").sample(1, seed=n)
    mu, tau = mu_tau["mu"][0], mu_tau["tau"][0]
    y = torch.arange(n * classes) % classes
    noise = torch.randn(n * classes, 400, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    fit(p, x=mu[y] + noise * tau[y].rsqrt(), y=y)
    assert drawn["x"].shape == (n * classes, 400)


def test_the_column_is_named_and_constant_or_missing_ones_are_none():
    x, y = rows()
    year = np.arange(60) % 10 + 2020.0
    frame = pd.DataFrame({"a": x[:, 0], "year": year, "same": 1e8, "none": np.nan})
    with pytest.warns(
        Unreliable, match=r"got column 'year' about 2024.5 within a range of 9\. .*loc="
    ) as told:
        fit(GaussianNaiveBayes(classes=2, features=4), x=frame, y=y)
    assert told[0].filename == __file__
    columns = ["gaussian", "poisson", "gaussian"]
    mixed = np.column_stack([x[:, 0], year, year])
    with pytest.warns(Unreliable, match=r"got column 2 about 2024.5 .*priors=") as told:
        fit(MixedNaiveBayes(classes=2, columns=columns), x=mixed, y=y)
    assert len(told) == 1


def test_a_chosen_prior_and_methods_without_one_pass_in_silence():
    x, y = rows()
    x = x + 1e8
    chosen = GaussianNaiveBayes(classes=2, features=2, loc=1e8)
    assert ask(fit(chosen, x=x, y=y), "p(y | x)", x=x).probs.max(1).values.mean() > 0.95
    strong = GaussianNaiveBayes(classes=2, features=2, loc=1e8, shape=1e3, rate=1e7)  # worth 2,000 rows
    with pytest.warns(Unreliable, match=SIZED):
        fit(strong, x=x, y=y)
    fit(GaussianNaiveBayes(classes=2, features=2), MaximumLikelihood(), x=x, y=y)
    fit(GaussianMixture(components=2, features=2), EM(restarts=2), x=x)


@pytest.mark.parametrize(
    ("p", "method", "data"),
    [
        (GaussianMixture(components=2, features=2), VariationalBayes(restarts=1), ["x"]),
        (GaussianNaiveBayes(classes=2, features=2), SVI(steps=2, compile=False), ["x", "y"]),
        (DiscretisedRegression(features=2, bins=[-0.5, 0.5, 1.5]), None, ["x", "y"]),
        (GaussianRegression(features=2), None, ["x", "y"]),
    ],
)
def test_other_models_and_methods_that_have_a_prior(p, method, data):
    x, y = rows()
    found = {"x": x, "y": y + 0.0}
    fit(p, method, **{name: found[name] for name in data})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(p, method, **{name: found[name] + 1e8 * (name == "x") for name in data})
    assert [str(w.message)[: len(SIZED)] for w in told] == [SIZED]


def test_targets_of_a_regression():
    x, _ = rows()
    fit(LinearRegression(features=1), x=x[:, :1], y=x[:, 1])
    with pytest.warns(
        Unreliable, match=r"y: expected numbers .* got about 1e\+08 within a range of .*precision="
    ):
        far = fit(LinearRegression(features=1), x=x[:, :1], y=x[:, 1] + 1e8)
    assert abs(ask(far, "p(y | x)", x=x[:1, :1]).mean.item() - 1e8) > 1e3
