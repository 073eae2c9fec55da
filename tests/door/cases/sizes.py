"""Numbers of every size, and rows of every number."""

import numpy as np
import pandas as pd
import torch

from ppl_gen import EM, SVI, MaximumLikelihood, VariationalBayes, ask, fit, log_evidence
from ppl_gen.models import (
    PPCA,
    VAE,
    BernoulliNaiveBayes,
    GaussianMixture,
    KernelNaiveBayes,
    LinearDiscriminantAnalysis,
    LinearRegression,
    LogisticRegression,
    MultinomialNaiveBayes,
    PoissonNaiveBayes,
    QuadraticDiscriminantAnalysis,
)
from tests.door.base import HOLED, WHOLE, X, Y, after, fitted, model, probs, refused, same, warned

ML = MaximumLikelihood()
LEARNERS = {
    "naive Bayes, maximum likelihood": lambda: (model(), ML),
    "discriminants, maximum likelihood": lambda: (QuadraticDiscriminantAnalysis(classes=2, features=2), ML),
    "kernels": lambda: (KernelNaiveBayes(classes=2, features=2),),
    "logistic regression": lambda: (LogisticRegression(classes=2, features=2), SVI(steps=100, compile=False)),
}
MIXED = {
    "1e-150": X * 1e-150,
    "1e-30": X * 1e-30,
    "1e30": X * 1e30,
    "1e140": X * 1e140,
    "offset 1e8, float32": (8 * X + 1e8).astype(np.float32),
    "offset 1e12": X + 1e12,
    "columns of 1e-100 and 1e100": X * np.array([1e-100, 1e100]),
    "int64's largest": np.where(Y[:, None] == 1, 2**63 - 1 - 2**40 * WHOLE, -(2**63) - 2**40 * (WHOLE - 9)),
}
HUGE = {
    "1e200": X * 1e200,
    "1e300": X * 1e300,
    "one of 1e200": np.vstack([X[:11], [[1e200, 1]]]),
    "the largest floats": np.where(Y[:, None] == 1, 1.7e308, -1.7e308) * np.ones((12, 2)),
}


def told(x, made):
    p, *method = made()
    return ask(fit(p, *method, x=x, y=Y), "p(y | x)", x=x).mode


def clustered(x, made):
    p, *method = made()
    found = ask(fit(p, *method, x=x), "p(z | x)", x=x).mode
    return (found == found[0]).int()


for learner, made in LEARNERS.items():
    for size, x in MIXED.items():
        same(f"{learner}: rows of {size}", lambda x=x, made=made: told(x, made), lambda: torch.tensor(Y))
    for size, x in HUGE.items():
        refused(f"{learner}: {size}", lambda x=x, made=made: told(x, made), "x: expected numbers of at most")
for learner, made in {
    "mixture, EM": lambda: (GaussianMixture(components=2, features=2), EM(restarts=3)),
    "mixture, full covariances, EM": lambda: (
        GaussianMixture(components=2, features=2, covariance="full"),
        EM(restarts=3),
    ),
}.items():
    for size in ("1e-150", "1e30", "1e140", "offset 1e12"):
        same(
            f"{learner}: rows of {size}",
            lambda x=MIXED[size], made=made: clustered(x, made),
            lambda: torch.tensor(Y[0] == Y).int(),
        )
    refused(
        f"{learner}: 1e200",
        lambda made=made: clustered(HUGE["1e200"], made),
        "x: expected numbers of at most",
    )
    if "full" in learner:
        same(
            f"{learner}: 1e-250",
            lambda made=made: clustered(X * 1e-250, made),
            lambda: torch.tensor(Y[0] == Y).int(),
        )
    else:
        refused(f"{learner}: 1e-250", lambda made=made: clustered(X * 1e-250, made), "x: expected rows")
    refused(
        f"{learner}: constant rows", lambda made=made: clustered(np.ones((12, 2)), made), "x: expected rows"
    )
