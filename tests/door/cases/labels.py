"""Classes as codes and by name."""

import datetime
import decimal
import enum

import numpy as np
import pandas as pd
import polars as pl
import torch

from ppl_gen import EM, SVI, ask, fit, load, merge, save
from ppl_gen.models import (
    BernoulliNaiveBayes,
    CategoricalNaiveBayes,
    ConditionalVAE,
    GaussianMixture,
    KernelNaiveBayes,
    LogisticRegression,
)
from tests.door.base import NAMES, WHOLE, X, Y, after, fitted, model, refused, same

TEXTS = NAMES[Y]
CODES = {
    "uint8": lambda: Y.astype(np.uint8),
    "uint64": lambda: Y.astype(np.uint64),
    "big-endian": lambda: Y.astype(">i4"),
    "booleans": lambda: Y.astype(bool),
    "floats 1.0": lambda: Y.astype(float),
    "float16": lambda: Y.astype(np.float16),
    "-0.0": lambda: np.where(Y == 0, -0.0, 1.0),
    "a column": lambda: Y[:, None],
    "negative strides": lambda: Y[::-1].copy()[::-1],
    "a list": Y.tolist,
    "a range's numbers": lambda: [range(2)[code] for code in Y],
    "booleans in a list": lambda: Y.astype(bool).tolist(),
    "numbers as objects": lambda: Y.astype(object),
    "Decimal": lambda: [decimal.Decimal(int(code)) for code in Y],
    "tensors of no dimension": lambda: [torch.tensor(code) for code in Y],
    "pandas series": lambda: pd.Series(Y),
    "pandas nullable": lambda: pd.Series(Y, dtype="Int64"),
    "pandas nullable booleans": lambda: pd.Series(Y.astype(bool), dtype="boolean"),
    "pandas categories of codes": lambda: pd.Categorical(Y),
    "pandas categories of codes, backwards": lambda: pd.Categorical(Y, categories=[1, 0]),
    "pandas frame of one column": lambda: pd.DataFrame({"target": Y}),
    "polars series": lambda: pl.Series(Y),
    "polars booleans": lambda: pl.Series(Y.astype(bool)),
    "polars frame of one column": lambda: pl.DataFrame({"target": Y}),
    "int32 tensor": lambda: torch.tensor(Y, dtype=torch.int32),
    "boolean tensor": lambda: torch.tensor(Y).bool(),
    "float tensor": lambda: torch.tensor(Y).half(),
}
for form, made in CODES.items():
    same(f"codes as {form}", lambda made=made: after(y=made()), after)

DAYS = [datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)]
BY_NAME = {
    "texts": (lambda: TEXTS, ["ill", "well"]),
    "texts as objects": (lambda: TEXTS.astype(object), ["ill", "well"]),
    "texts in a list": (TEXTS.tolist, ["ill", "well"]),
    "texts of numbers": (lambda: Y.astype(str), ["0", "1"]),
    "long names and short ones": (lambda: np.where(Y, "z" * 300, ""), ["", "z" * 300]),
    "letters of every kind": (lambda: np.where(Y, "🦆 ß", "Ärger"), None),
    "bytes": (lambda: TEXTS.astype("S"), ["ill", "well"]),
    "pandas strings": (lambda: pd.Series(TEXTS, dtype="string"), ["ill", "well"]),
    "pandas objects": (lambda: pd.Series(TEXTS, dtype=object), ["ill", "well"]),
    "pandas series with an index of its own": (
        lambda: pd.Series(TEXTS, index=range(100, 112)),
        ["ill", "well"],
    ),
    "pandas categories": (lambda: pd.Series(TEXTS).astype("category"), ["ill", "well"]),
    "pandas categories in an order of their own": (
        lambda: pd.Series(pd.Categorical(TEXTS, categories=["well", "ill"], ordered=True)),
        ["well", "ill"],
    ),
    "pandas categories that no row has": (
        lambda: pd.Categorical(TEXTS, categories=["a", "ill", "b", "well", "c"]),
        ["ill", "well"],
    ),
    "pandas intervals": (lambda: pd.cut(pd.Series(Y), [-1, 0, 1]), ["(-1, 0]", "(0, 1]"]),
    "pandas periods": (
        lambda: pd.Series(pd.PeriodIndex(np.where(Y, "2021", "2020"), freq="Y")),
        ["2020", "2021"],
    ),
    "pandas times": (lambda: pd.Series(np.array(DAYS, "M8[ns]")[Y]), None),
    "pandas index": (lambda: pd.Index(TEXTS), ["ill", "well"]),
    "pandas frame of one column": (lambda: pd.DataFrame({"state": TEXTS}), ["ill", "well"]),
    "polars texts": (lambda: pl.Series(TEXTS), ["ill", "well"]),
    "polars categories": (lambda: pl.Series(TEXTS, dtype=pl.Categorical), ["ill", "well"]),
    "polars enumeration": (lambda: pl.Series(TEXTS, dtype=pl.Enum(["well", "ill"])), ["well", "ill"]),
    "polars dates": (lambda: pl.Series([DAYS[code] for code in Y]), ["2020-01-01", "2021-01-01"]),
    "polars frame of one column": (lambda: pl.DataFrame({"state": TEXTS}), ["ill", "well"]),
    "dates": (lambda: [DAYS[code] for code in Y], ["2020-01-01", "2021-01-01"]),
    "NumPy's dates": (lambda: np.array(DAYS, "M8[D]")[Y], ["2020-01-01", "2021-01-01"]),
    "a column of texts": (lambda: TEXTS[:, None], ["ill", "well"]),
}


