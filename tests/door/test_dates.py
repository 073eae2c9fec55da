"""Dates and spans of time are no numbers: neither the verbs nor an estimator takes one, in any container."""

import datetime

import numpy as np
import pandas as pd
import polars
import pytest

from ppl_gen import ask, fit
from ppl_gen import estimators as E
from ppl_gen.errors import DataError
from ppl_gen.models import GaussianNaiveBayes

Y = np.tile([0, 1], 6)
X = np.random.default_rng(0).normal(size=(12, 2)) + Y[:, None]
DATES = np.datetime64("2020-01-01") + np.arange(24).reshape(12, 2) ** 2
SPANS = DATES - DATES.min()
NAT = np.datetime64("NaT", "D")


def objects(array):
    found = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        found[place] = array[place]  # NumPy's own scalars
    return found


def gap(cell):
    found = X.astype(object)
    found[7, 1] = cell
    return found


DATED = {
    "datetime64": DATES,
    "timedelta64": SPANS,
    "datetimes": DATES.astype("M8[us]").astype(object),
    "dates": DATES.astype(object),
    "timedeltas": SPANS.astype("m8[us]").astype(object),
    "objects of datetime64": objects(DATES),
    "objects of timedelta64": objects(SPANS),
    "NaT": gap(pd.NaT),
    "datetime64 of NaT": gap(NAT),
    "time": gap(datetime.time(12)),
    "lists": DATES.astype(object).tolist(),
    "lists of datetime64": [list(row) for row in DATES],
}
NAMED = {
    "pandas": pd.DataFrame({"a": X[:, 0], "day": DATES[:, 0]}),
    "pandas with NaT": pd.DataFrame({"a": X[:, 0], "day": np.where(Y, DATES[:, 0], NAT)}),
    "pandas timedeltas": pd.DataFrame({"a": X[:, 0], "day": SPANS[:, 0]}),
    "pandas objects": pd.DataFrame({"a": X[:, 0], "day": objects(SPANS[:, 0])}),
    "pandas periods": pd.DataFrame({"a": X[:, 0], "day": pd.period_range("2020-01", periods=12, freq="M")}),
    "polars": polars.DataFrame({"a": X[:, 0], "day": DATES[:, 0]}),
    "polars durations": polars.DataFrame({"a": X[:, 0], "day": SPANS[:, 0].astype("m8[us]")}),
}
KINDS = {
    "BayesianLinearRegression": E.BayesianLinearRegression,
    "GaussianMixture": E.GaussianMixture,
    "GaussianNB": E.GaussianNB,
    "KernelNB": lambda: E.KernelNB(bandwidth=1.0),
    "LinearDiscriminantAnalysis": E.LinearDiscriminantAnalysis,
    "LogisticRegression": E.LogisticRegression,
    "MixedNB": E.MixedNB,
    "PPCA": lambda: E.PPCA(1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [*DATED, *NAMED])
def test_no_estimator_takes_dates(kind, rows):
    says = r"^X.*expected numbers.*[Mm]ake numbers of .*days"
    with pytest.raises(DataError, match=says) as refused:
        KINDS[kind]().fit((DATED | NAMED)[rows], Y)
    assert rows not in NAMED or "'day'" in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_no_estimator_is_asked_of_dates(kind):
    fitted = KINDS[kind]().fit(X, Y)
    how = fitted.transform if kind == "PPCA" else fitted.predict
    for dated in (DATES, DATED["objects of timedelta64"], DATED["datetime64 of NaT"]):
        with pytest.raises(DataError, match=r"X.*expected numbers.*days"):
            how(dated)


@pytest.mark.parametrize("rows", [*DATED, *NAMED])
def test_no_model_takes_dates(rows):
    model = GaussianNaiveBayes(2, 2)
    with pytest.raises(DataError, match=r"^x: expected numbers.* Make numbers of them.*days"):
        fit(model, x=(DATED | NAMED)[rows], y=Y)
    with pytest.raises(DataError, match=r"^x: expected numbers.* Make numbers of them.*days"):
        ask(fit(model, x=X, y=Y), "p(y | x)", x=(DATED | NAMED)[rows])


def test_targets_and_weights_are_no_dates_either_but_classes_may_be():
    with pytest.raises(DataError, match=r"^y: expected numbers.*days"):
        E.BayesianLinearRegression().fit(X, DATES[:, 0])
    with pytest.raises(DataError, match=r"^sample_weight: expected numbers.*days"):
        E.GaussianNB().fit(X, Y, sample_weight=SPANS[:, 1])
    assert E.GaussianNB().fit(X, DATES[Y, 0]).classes_.tolist() == sorted(DATES[:2, 0].tolist())
