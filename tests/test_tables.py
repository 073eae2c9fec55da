"""Data frames: families read off their types, cells turned into numbers, gaps into NaN."""

import numpy as np
import pandas as pd
import pytest
import torch

from ppl_gen import ask, columns_of, fit
from ppl_gen.distributions import Categorical
from ppl_gen.errors import DataError, Unanswerable, Unreliable
from ppl_gen.models import MixedNaiveBayes


def frame():
    return pd.DataFrame(
        {
            "age": [31.5, np.nan, 40.25, 22.0],
            "smoker": [True, None, False, True],
            "member": pd.array([True, False, pd.NA, True], dtype="boolean"),
            "visits": pd.array([3, pd.NA, 1, 2], dtype="Int64"),
            "year": [1990, 2004, 1987, 2011],
            "flag": [0, 1, 1, 0],
            "colour": ["red", None, "blue", "red"],
            "size": pd.Categorical(["S", "L", None, "S"], categories=["S", "M", "L"], ordered=True),
            "text": pd.array(["u", pd.NA, "v", "u"], dtype="string"),
        }
    )


def test_families_come_from_the_types():
    encoder = columns_of(frame())
    assert encoder.columns == {
        "age": "gaussian",
        "smoker": "bernoulli",
        "member": "bernoulli",
        "visits": "poisson",
        "year": "gaussian",  # whole numbers, but no counts: their variance is far from their mean
        "flag": "bernoulli",
        "colour": Categorical(2),
        "size": Categorical(3),
        "text": Categorical(2),
    }
    assert encoder.categories["size"] == ("S", "M", "L")  # a level that no row shows keeps its place
    assert encoder.categories["colour"] == ("blue", "red")
    assert "size: categorical (0 S, 1 M, 2 L)" in repr(encoder)


def test_cells_become_numbers_and_gaps_nan():
    x = columns_of(frame()).encode(frame())
    gap = float("nan")
    expected = [
        [31.5, 1, 1, 3, 1990, 0, 1, 0, 0],
        [gap, gap, 0, gap, 2004, 1, gap, 2, gap],
        [40.25, 0, gap, 1, 1987, 1, 0, gap, 1],
        [22, 1, 1, 2, 2011, 0, 1, 0, 0],
    ]
    torch.testing.assert_close(x, torch.tensor(expected, dtype=torch.float64), equal_nan=True)


def test_a_frame_is_fitted_and_asked_from_end_to_end():
    table = pd.concat([frame()] * 5, ignore_index=True)
    encoder = columns_of(table)
    model = MixedNaiveBayes(2, encoder.columns)
    with pytest.warns(Unreliable, match="column 4 about"):  # years, as they are
        posterior = fit(model, x=encoder.encode(table), y=[0, 1, 0, 1] * 5)
    shuffled = table[list(reversed(table.columns))]
    probs = ask(posterior, "p(y | x)", x=encoder.encode(shuffled)).probs
    torch.testing.assert_close(probs, ask(posterior, "p(y | x)", x=encoder.encode(table)).probs)
    assert np.isfinite(posterior.log_evidence)


def test_families_may_be_chosen():
    encoder = columns_of(frame(), year=None, flag="categorical", visits="gaussian", text="bernoulli")
    assert "year" not in encoder.columns
    assert encoder.columns["flag"] == Categorical(2)
    assert encoder.columns["visits"] == "gaussian"
    assert encoder.categories["text"] == ("u", "v")
    assert encoder.encode(frame()).shape == (4, 8)