def labelled(y, x=X, of=None):
    """The name of each row's most probable class."""
    return ask(fit(of or model(), x=x, y=y), "p(y | x)", x=x).labels


def plainly(made):
    """The names that came, in NumPy's plainest form."""
    cells = made()
    if hasattr(cells, "columns"):
        cells = cells[cells.columns[0]]
    cells = np.asarray(cells).ravel() if not isinstance(cells, list) else cells
    cells = (
        pd.Index(cells)
        if isinstance(cells, np.ndarray) and cells.dtype.kind == "M" and len(str(cells[0])) > 10
        else cells
    )
    return [cell.decode() if isinstance(cell, bytes) else str(cell) for cell in cells]


for form, (made, names) in BY_NAME.items():
    same(f"classes as {form}", lambda made=made: labelled(made()), lambda made=made: plainly(made))
    if names:
        same(
            f"the order of classes as {form}",
            lambda made=made: fit(model(), x=X, y=made()).classes["y"],
            lambda names=names: names,
        )
same("probabilities of classes by name", lambda: after(y=TEXTS), after)


def again(change):
    posterior = change(fit(model(), x=X, y=TEXTS))
    answer = ask(posterior, "p(y | x)", x=X)
    return [*answer.classes, *answer.labels]


def on_disk(posterior, tmp="/tmp"):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        save(posterior, Path(folder) / "a.pplgen")
        return load(Path(folder) / "a.pplgen")


same("names after save and load", lambda: again(on_disk), lambda: ["ill", "well", *TEXTS])
same(
    "names after more rows of one class",
    lambda: again(lambda p: fit(p, x=X[:1] + 1, y=["ill"])),
    lambda: ["ill", "well", *TEXTS],
)
same(
    "names after a merge",
    lambda: again(lambda p: merge(p, fit(model(), x=X[:2] + 1, y=TEXTS[:2]))),
    lambda: ["ill", "well", *TEXTS],
)
same(
    "a class that comes later takes a free code",
    lambda: fit(fit(model(classes=3), x=X, y=TEXTS), x=[[9.0, 9.0]], y=["better"]).classes["y"],
    lambda: ["ill", "well", "better"],
)
same(
    "given by name",
    lambda: ask(fit(model(), x=X, y=TEXTS), "p(x | y)", y="well").mean,
    lambda: ask(fitted(), "p(x | y)", y=1).mean,
)
same(
    "given by names",
    lambda: ask(fit(model(), x=X, y=TEXTS), "p(x | y)", y=["well", "ill"]).mean,
    lambda: ask(fitted(), "p(x | y)", y=[1, 0]).mean,
)
same(
    "scored by names",
    lambda: ask(fit(model(), x=X, y=TEXTS), "p(x, y)").log_prob(x=X, y=TEXTS),
    lambda: ask(fitted(), "p(x, y)").log_prob(x=X, y=Y),
)
same("one row's name", lambda: [ask(fit(model(), x=X, y=TEXTS), "p(y | x)", x=X[1]).labels], lambda: ["well"])
same(
    "codes given to a fit by name",
    lambda: ask(fit(model(), x=X, y=TEXTS), "p(x | y)", y=1).mean,
    lambda: ask(fitted(), "p(x | y)", y=1).mean,
)
SOME = np.where(np.arange(12) < 9, TEXTS, None)
MIXTURE = GaussianMixture(components=2, features=2)
for form, made in {
    "None": lambda: SOME,
    "NaN": lambda: np.where(SOME == None, np.nan, SOME),  # noqa: E711
    "pandas NA": lambda: pd.Series(SOME, dtype="string"),
    "pandas categories": lambda: pd.Series(SOME).astype("category"),
    "polars null": lambda: pl.Series(SOME.tolist()),
}.items():
    same(
        f"some names missing: {form}",
        lambda made=made: ask(fit(MIXTURE, EM(), x=X, z=made()), "p(z | x)", x=X).labels,
        lambda: TEXTS,
    )
