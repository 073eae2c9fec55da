"""Odd inputs to estimators, ours and scikit-learn's: the same list, and the same judge.

Run as a program (``python -m tests.door.estimators``) it prints both failure rates.
"""

import pickle
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse
import torch
from sklearn import discriminant_analysis, linear_model, mixture, naive_bayes
from sklearn.base import clone

from ppl_gen import estimators
from ppl_gen.errors import PplGenError
from tests.door.base import WHOLE, X, Y

NAMED = (
    r"\b(X|Y|y|sample_weight|Sample weights|var_smoothing|reg_param|priors|Priors|classes|labels?|"
    r"n_components|n_samples|random_state|fit)\b"
)
CODES = np.stack([Y, 1 - Y], 1)
FRAME = pd.DataFrame(X, columns=["a", "b"])
FAR = np.array([[1e6, 1e6], [-1e6, 1e6], [1e12, 0.0], [-1e50, 1e50]])


@dataclass(frozen=True)
class Odd:
    """What is done with an estimator: ``act`` gets a new one, and must answer ``right``, or be refused."""

    kind: str
    name: str
    act: Callable[[Any], Any]
    right: Callable[[], Any] | None
    refusable: bool = False  # where an error that names the argument will do too

    def judge(self, made: Callable[[], Any]) -> str:
        """What is wrong, or nothing."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self.act(made())
        except (PplGenError, ValueError, TypeError, AttributeError) as error:
            known = isinstance(error, ValueError | TypeError | PplGenError)
            if not known or not re.search(NAMED, str(error)):
                return f"{type(error).__name__} that names no argument: {str(error)[:150]}"
            if self.right is not None and self.right is not EITHER and not self.refusable:
                return f"refused: {str(error)[:150]}"
            return ""
        except Exception as error:
            return f"raw {type(error).__name__}: {str(error)[:150]}"
        if self.right is None:
            return f"not refused: {np.asarray(found).ravel()[:4]}"
        if self.right is EITHER:
            return ""
        expected = np.asarray(self.right())
        return (
            "" if np.array_equal(np.asarray(found), expected) else f"wrong: {np.asarray(found).ravel()[:6]}"
        )


def EITHER() -> None:
    """Any sound answer will do, or an error that names the argument; `proba` holds the answer to be sound."""


class Nonsense(Exception):
    """An answer that is no probability."""


def proba(made: Any, rows: Any) -> np.ndarray:
    found = np.asarray(made.predict_proba(rows))
    if not np.isfinite(found).all() or not np.allclose(found.sum(1), 1, atol=1e-6) or (found < 0).any():
        raise Nonsense(f"{found[0]}")
    return found


def told(x: Any = X, y: Any = Y, at: Any = None, **options: Any) -> Callable[[Any], Any]:
    """Fitted to rows and asked of them, or of others."""

    def act(made: Any) -> Any:
        made.fit(x() if callable(x) else x, y() if callable(y) else y, **options)
        rows = at if at is not None else x() if callable(x) else x
        proba(made, rows)
        return made.predict(rows)

    return act


def clusters(x: Any, at: Any = None) -> Callable[[Any], Any]:
    def act(made: Any) -> Any:
        made.fit(x)
        proba(made, x if at is None else at)
        found = made.predict(x if at is None else at)
        return found == found[0]

    return act


def states(name: str) -> Callable[[Any], Any]:
    def act(made: Any) -> Any:
        if name == "before the fit":
            return made.predict(X)
        made.fit(X, Y)
        if name == "pickled":
            made = pickle.loads(pickle.dumps(made))
        elif name == "cloned":
            made = clone(made).fit(X, Y)
        elif name == "fitted twice":
            made.fit(X + 9, 1 - Y).fit(X, Y)
        return made.predict(X)

    return act


def classes() -> Any:
    return Y


def constant(value: Any) -> Callable[[], Any]:
    return lambda: value


ODD: list[Odd] = []
REAL = ("GaussianNB", "LinearDiscriminantAnalysis", "QuadraticDiscriminantAnalysis", "LogisticRegression")
for kind in REAL:
    for name, x in {
        "1e200": X * 1e200,
        "1e150": X * 1e150,
        "1e-200": X * 1e-200,
        "1e-100": X * 1e-100,
        "1e30": X * 1e30,
        "offset 1e8 in float32": (8 * X + 1e8).astype(np.float32),
        "offset 1e12": X + 1e12,
        "one cell of 1e200": np.vstack([X[:11], [[1e200, 1e200]]]),
        "largest floats": np.where(Y[:, None], 1.7e308, -1.7e308) * np.ones((12, 2)),
        "subnormal": X * 1e-312,
        "constant column": np.column_stack([X[:, 0], np.full(12, 3.0)]),
        "constant rows": np.ones((12, 2)),
        "columns of 1e-100 and 1e100": X * [1e-100, 1e100],
    }.items():
        either = name in (
            "1e200",
            "1e-200",
            "1e150",
            "largest floats",
            "one cell of 1e200",
            "subnormal",
            "constant rows",
        ) or (name in ("columns of 1e-100 and 1e100", "constant column"))
        act = told(x)
        if either:  # refused, or right
            right: Any = (lambda x=x: Y) if name != "constant rows" else EITHER
            ODD.append(Odd(kind, f"rows of {name}", act, right, refusable=True))
        else:
            ODD.append(
                Odd(kind, f"rows of {name}", act, classes, refusable=kind == "QuadraticDiscriminantAnalysis")
            )
    ODD.append(Odd(kind, "asked of rows far away", told(at=FAR), EITHER))
    ODD.append(Odd(kind, "contradictory copies", told(np.repeat(X[:6], 2, 0)), EITHER))
    ODD.append(Odd(kind, "one row", told(X[:1], Y[:1]), EITHER))
    ODD.append(Odd(kind, "one class", told(X, 0 * Y), EITHER))
for name, x in {
    "1e150": X * 1e150,
    "1e-150": X * 1e-150,
    "offset 1e12": X + 1e12,
    "1e30": X * 1e30,
}.items():
    ODD.append(Odd("GaussianMixture", f"rows of {name}", clusters(x), EITHER))
for name, x in {
    "1e200": X * 1e200,
    "constant rows": np.ones((12, 2)),
    "one row": X[:1],
    "copies of one row": np.repeat(X[:1], 12, 0),
    "int64's largest": np.full((12, 2), 2**63 - 1),
}.items():
    ODD.append(Odd("GaussianMixture", f"rows of {name}", clusters(x), EITHER))
ODD.append(Odd("GaussianMixture", "asked of rows far away", clusters(X, FAR), EITHER))

FORMS: dict[str, Any] = {
    "Fortran order": lambda: np.asfortranarray(X),
    "negative strides": lambda: X[::-1].copy()[::-1],
    "big-endian": lambda: X.astype(">f8"),
    "objects": lambda: X.astype(object),
    "lists": X.tolist,
    "float16": lambda: X.astype(np.float16),
    "pandas": lambda: FRAME,
    "pandas nullable": lambda: FRAME.astype("Float64"),
    "polars": lambda: pl.DataFrame(X, schema=["a", "b"]),
    "tensor": lambda: torch.tensor(X),
    "tensor with a gradient": lambda: torch.tensor(X, requires_grad=True),
    "bfloat16 tensor": lambda: torch.tensor(WHOLE).bfloat16(),
    "int8": lambda: WHOLE.astype(np.int8),
    "memoryview": lambda: memoryview(X.copy()),
    "long double": lambda: X.astype(np.longdouble),
}
for name, x in FORMS.items():
    ODD.append(
        Odd(
            "GaussianNB",
            f"rows as {name}",
            told(x),
            EITHER if "gradient" in name or "bfloat" in name else classes,
        )
    )
NAMES = np.array(["ill", "well"])
DAYS = np.array(["2020-01-01", "2021-01-01"], "M8[D]")
for name, (y, right) in {
    "texts": (NAMES[Y], NAMES[Y]),
    "objects": (NAMES[Y].astype(object), NAMES[Y]),
    "gaps": (Y * 10 + 3, Y * 10 + 3),
    "negative": (-Y, -Y),
    "floats 1.0": (Y.astype(float), Y),
    "booleans": (Y.astype(bool), Y.astype(bool)),
    "a list of texts": (NAMES[Y].tolist(), NAMES[Y]),
    "pandas categories": (pd.Series(NAMES[Y]).astype("category"), NAMES[Y]),
    "pandas strings": (pd.Series(NAMES[Y], dtype="string"), NAMES[Y]),
    "polars texts": (pl.Series(NAMES[Y]), NAMES[Y]),
    "pandas nullable": (pd.Series(Y, dtype="Int64"), Y),
    "a tensor": (torch.tensor(Y), Y),
    "uint64": (Y.astype(np.uint64) + 2**63, Y.astype(np.uint64) + 2**63),
    "int64's ends": (np.where(Y, 2**63 - 1, -(2**63)),) * 2,
    "huge gaps": (Y * 10**15, Y * 10**15),
    "dates": (DAYS[Y], DAYS[Y]),
}.items():
    ODD.append(
        Odd("GaussianNB", f"classes as {name}", told(y=y), EITHER if name == "dates" else constant(right))
    )
for name, y in {
    "NaN": np.where(Y, np.nan, 0.0),
    "inf": np.where(Y, np.inf, 0.0),
    "None": [None, *NAMES[Y][1:]],
    "NaN among texts": np.array([np.nan, *NAMES[Y][1:]], object),
    "fractions": Y + 0.5,
    "too few": Y[:5],
    "none": [],
    "one-hot rows": np.eye(2)[Y],
    "complex": Y * 1j,
    "texts and numbers": np.array(["a", *Y[1:]], object),
    "a generator": (v for v in Y),
    "a scalar": 1,
    "missing": None,
}.items():
    ODD.append(Odd("GaussianNB", f"classes: {name}", told(y=y), None))
for name, x in {
    "inf": np.where(X > 6, np.inf, X),
    "no rows": X[:0],
    "no features": X[:, :0],
    "three dimensions": X[:, :, None],
    "one dimension": X[:, 0],
    "a number": 3.0,
    "complex": X * 1j,
    "dates": np.full((12, 2), np.datetime64("2020-01-01")),
    "texts": NAMES[CODES],
    "ragged": [[1.0], [1.0, 2.0]] * 6,
    "a generator": (row for row in X),
    "a dict": {"a": X[:, 0]},
    "None": None,
    "objects in cells": np.array([[{}, 1.0]] * 12, object),
    "two columns of one name": pd.DataFrame(X, columns=["a", "a"]),
    "a frame of dates": pd.DataFrame({"a": X[:, 0], "b": pd.Timestamp("2020")}),
    "a frame of texts": pd.DataFrame({"a": X[:, 0], "b": NAMES[Y]}),
    "a meta tensor": torch.zeros(12, 2, device="meta"),
    "a masked array": np.ma.array(X, mask=np.eye(12, 2, dtype=bool)),
    "uint64's largest": np.full((12, 2), 2**64 - 1, np.uint64),
}.items():
    right = EITHER if name in ("two columns of one name", "a masked array", "uint64's largest") else None
    ODD.append(Odd("GaussianNB", f"rows: {name}", told(x), right))
for name, weights in {
    "negative": -np.ones(12),
    "NaN": np.full(12, np.nan),
    "inf": np.full(12, np.inf),
    "too few": np.ones(3),
    "texts": np.array(["a"] * 12),
    "all 0": np.zeros(12),
    "0 for a class": Y.astype(float),
}.items():
    for kind in ("GaussianNB", "MultinomialNB", "BernoulliNB"):
        ODD.append(
            Odd(kind, f"weights: {name}", told(CODES, sample_weight=weights), EITHER if "0" in name else None)
        )
ODD.append(Odd("GaussianNB", "weights 1e300", told(sample_weight=np.full(12, 1e300)), EITHER))
ODD.append(Odd("GaussianNB", "weights 1e-300", told(sample_weight=np.full(12, 1e-300)), EITHER))
for kind, x in {"MultinomialNB": CODES - 1, "CategoricalNB": CODES - 1}.items():
    ODD.append(Odd(kind, "negative counts", told(x), None))
for kind in ("CategoricalNB", "MultinomialNB"):
    ODD.append(
        Odd(kind, "fractions", told(CODES + 0.5), EITHER)
    )  # codes are cut to whole ones, as its checks ask
ODD.append(Odd("CategoricalNB", "a category that the fit had not", told(CODES, at=CODES + 5), None))
ODD.append(Odd("MultinomialNB", "sparse counts", told(scipy.sparse.csr_matrix(CODES)), EITHER))
ODD.append(Odd("MultinomialNB", "counts of 1e300", told(CODES * 1e300), EITHER))
ODD.append(Odd("BernoulliNB", "far from 0", told(X * 1e200), EITHER))
for slip, at in {
    "too many features": np.ones((3, 3)),
    "too few features": np.ones((3, 1)),
    "inf": [[np.inf, 1.0]],
    "other columns": FRAME.rename(columns={"a": "c"}),
    "a column too many": FRAME.assign(c=1.0),
}.items():
    ODD.append(Odd("GaussianNB", f"asked of {slip}", told(FRAME, at=at), None))
ODD.append(Odd("GaussianNB", "asked of columns in another order", told(FRAME, at=FRAME[["b", "a"]]), EITHER))
for state in ("pickled", "cloned", "fitted twice"):
    for kind in ("GaussianNB", "LogisticRegression", "LinearDiscriminantAnalysis"):
        ODD.append(Odd(kind, state, states(state), classes))
ODD.append(Odd("GaussianNB", "before the fit", states("before the fit"), None))
for name, options in {
    "priors of three": {"priors": [0.2, 0.3, 0.5]},
    "priors that sum to 2": {"priors": [1.0, 1.0]},
    "negative priors": {"priors": [-0.5, 1.5]},
    "priors of NaN": {"priors": [np.nan, 1.0]},
    "var_smoothing -1": {"var_smoothing": -1.0},
    "var_smoothing NaN": {"var_smoothing": np.nan},
    "var_smoothing text": {"var_smoothing": "a"},
}.items():
    ODD.append(
        Odd("GaussianNB", name, lambda made, options=options: told()(made.set_params(**options)), None)
    )

OURS = {kind: getattr(estimators, kind) for kind in {odd.kind for odd in ODD}}
THEIRS = {
    kind: next(
        getattr(m, kind)
        for m in (naive_bayes, discriminant_analysis, linear_model, mixture)
        if hasattr(m, kind)
    )
    for kind in OURS
}


def make(kinds: dict[str, Any], kind: str) -> Callable[[], Any]:
    return lambda: kinds[kind](
        **({"n_components": 2, "random_state": 0} if kind == "GaussianMixture" else {})
    )


if __name__ == "__main__":
    failed = {}
    for whose, kinds in (("ppl-gen", OURS), ("scikit-learn", THEIRS)):
        found = {f"{odd.kind}, {odd.name}": odd.judge(make(kinds, odd.kind)) for odd in ODD}
        failed[whose] = {name: wrong for name, wrong in found.items() if wrong}
        print(f"{whose}: {len(failed[whose])} of {len(ODD)} fail")
        for name, wrong in failed[whose].items():
            print(f"    {name}: {wrong}".encode("ascii", "replace").decode())
    sys.exit(bool(failed["ppl-gen"]))