for learner, p in {
    "naive Bayes": model(),
    "linear discriminants": LinearDiscriminantAnalysis(classes=2, features=2),
    "quadratic discriminants": QuadraticDiscriminantAnalysis(classes=2, features=2),
}.items():
    for size in ("1e30", "1e140", "int64's largest"):
        same(
            f"{learner}, exact: rows of {size}",
            lambda x=MIXED[size], p=p: told(x, lambda: (p,)),
            lambda: torch.tensor(Y),
        )
    same(
        f"{learner}, exact: constant rows",
        lambda p=p: probs(np.ones((12, 2)), fit(p, x=np.ones((12, 2)), y=Y)),
        lambda: torch.full((12, 2), 0.5).double(),
        1e-3,
    )
    for size, x in {
        "subnormal numbers": X * 1e-310,
        "1e-200": X * 1e-200,
        "1e-10": X * 1e-10,
        "1e-3": X * 1e-3,
        "offset 1e4": X + 1e4,
        "offset 1e8": X + 1e8,
        "offset 1e8, float32": MIXED["offset 1e8, float32"],
        "offset 1e12": MIXED["offset 1e12"],
        "columns of 1e-100 and 1e100": MIXED["columns of 1e-100 and 1e100"],
        "years beside others": np.column_stack([X[:, 0], 2020 + X[:, 1]]),
    }.items():
        warned(
            f"{learner}, exact: rows of {size}",
            lambda x=x, p=p: probs(x, fit(p, x=x, y=Y)),
            f"x: expected numbers of the size .* got column {int('years' in size)} about",
        )
same(
    "logistic regression: 1e-250",
    lambda: told(X * 1e-250, LEARNERS["logistic regression"]),
    lambda: torch.tensor(Y),
)
same(
    "linear regression: whole numbers",
    lambda: ask(fit(LinearRegression(features=2), x=WHOLE, y=Y), "p(y | x)", x=WHOLE).mean,
    lambda: (
        ask(
            fit(LinearRegression(features=2), x=WHOLE.astype(float), y=Y), "p(y | x)", x=WHOLE.astype(float)
        ).mean
    ),
)
for size, y in {"1e-10": X[:, 0] * 1e-10, "offset 1e8": X[:, 0] + 1e8}.items():
    warned(
        f"linear regression: targets of {size}",
        lambda y=y: fit(LinearRegression(features=1), x=X[:, 1:], y=y),
        "y: expected numbers of the size .* got about",
    )
    warned(
        f"mixture, variational Bayes: rows of {size}",
        lambda y=y: fit(
            GaussianMixture(components=2, features=1), VariationalBayes(restarts=2), x=y[:, None]
        ),
        "x: expected numbers of the size .* got about",
    )
refused(
    "linear regression: 1e200",
    lambda: fit(LinearRegression(features=2), x=X * 1e200, y=Y),
    "x: expected numbers of at most",
)
refused(
    "linear regression: targets of 1e200",
    lambda: fit(LinearRegression(features=2), x=X, y=Y * 1e200),
    "y: expected numbers of at most",
)
refused("PPCA: 1e200", lambda: fit(PPCA(features=2, latent=1), x=X * 1e200), "x: expected numbers of at most")
refused(
    "PPCA: constant rows",
    lambda: fit(PPCA(features=2, latent=1), x=np.ones((12, 2))),
    "x: expected more noise than 0",
)
same(
    "PPCA: rows of 1e140",
    lambda: log_evidence(fit(PPCA(features=2, latent=1), x=X * 1e140)).rows,
    lambda: log_evidence(fit(PPCA(features=2, latent=1), x=X)).rows - 2 * 140 * np.log(10),
    1e-6,
)
refused("VAE in float32: 1e30", lambda: fit(VAE(2, 1), SVI(steps=2), x=X * 1e30), "x: expected")
refused(
    "kernels: constant column",
    lambda: told(np.column_stack([X[:, 0], 0 * Y + 3.0]), LEARNERS["kernels"]),
    "x: expected values of feature 1",
)
same(
    "maximum likelihood: constant column",
    lambda: told(np.column_stack([X[:, 0], 0 * Y + 3.0]), LEARNERS["naive Bayes, maximum likelihood"]),
    lambda: torch.tensor(Y),
)
refused(
    "maximum likelihood: constant rows",
    lambda: told(np.ones((12, 2)), LEARNERS["naive Bayes, maximum likelihood"]),
    "x, y: expected rows that determine",
)
same(
    "maximum likelihood: one class",
    lambda: probs(X, fit(model(), ML, x=X, y=0 * Y)),
    lambda: torch.tensor([[1.0, 0.0]] * 12).double(),
    1e-12,
)
refused("maximum likelihood: one row", lambda: fit(model(), ML, x=X[:1], y=[0]), "x|y|x, y")

