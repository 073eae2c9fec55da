"""Slips of the keyboard, and columns by name."""

import pandas as pd
import polars as pl
import torch

from ppl_gen import (
    EM,
    SVI,
    Exact,
    ask,
    diagnose,
    explain,
    fit,
    log_evidence,
    loo,
    predictive_check,
    save,
    to_arviz,
)
from ppl_gen.models import GaussianMixture, GaussianNaiveBayes
from tests.door.base import X, Y, after, fitted, model, probs, refused, same

FRAME = pd.DataFrame(X, columns=["a", "b"])
FEW = {"x": X, "y": Y}


def framed():
    return fit(model(), x=FRAME, y=Y)


for kind, made in {
    "pandas": lambda: FRAME[["b", "a"]],
    "polars": lambda: pl.DataFrame(X, schema=["a", "b"])[["b", "a"]],
}.items():
    same(f"columns in another order, {kind}", lambda made=made: probs(made(), framed()), lambda: probs(X))
    same(
        f"columns in another order for more rows, {kind}",
        lambda made=made: probs(X, fit(framed(), x=made() + 1.0, y=Y)),
        lambda: probs(X, fit(fitted(), x=X + 1.0, y=Y)),
    )
same("a matrix after a frame", lambda: probs(X, framed()), lambda: probs(X))
same("a frame after a matrix", lambda: probs(FRAME), lambda: probs(X))
same(
    "a frame of numbered columns after one of names",
    lambda: probs(pd.DataFrame(X), framed()),
    lambda: probs(X),
)
COLUMNS = {
    "a lacking column": (lambda: FRAME[["a"]], "'b' is lacking"),
    "a column too many": (lambda: FRAME.assign(c=1.0), "'c' is new. Leave it out"),
    "a misspelt column": (
        lambda: FRAME.rename(columns={"a": "A"}),
        "'a' is lacking and 'A' is new. Did you mean 'a'",
    ),
    "polars, other columns": (lambda: pl.DataFrame(X, schema=["a", "c"]), "'b' is lacking and 'c' is new"),
}
for slip, (made, words) in COLUMNS.items():
    refused(
        f"asked of {slip}",
        lambda made=made: probs(made(), framed()),
        f"x: expected the columns of the fit, a, b; {words}",
    )
    refused(
        f"more rows with {slip}",
        lambda made=made: fit(framed(), x=made(), y=Y),
        f"x: expected the columns of the fit, a, b; {words}",
    )
refused(
    "rows of y in another order by their index",
    lambda: after(FRAME, pd.Series(Y).sample(frac=1, random_state=0)),
    "y: expected rows in the order of x, got the same index in another order",
)
same("an index that no other has", lambda: after(FRAME, pd.Series(Y, index=range(50, 62))), after)


def changed():
    rows = torch.tensor(X)
    posterior = fit(model(), x=rows, y=Y)
    rows[0] = 3.0
    return loo(posterior)


