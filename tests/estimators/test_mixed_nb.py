"""What `MixedNB` takes beyond the others: text in frames, arrays and lists, and how it names a column."""

import numpy as np
import pandas as pd
import polars
import pytest

from ppl_gen.errors import DataError
from ppl_gen.estimators import MixedNB

random = np.random.default_rng(0)
Y = np.tile([0, 1], 20)
TABLE = pd.DataFrame(
    {"town": np.where(random.random(40) < 0.3 + 0.4 * Y, "Ulm", "Kiel"), "age": random.normal(Y)}
)
TABLE.loc[3, "age"], TABLE.loc[5, "town"] = np.nan, None
NUMBERS = pd.DataFrame(random.normal(size=(40, 2)), columns=["a", "b"])


def cells(frame):
    return [[None if v != v else v for v in row] for row in frame.to_numpy(dtype=object).tolist()]


TWINS = {
    "pandas": lambda frame: frame,
    "polars": lambda frame: polars.DataFrame(dict(zip(frame, zip(*cells(frame), strict=True), strict=True))),
    "objects": lambda frame: frame.to_numpy(dtype=object),
    "list": cells,
}


@pytest.mark.parametrize("kind", TWINS)
def test_text_in_any_container_is_a_category(kind):
    rows = TWINS[kind](TABLE)
    found, expected = MixedNB().fit(rows, Y), MixedNB().fit(TABLE, Y)
    np.testing.assert_array_equal(found.predict_proba(rows), expected.predict_proba(TABLE))
    drawn, _ = found.sample(5, random_state=0)
    own = rows if kind in ("pandas", "polars") else np.zeros(0)
    assert isinstance(drawn, type(own))
    told, _ = expected.sample(5, random_state=0)
    assert np.array(drawn).tolist() == told.to_numpy(dtype=object).tolist()


def test_weights_that_are_too_large_are_refused():
    every = MixedNB().fit(NUMBERS, Y, sample_weight=np.full(40, 2e8)).predict_proba(NUMBERS)
    np.testing.assert_allclose(every.sum(1), 1)
    for weight in (1e10, 1e154, 1e160, 1e307, 1e308):
        with pytest.raises(DataError, match=r"sample_weight: expected weights that add up to at most 1e.10"):
            MixedNB().fit(NUMBERS, Y, sample_weight=np.full(40, weight))


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (np.inf, r"X\['b'\]: expected finite real numbers, got inf at \[3\]"),
        (1e308, r"X\['b'\]: expected numbers of at most .* got 1e\+308 at \[3\]"),
        (1e160, r"X\['b'\]: expected numbers of at most"),
        ("oops", "b: expected numbers.*, got 'oops' in row 3"),
        (np.datetime64("2020-01-01"), "b: expected numbers.*, got .*2020.* in row 3.*days"),
    ],
)
def test_a_cell_that_is_no_number_is_named(cell, says):
    rows = NUMBERS.astype(object)
    rows.loc[3, "b"] = cell
    with pytest.raises(DataError, match=says):
        MixedNB().fit(rows, Y)
    with pytest.raises(DataError, match=says):
        MixedNB().fit(NUMBERS, Y).predict(rows)


def test_a_column_is_named_with_what_it_may_hold():
    with pytest.raises(DataError, match=r"zeros and ones in the column 'x0', got 2 at \[0, 0\]"):
        MixedNB().fit(np.column_stack([Y, NUMBERS]), Y).predict([[2, 0.0, 0.0]])
    with pytest.raises(
        DataError, match=r"x1: no value in it; leave it out: columns=\{'x1': None\}$"
    ) as refused:
        MixedNB().fit(rows := np.column_stack([NUMBERS["a"], np.full(40, np.nan)]), Y)
    assert "columns" in str(refused.value)
    MixedNB(columns={"x1": None}).fit(rows, Y)  # as it advises
    with pytest.raises(DataError, match="X: expected columns of different names, got 'a' twice"):
        MixedNB().fit(NUMBERS.set_axis(["a", "a"], axis=1), Y)