same(
    "names of classes for SVI's batches",
    lambda: (
        ask(
            fit(LogisticRegression(classes=2, features=2), SVI(steps=200, batch_size=4), x=X, y=TEXTS),
            "p(y | x)",
            x=X,
        ).labels
    ),
    lambda: TEXTS,
)
same(
    "names of classes for kernels",
    lambda: ask(fit(KernelNaiveBayes(classes=2, features=2), x=X, y=TEXTS), "p(y | x)", x=X).labels,
    lambda: TEXTS,
)
same(
    "names of given classes",
    lambda: ask(
        fit(ConditionalVAE(features=2, latent=1, classes=2), SVI(steps=2, seed=1), x=(X > 3), y=TEXTS),
        "p(x | y)",
        y="well",
    ).log_prob(x=[[1.0, 0.0]]),
    lambda: ask(
        fit(ConditionalVAE(features=2, latent=1, classes=2), SVI(steps=2, seed=1), x=(X > 3), y=Y),
        "p(x | y)",
        y=1,
    ).log_prob(x=[[1.0, 0.0]]),
)


class Colour(enum.Enum):
    RED = "red"


BAD = {
    "codes from 1": (lambda: Y + 1, "y: expected class codes 0 to 1, got 2"),
    "codes with gaps": (lambda: Y * 10, "y: expected class codes 0 to 1, got 10"),
    "negative codes": (lambda: -Y, "y: expected class codes 0 to 1, got -1"),
    "codes 0.5": (lambda: Y / 2, "y: expected class codes 0 to 1, got 0.5"),
    "huge codes": (lambda: Y * 2**62, "y: expected class codes 0 to 1, got"),
    "infinite codes": (lambda: np.where(Y, np.inf, 0), "y: expected finite real numbers, got inf"),
    "NaN among codes": (lambda: np.where(Y, np.nan, 0), "y: expected a class for every row, got none"),
    "None among codes": (lambda: [None, *Y[1:].tolist()], "y: expected a class for every row, got none"),
    "None among names": (lambda: SOME, "y: expected a class for every row, got none"),
    "one-hot rows": (lambda: np.eye(2)[Y], r"y: expected shape \(12,\) \(rows first\), got \(12, 2\)"),
    "too few": (lambda: Y[:5], r"y: expected shape \(12,\)"),
    "too many": (lambda: [*Y, 0], r"[xy]: expected shape \(13"),
    "too few names": (lambda: TEXTS[:5], r"y: expected shape \(12,\)"),
    "too many names": (lambda: ["a", "b", "c"] * 4, "y: expected 2 classes at most, .*'a', 'b', 'c'"),
    "numbers among names": (lambda: ["a", *Y[1:].tolist()], "y: expected either class codes or names"),
    "names among numbers": (lambda: [*Y[1:].tolist(), "a"], "y: expected numbers, got .* such as"),
    "enumerations": (lambda: [Colour.RED] * 12, "y: expected numbers, got object such as <Colour.RED"),
    "tuples": (lambda: [("a", "b")] * 12, "y: expected numbers, got"),
    "categories of other codes": (lambda: pd.Categorical(Y + 3), "y: expected class codes 0 to 1, got"),
    "complex codes": (lambda: Y * 1j, "y: expected numbers, got complex128"),
    "a name for all": (lambda: "well", "y: expected"),
    "no codes": (lambda: [], "y: expected"),
}
for form, (made, words) in BAD.items():
    refused(f"classes as {form}", lambda made=made: after(y=made()), words)
refused(
    "a name that the fit did not have",
    lambda: ask(fit(model(), x=X, y=TEXTS), "p(x | y)", y="Well").mean,
    "y: expected one of the classes 'ill', 'well', got 'Well'. Did you mean 'well'",
)
refused(
    "a name for a fit to codes",
    lambda: ask(fitted(), "p(x | y)", y="well").mean,
    "y: expected class codes 0 to 1, got 'well', and no fit has told",
)
refused(
    "a name for a model that was not fitted",
    lambda: ask(model(), "p(x | y)", y="well").mean,
    "y: expected class codes 0 to 1, got 'well', and no fit has told",
)
refused(
    "labels of a fit to codes", lambda: ask(fitted(), "p(y | x)", x=X).labels, "'y' was fitted to class codes"
)
refused("labels of numbers", lambda: ask(fitted(), "p(x)").labels, "'x' has no finite list of values")
refused(
    "a merge of fits with other names",
    lambda: merge(fit(model(), x=X, y=TEXTS), fit(model(), x=X + 1, y=np.array(["a", "b"])[Y])),
    "merge: expected posteriors of the same classes",
)
refused(
    "names for a fit to codes that goes on",
    lambda: fit(fitted(), x=X + 1, y=TEXTS),
    "y: expected class codes",
)
refused(
    "names for features",
    lambda: fit(BernoulliNaiveBayes(classes=2, features=1), x=TEXTS[:, None], y=Y),
    "x: expected numbers",
)
refused(
    "categories above the levels",
    lambda: fit(CategoricalNaiveBayes(classes=2, features=2, levels=3), x=np.abs(WHOLE) + 3, y=Y),
    "x: expected whole numbers from 0 to 2",
)