SLIPS = {
    "no data": (lambda: fit(model()), "fit needs data named like the variables of p"),
    "no class": (lambda: fit(model(), x=X), ".*needs every row's y.*Pass y=…|.*"),
    "a variable that is none": (
        lambda: fit(model(), **FEW, q=1),
        "'q' is not a variable of GaussianNaiveBayes",
    ),
    "a capital": (lambda: fit(model(), X=X, y=Y), "'X' is not a variable of .* Did you mean 'x'"),
    "scikit-learn's order": (lambda: fit(model(), X, Y), "data are passed by name, .*x=…"),
    "lists by place": (lambda: fit(model(), X.tolist(), Y.tolist()), "data are passed by name, .*x=…"),
    "frames by place": (lambda: fit(model(), FRAME, pd.Series(Y)), "data are passed by name, .*x=…"),
    "a method's class": (
        lambda: fit(model(), Exact, **FEW),
        r"method: expected Exact\(\), .*the class Exact; make one",
    ),
    "a method's name": (lambda: fit(model(), "exact", **FEW), r"method: expected Exact\(\), SVI"),
    "a model's class": (
        lambda: fit(GaussianNaiveBayes, **FEW),
        "model: expected a ProbabilisticModel or a Posterior, got the class",
    ),
    "no model": (
        lambda: fit(None, **FEW),
        "model: expected a ProbabilisticModel or a Posterior, got NoneType",
    ),
    "something else for a model": (
        lambda: ask("nb", "p(x)"),
        "ask: expected a ProbabilisticModel or a Posterior first, got str",
    ),
    "an array asked": (
        lambda: ask(X, "p(x)"),
        "ask: expected a ProbabilisticModel or a Posterior first, got ndarray",
    ),
    "a model asked before the fit with rows left out": (
        lambda: ask(model(), "p(y | x)"),
        "x: the question .* is given x; pass x=…",
    ),
    "a value that no bar asks for": (
        lambda: ask(fitted(), "p(y | x)", x=X, mu=1),
        "mu: does not stand right of the bar",
    ),
    "a value for what is asked": (
        lambda: ask(fitted(), "p(y | x)", x=X, y=Y),
        r"y: .* asks about it; pass it to the answer: .log_prob\(y=…\)",
    ),
    "a capital at ask": (
        lambda: ask(fitted(), "p(y | X)", X=X),
        "'X' is not a variable of .* Did you mean 'x'",
    ),
    "a question of nothing": (lambda: ask(fitted(), ""), "."),
    "half a question": (lambda: ask(fitted(), "p(y | x"), "."),
    "a number for a question": (lambda: ask(fitted(), 3), "."),
    "a method at ask": (
        lambda: ask(fitted(), "p(x)", SVI()),
        r"method: expected Importance\(…\) or LowerBound",
    ),
    "rows by place": (
        lambda: ask(fitted(), "p(x)").log_prob(X),
        r"values are passed by name: .log_prob\(x=…\)",
    ),
    "too few values": (
        lambda: ask(fitted(), "p(x, y)").log_prob(x=X),
        r"p\(x, y\): expected a value for each of x, y, got x",
    ),
    "no rows given": (lambda: probs(X[:0]), "x: expected at least one row, got none"),
    "rows and classes of other numbers": (
        lambda: ask(fitted(), "p(x, y)").log_prob(x=X, y=[0, 1]),
        r"y: expected shape \(12,\)",
    ),
    "a sample of -1": (
        lambda: ask(fitted(), "p(x)").sample(-1),
        "n: expected a whole number from 1 up, got -1",
    ),
    "a sample of 2.5": (
        lambda: ask(fitted(), "p(x)").sample(2.5),
        "n: expected a whole number from 1 up, got 2.5",
    ),
    "the mean of codes": (
        lambda: ask(fitted(), "p(y | x)", x=X).mean,
        "'y' is a class code, and codes have no mean",
    ),
    "steps 0": (lambda: SVI(steps=0), "steps: expected a whole number from 1 up, got 0"),
    "steps 1.5": (lambda: SVI(steps=1.5), "steps: expected a whole number"),
    "a negative rate": (lambda: SVI(learning_rate=-1), "learning_rate: expected a positive number, got -1"),
    "a rate of NaN": (
        lambda: SVI(learning_rate=float("nan")),
        "learning_rate: expected a positive number, got nan",
    ),
    "a rate of text": (
        lambda: SVI(learning_rate="fast"),
        "learning_rate: expected a positive number, got 'fast'",
    ),
    "batch_size -1": (lambda: SVI(batch_size=-1), "batch_size: expected .*got -1"),
    "a device of no machine": (lambda: SVI(device="gpu"), "device: expected None"),
    "restarts 0": (lambda: EM(restarts=0), "restarts: expected a whole number from 1 up, got 0"),
    "a prior of NaN": (lambda: model(rate=float("nan")), "rate: expected positive finite numbers, got nan"),
    "a prior below 0": (
        lambda: model(concentration=[-1, 1]),
        "concentration: expected positive finite numbers, got -1",
    ),
    "a prior of another shape": (
        lambda: model(loc=[0, 0, 0]),
        r"loc: expected a number or an array that fits \(2, 2\)",
    ),
    "a prior of text": (lambda: model(loc="a"), "loc: expected a number or an array"),
    "another covariance": (
        lambda: GaussianMixture(components=2, features=2, covariance="fulll"),
        "covariance: expected .* got 'fulll'",
    ),
    "the same rows twice": (lambda: fit(fitted(), **FEW), "these very rows are in this posterior already"),
    "rows changed after the fit": (lambda: changed(), "the data of this posterior were changed in place"),
    "saved to a folder": (
        lambda: save(fitted(), "/tmp"),
        "path: expected the name of a file, got the folder",
    ),
    "saved where no folder is": (
        lambda: save(fitted(), "/tmp/none/none/a"),
        "path: the folder .* does not exist",
    ),
    "a model saved": (
        lambda: save(model(), "/tmp/a"),
        "posterior: expected what fit returned, got GaussianNaiveBayes",
    ),
    "a model diagnosed": (lambda: diagnose(model()), "posterior: |diagnose"),
    "a model for ArviZ": (lambda: to_arviz(3), "."),
    "the evidence of nothing": (lambda: log_evidence(model()), "log_evidence of a model needs data named"),
    "the evidence of an array": (
        lambda: log_evidence(X),
        "log_evidence: expected a ProbabilisticModel or a Posterior",
    ),
    "a check of a model without rows": (
        lambda: predictive_check(model()),
        "predictive_check of a model needs data",
    ),
    "two rows explained": (lambda: explain(fitted(), x=X[:2]), "x: expected one row"),
}
for slip, (act, words) in SLIPS.items():
    refused(slip, act, words)
SIGNATURES = {
    "no question": (lambda: ask(fitted()), "question"),
    "a model without sizes": (lambda: GaussianNaiveBayes(), "classes"),
    "a misspelt size": (lambda: GaussianNaiveBayes(clases=2, features=2), "clases"),
    "a misspelt setting": (lambda: SVI(step=3), "step"),
    "fit without a model": (lambda: fit(x=X, y=Y), "model"),
}
for slip, (act, words) in SIGNATURES.items():
    refused(slip, act, f".*{words}", TypeError)