def test_what_does_not_fit_is_refused():
    encoder = columns_of(frame())
    with pytest.raises(DataError, match="'age' is lacking"):
        encoder.encode(frame().drop(columns="age"))
    with pytest.raises(DataError, match="colour: expected one of 'blue', 'red', got 'green' in row 2"):
        encoder.encode(frame().assign(colour=["red", None, "green", "red"]))
    with pytest.raises(DataError, match="age: expected numbers"):
        encoder.encode(frame().assign(age=["old", "young", "old", "old"]))
    with pytest.raises(DataError, match="when: expected numbers, texts, booleans or categories"):
        columns_of(pd.DataFrame({"when": pd.to_datetime(["2020-01-01", "2020-01-02"])}))
    with pytest.raises(
        DataError, match=r"age: expected numbers, got 'oops' in row 2"
    ):  # the wrong cell itself
        encoder.encode(frame().assign(age=[1.5, None, "oops", 2.5]))
    with pytest.raises(DataError, match=r"day: expected numbers.* got .*2020.* in row 1.*days since one"):
        columns_of(pd.DataFrame({"day": [1.5, np.datetime64("2020-01-01")]}, dtype=object))
    with pytest.raises(
        DataError, match=r"none: no value in it; leave it out: columns_of\(frame, \*\*\{'none'"
    ):
        columns_of(pd.DataFrame({"none": [None, None]}))
    with pytest.raises(DataError, match="height: not a column"):
        columns_of(frame(), height="gaussian")
    with pytest.raises(DataError, match="age: expected gaussian, bernoulli"):
        columns_of(frame(), age="normal")
    with pytest.raises(DataError, match="colour: expected two values"):
        columns_of(pd.DataFrame({"colour": ["a", "b", "c"]}), colour="bernoulli")


def test_rows_are_decoded_into_the_tables_own_words():
    encoder = columns_of(frame())
    back = encoder.decode(encoder.encode(frame()))
    assert back["colour"].fillna("?").tolist() == ["red", "?", "blue", "red"]
    assert back["size"].fillna("?").tolist() == ["S", "L", "?", "S"]
    assert back["age"].isna().tolist() == [False, True, False, False]
    torch.testing.assert_close(encoder.encode(back), encoder.encode(frame()), equal_nan=True)
    with pytest.raises(DataError, match=r"x: expected shape \(rows, 9\), got \(2, 3\)"):
        encoder.decode(torch.zeros(2, 3))
    with pytest.raises(DataError, match="colour: expected codes 0 to 1, got 7"):
        encoder.decode([[30, 0, 0, 1, 2000, 0, 7, 0, 0]])


def test_a_frame_with_text_is_refused_by_its_columns():
    with pytest.raises(DataError, match=r"text in the columns 'colour', 'size', 'text'.*columns_of\(x\)"):
        fit(MixedNaiveBayes(2, columns_of(frame()).columns), x=frame(), y=[0, 1, 0, 1])


def test_codes_have_no_mean():
    encoder = columns_of(frame())
    posterior = fit(MixedNaiveBayes(2, encoder.columns), x=encoder.encode(frame()), y=[0, 1, 0, 1])
    with pytest.raises(Unanswerable, match="category codes, and codes have no mean"):
        _ = ask(posterior, "p(x | y)", y=0).mean
    numbers = MixedNaiveBayes(2, {"a": "gaussian", "b": "bernoulli"})
    rows = fit(numbers, x=[[1.0, 0], [2.0, 1]], y=[0, 1])
    assert ask(rows, "p(x | y)", y=0).mean.shape == (2,)


def test_a_polars_frame_is_read_as_one_of_pandas():
    polars = pytest.importorskip("polars")
    columns = {"age": [34.5, 51.0, None], "town": ["Ulm", "Kiel", "Kiel"], "smoker": [True, None, False]}
    mine, plain = polars.DataFrame(columns), pd.DataFrame(columns)
    assert repr(columns_of(mine)) == repr(columns_of(plain))
    expected = columns_of(plain).encode(plain)
    assert torch.equal(columns_of(plain).encode(mine).nan_to_num(-1), expected.nan_to_num(-1))
    sizes = polars.DataFrame({"size": ["L", "S"]}, schema={"size": polars.Enum(["S", "M", "L"])})
    assert columns_of(sizes).categories["size"] == ("S", "M", "L")
    for table in ([[1.0]], {"a": [1]}, polars.LazyFrame(columns)):
        with pytest.raises(DataError, match="frame: expected a data frame of pandas or polars, got"):
            columns_of(table)