FAR = {
    f"{size:g} away": np.array([[size, size], [-size, size], [size, 0.0]])
    for size in (1e6, 1e12, 1e50, 1e140)
}
for where, x in FAR.items():
    for learner, made in LEARNERS.items():
        if "kernels" in learner and where != "1e+06 away":
            continue
        same(
            f"{learner} asked of rows {where}",
            lambda x=x, made=made: probs(x, fit(*made(), x=X, y=Y)).sum(1),
            lambda: torch.ones(3).double(),
            1e-12,
        )
    same(
        f"naive Bayes asked of rows {where}",
        lambda x=x: probs(x).sum(1),
        lambda: torch.ones(3).double(),
        1e-12,
    )
    same(
        f"mixture asked of rows {where}",
        lambda x=x: ask(
            fit(GaussianMixture(components=2, features=2), VariationalBayes(restarts=2), x=X), "p(z | x)", x=x
        ).probs.sum(1),
        lambda: torch.ones(3).double(),
        1e-12,
    )
same(
    "rows between subnormal numbers", lambda: probs(np.full((1, 2), 5e-324)), lambda: probs(np.zeros((1, 2)))
)
refused("asked of 1e200", lambda: probs(X * 1e200), "x: expected numbers of at most")

SIZES = {
    "one row": (lambda: after(X[:1], Y[:1]), None),
    "one class": (lambda: after(X[:4], [1, 1, 1, 1]), None),
    "a row of each class": (lambda: after(X[:2], Y[:2]).round(), lambda: torch.eye(2).double()[Y]),
    "contradictory copies": (
        lambda: probs(X[:6], fit(model(), x=np.repeat(X[:6], 2, 0), y=Y)),
        lambda: torch.full((6, 2), 0.5).double(),
    ),
    "every cell missing": (lambda: probs(HOLED * np.nan), lambda: torch.full((12, 2), 0.5).double()),
    "fitted with every cell missing": (
        lambda: after(X * np.nan, Y),
        lambda: torch.full((12, 2), 0.5).double(),
    ),
    "a column missing": (lambda: after(np.column_stack([X[:, 0], X[:, 1] * np.nan])), None),
    "300 classes": (
        lambda: ask(fit(model(classes=300), x=X, y=Y), "p(y | x)", x=X).mode.double(),
        lambda: torch.tensor(Y).double(),
    ),
    "3000 features": (
        lambda: ask(
            fit(model(features=3000), x=np.tile(X, 1500), y=Y), "p(y | x)", x=np.tile(X, 1500)
        ).mode.double(),
        lambda: torch.tensor(Y).double(),
    ),
    "one feature": (
        lambda: ask(fit(model(features=1), x=X[:, :1], y=Y), "p(y | x)", x=X[:, :1]).mode.double(),
        lambda: torch.tensor(Y).double(),
    ),
}
for size, (act, plain) in SIZES.items():
    same(size, act, plain or (lambda act=act: act()), 1e-9 if "missing" in size else 1e-4)
same("perfect separation", lambda: told(X, LEARNERS["logistic regression"]), lambda: torch.tensor(Y))
same(
    "more components than rows",
    lambda: ask(
        fit(GaussianMixture(components=20, features=2), VariationalBayes(restarts=1), x=X[:3]),
        "p(z | x)",
        x=X,
    ).probs.sum(1),
    lambda: torch.ones(12).double(),
    1e-12,
)
ROWS = {
    "no rows": (lambda: after(X[:0], Y[:0]), "x, y: expected at least one row, got none"),
    "no rows of a frame": (
        lambda: after(pd.DataFrame(X[:0]), Y[:0]),
        "x, y: expected at least one row, got none",
    ),
    "no features": (lambda: after(X[:, :0]), r"x: expected shape \(12, 2\)"),
    "no features of a model": (
        lambda: model(features=0),
        "features: expected a whole number from 1 up, got 0",
    ),
    "no classes of a model": (lambda: model(classes=0), "classes: expected a whole number from 1 up, got 0"),
    "classes -1": (lambda: model(classes=-1), "classes: expected a whole number from 1 up, got -1"),
    "classes 2.0": (lambda: model(classes=2.0), "classes: expected a whole number from 1 up, got 2.0"),
    "classes True": (lambda: model(classes=True), "classes: expected a whole number from 1 up, got True"),
    "classes None": (lambda: model(classes=None), "classes: expected a whole number from 1 up, got None"),
    "classes '2'": (lambda: model(classes="2"), "classes: expected a whole number from 1 up, got '2'"),
    "too many features": (lambda: after(np.ones((12, 3))), r"x: expected shape \(12, 2\)"),
    "too many features at ask": (lambda: probs(np.ones((12, 3))), r"x: expected shape \(12, 2\)"),
    "too few features at ask": (lambda: probs(np.ones((12, 1))), r"x: expected shape \(12, 2\)"),
    "three dimensions": (lambda: after(X[:, :, None]), r"x: expected shape \(12, 2\)"),
    "one dimension": (lambda: after(X[:, 0]), r"x: expected shape \(12, 2\)"),
    "one number": (lambda: after(3.0), "x: expected rows of shape"),
    "transposed": (lambda: after(X.T), r"x: expected shape"),
    "inf": (
        lambda: after(np.where(np.arange(24).reshape(12, 2) == 7, np.inf, X)),
        r"x: expected finite real numbers, got inf at \[3, 1\]",
    ),
    "-inf at ask": (
        lambda: probs(np.where(np.arange(24).reshape(12, 2) == 7, -np.inf, X)),
        r"x: expected finite real numbers, got -inf at \[3, 1\]",
    ),
    "float16 inf": (
        lambda: after(np.full((12, 2), np.inf, np.float16)),
        "x: expected finite real numbers, got inf",
    ),
    "NaN for a discriminative model": (
        lambda: fit(LogisticRegression(classes=2, features=2), x=HOLED, y=Y),
        r"x: expected finite real numbers, got nan at \[3, 0\]",
    ),
    "fractions for counts": (
        lambda: fit(PoissonNaiveBayes(classes=2, features=2), x=np.abs(X), y=Y),
        "x: expected whole numbers from 0 up",
    ),
    "negative counts": (
        lambda: fit(PoissonNaiveBayes(classes=2, features=2), x=-np.abs(WHOLE) - 1, y=Y),
        "x: expected whole numbers from 0 up",
    ),
    "negative words": (
        lambda: fit(MultinomialNaiveBayes(classes=2, features=2), x=-np.abs(WHOLE) - 1, y=Y),
        "x: expected",
    ),
    "2 for a bit": (
        lambda: fit(BernoulliNaiveBayes(classes=2, features=2), x=np.full((12, 2), 2), y=Y),
        r"x: expected zeros and ones, got \[2.0, 2.0\] at \[0\]",
    ),
    "probability 0 under every class": (
        lambda: ask(fitted(), "p(y | x)", x=[[np.nan, np.inf]]).probs,
        "x: expected finite real numbers, got inf",
    ),
}
for size, (act, words) in ROWS.items():
    refused(size, act, words)
