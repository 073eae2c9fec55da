"""Kinds of columns are read off the cells; what cannot be learned from is left out, and said."""

import numpy as np
import pandas as pd
import pytest
import torch

from ppl_gen.comparison.reading import read_table
from ppl_gen.comparison.study import prepare
from ppl_gen.distributions import Categorical
from ppl_gen.errors import DataError

N = 60
ROWS = range(N)


def table(**columns):
    """Text cells, as the reader gives them."""
    y = ["ab"[i % 2] for i in ROWS]
    return pd.DataFrame({"u": [f"{i * 7 % 13}.5" for i in ROWS], **columns, "y": y}, dtype=object)


def test_kinds_of_text_cells():
    study = prepare(
        table(
            number=[f"{i / 7:.3f}" for i in ROWS],
            comma=[f"{i % 9},{i % 4}" for i in ROWS],
            count=[str(i * i % 5) for i in ROWS],
            flag=[str(i % 2) for i in ROWS],
            yes=["yes" if i % 3 else "no" for i in ROWS],
            truth=["True" if i % 3 else "False" for i in ROWS],
            day=[f"2020-01-{1 + i % 28:02d}" for i in ROWS],
            tag=[f"{1 + i % 28}.1.2020" for i in ROWS],
        ),
        "y",
    )
    assert dict(study.encoder.columns) == {
        "u": "gaussian", "number": "gaussian", "comma": "gaussian", "count": "poisson", "flag": "bernoulli",
        "yes": Categorical(2), "truth": Categorical(2), "day": "gaussian", "tag": "gaussian",
    }  # fmt: skip
    x = dict(zip(study.data.features, study.data.x.T, strict=True))
    torch.testing.assert_close(x["comma"], torch.tensor([i % 9 + (i % 4) / 10 for i in ROWS]).double())
    torch.testing.assert_close(x["day"], x["tag"])
    assert float(x["day"][0]) == 18262  # days from 1970 to 2020
    assert next(c for c in study.columns if c.name == "day").holds == "2020-01-01 to 2020-01-28, in days"


def test_types_override():
    kinds = {"u": "categorical", "n": "poisson", "b": "bernoulli"}
    study = prepare(
        table(n=[str(40 + i % 5) for i in ROWS], b=["hi" if i % 3 else "lo" for i in ROWS]), "y", types=kinds
    )
    assert dict(study.encoder.columns) == {"u": Categorical(13), "n": "poisson", "b": "bernoulli"}


def test_bad_cells_count_as_missing_and_are_said():
    cells = [str(i * 1.5) for i in ROWS]
    cells[6], cells[9] = "12kg", "inf"
    (column,) = (c for c in prepare(table(weight=cells), "y").columns if c.name == "weight")
    assert column.kind == "gaussian"
    assert column.missing == pytest.approx(2 / N)
    assert column.notes == (
        "1 cell counts as infinite (beyond 1e+100), and missing",
        "1 cell counts as no number and missing, such as '12kg' in data row 7",
    )


def test_columns_that_say_nothing_are_left_out_with_words():
    study = prepare(
        table(
            empty=[None] * N,
            constant=["7"] * N,
            row=[str(i + 1) for i in ROWS],
            customer_id=[str(1000 + i * i) for i in ROWS],
            name=[f"person {i}" for i in ROWS],
            asked=["1", "2"] * (N // 2),
        ),
        "y",
        drop=["asked"],
    )
    assert dict(study.left_out) == {
        "asked": "was named by --drop",
        "empty": "holds nothing",
        "constant": "is constant (7)",
        "row": "numbers the rows",
        "customer_id": "is an identifier: every row has another",
        "name": f"is like a name or a number of rows: {N} different texts in {N} rows",
    }
    assert study.data.features == ("u",)


def test_many_levels_are_lumped():
    study = prepare(table(town=[f"t{i % 29 if i % 29 < 19 else 19 + i % 10}" for i in ROWS]), "y")
    (column,) = (c for c in study.columns if c.name == "town")
    assert study.encoder.columns["town"] == Categorical(20)
    assert "(other)" in study.encoder.categories["town"]
    assert "are one, '(other)'" in column.notes[0]


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        ([True, False] * 30, ("False", "True")),
        ([1, 0] * 30, ("0", "1")),
        ([10.0, 9.0, np.nan] * 20, ("9", "10")),
        (["10", "9", None] * 20, ("9", "10")),
        (["b", "a", None] * 20, ("a", "b")),
    ],
)
def test_targets_of_every_type(cells, classes):
    frame = pd.DataFrame({"u": np.arange(60) * 1.5 % 7, "y": cells})
    study = prepare(frame, "y")
    assert study.data.classes == classes
    missing = int(pd.isna(frame["y"]).sum())
    assert len(study.data) == 60 - missing
    assert any("rows without y left out" in note for note in study.notes) == bool(missing)
    kept = [i for i, cell in enumerate(cells) if not pd.isna(cell)]
    assert study.numbers == tuple(i + 1 for i in kept)
    names = [study.data.classes[int(k)] for k in study.data.y]
    assert names == [
        str(int(cells[i])) if classes == ("9", "10") or classes == ("0", "1") else str(cells[i]) for i in kept
    ]


def test_a_row_may_lack_every_cell():
    frame = table()
    frame.loc[3, "u"] = None
    study = prepare(frame, "y")
    assert len(study.data) == N
    assert bool(study.data.x[3].isnan().all())


def test_rare_classes_are_left_out():
    frame = table()
    frame.loc[:2, "y"] = "rare"
    study = prepare(frame, "y")
    assert study.data.classes == ("a", "b")
    assert study.notes[-1] == "classes of fewer than 5 rows left out: rare (3)"


COUNTS = {"types": {"u": "poisson"}}
REFUSALS = {
    "target": ({}, {"target": "Y"}, r"--target: no column 'Y'; there are u, y\. Did you mean 'y'\?"),
    "types": ({}, {"types": {"w": "gaussian"}}, "--types: no column 'w'"),
    "drop": ({}, {"drop": ["w"]}, "--drop: no column 'w'"),
    "drop target": ({}, {"drop": ["y"]}, "--drop: 'y' is the target"),
    "kind": ({}, {"types": {"u": "normal"}}, "--types u: expected gaussian, .*, categorical, got 'normal'"),
    "no number": (
        {"c": ["p", "q"] * 30},
        {"types": {"c": "gaussian"}},
        "c=gaussian: expected numbers, got 'p'",
    ),
    "no count": ({}, COUNTS, "--types u=poisson: expected whole numbers from 0 up, got 0.5 to 12.5"),
    "no two": ({}, {"types": {"u": "bernoulli"}}, "--types u=bernoulli: expected two values, got 13"),
    "quantity": (
        {},
        {"target": "u"},
        "u: is a quantity, 13 different numbers from 0.5 to 12.5. This command",
    ),
    "date": ({"d": ["2020-01-01"] * N}, {"target": "d"}, "--target d: holds dates"),
    "names": (
        {"d": [f"n{i}" for i in ROWS]},
        {"target": "d"},
        "d: holds 60 different texts in 60 rows, more",
    ),
    "one class": ({"d": ["k"] * N}, {"target": "d"}, "d: expected two classes or more, got 1, 'k'"),
    "no class": ({"d": [None] * N}, {"target": "d"}, "--target d: expected two classes or more, got 0"),
    "few": ({"d": ["k", "l", *[None] * 58]}, {"target": "d"}, "d: too few rows: 0 have one of 0 classes"),
    "nothing": ({}, {"drop": ["u"]}, "nothing to learn from: besides 'y', 'u' was named by --drop"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    columns, options, message = REFUSALS[case]
    with pytest.raises(DataError, match=message):
        prepare(table(**columns), **{"target": "y", **options})


def test_two_rows_are_refused():
    with pytest.raises(DataError, match="too few rows"):
        prepare(pd.DataFrame({"u": ["1", "2"], "y": ["a", "b"]}), "y")


# Cells that mislead -----------------------------------------------------------------------------------------


def only(study, name):
    """The column's values and what was said of it."""
    (column,) = (c for c in study.columns if c.name == name)
    return study.data.x[:, study.data.features.index(name)], column


def file_of(tmp_path, separator=",", **columns):
    """A file of these columns, every cell in quotes, as it is read."""
    rows = [
        [*columns, "u", "y"],
        *zip(*columns.values(), (f"{i * 7 % 13}.5" for i in ROWS), "ab" * 30, strict=True),
    ]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows))
    frame, notes = read_table(path)
    return prepare(frame, "y", notes=notes)


@pytest.mark.parametrize(
    ("separator", "cell", "number", "said"),
    [
        (",", "{:,}", lambda i: i, "commas mark thousands, as in '1,000'"),
        (",", "{:,}.25", lambda i: i + 0.25, "commas mark thousands, as in '1,000.25'"),
        (",", "{},5", lambda i: i + 0.5, "commas are decimal points, as in '1000,5'"),
        (";", "{:,}", lambda i: i / 1000, "commas are decimal points, as in '1,000'"),
        (";", "{:,}.0", lambda i: i, "commas mark thousands, as in '1,000.0'"),
    ],
)
def test_commas_in_numbers(tmp_path, separator, cell, number, said):
    numbers = [1000 + 7 * i * i for i in ROWS]
    x, column = only(file_of(tmp_path, separator, income=[cell.format(i) for i in numbers]), "income")
    torch.testing.assert_close(x, torch.tensor([number(i) for i in numbers]).double())
    assert column.notes == (said,)


def test_commas_of_two_meanings_are_not_guessed(tmp_path):
    cells = ["1,234.5", "1,5", "2.25", "3,75"] * 15
    _, column = only(file_of(tmp_path, income=cells), "income")
    assert column.kind == "categorical"
    assert column.notes == (
        "commas in numbers, as in '1,234.5', mark neither thousands nor decimals in all: no numbers",
    )


def test_a_decimal_below_one_is_no_thousands(tmp_path):
    x, _ = only(file_of(tmp_path, share=[f"0,{125 + i}" for i in ROWS]), "share")
    torch.testing.assert_close(x, torch.tensor([(125 + i) / 1000 for i in ROWS]).double())


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["0", "1", "0", "1", "unknown"] * 12, ("0", "1", "unknown")),
        (["none", "mild", "severe"] * 20, ("mild", "none", "severe")),
        (["01", "1", "2"] * 20, ("01", "1", "2")),
        (["1.0", "1"] * 30, ("1", "1.0")),
    ],
)
def test_classes_are_as_written(cells, classes):
    frame = table()
    frame["y"] = cells
    study = prepare(frame, "y")
    assert study.data.classes == classes
    assert [classes[k] for k in study.data.y.tolist()] == cells
    assert not any("left out" in note for note in study.notes)


def test_rows_without_a_class_are_named(tmp_path):
    path = tmp_path / "t.csv"
    target = ["none", "mild", "", "NA", "NA"]
    path.write_text("u,y\n" + "\n".join(f"{i * 7 % 13}.5,{target[i % 5]}" for i in ROWS))
    frame, notes = read_table(path)
    study = prepare(frame, "y", notes=notes)
    assert study.notes[-1] == "36 rows without y left out: empty (12), 'NA' (24)"
    assert study.data.classes == ("mild", "none")


def test_none_is_a_level_of_texts_and_a_missing_number():
    study = prepare(
        table(drink=["none", "beer", "wine"] * 20, dose=["None" if i % 5 == 0 else f"{i}.5" for i in ROWS]),
        "y",
    )
    x, column = only(study, "drink")
    assert study.encoder.categories["drink"] == ("beer", "none", "wine")
    assert not x.isnan().any()
    assert column.notes == ("'none' is a level, not a missing cell",)
    x, column = only(study, "dose")
    assert x.isnan().tolist() == [i % 5 == 0 for i in ROWS]
    assert column.notes == ("12 cells count as missing: 'None'",)


def test_leading_zeros_make_codes():
    cells = ["01234", "10115", "80331"] * 20
    study = prepare(table(zip=cells, plain=[c.lstrip("0") for c in cells], part=["0", "0.5", "1"] * 20), "y")
    assert study.encoder.categories["zip"] == ("01234", "10115", "80331")
    said = "digits with leading zeros, such as '01234', are codes: categories, not numbers"
    assert only(study, "zip")[1].notes == (said,)
    assert study.encoder.columns["plain"] == study.encoder.columns["part"] == "gaussian"
    forced = prepare(table(zip=cells), "y", types={"zip": "gaussian"})
    assert float(only(forced, "zip")[0].min()) == 1234


def test_reasons_for_leaving_out_are_true():
    study = prepare(
        table(
            near=[str(2**63 + 7 * i) for i in ROWS],
            far=[f"{1 + i / 7:.3f}e150" for i in ROWS],
            ends=["inf", "Infinity", "-inf", "1"] * 15,
        ),
        "y",
    )
    infinite = "cells count as infinite (beyond 1e+100), and missing"
    assert dict(study.left_out) == {
        "near": "holds 60 different numbers near 9.223e+18, too close for float64 to tell apart",
        "far": f"holds nothing; 60 {infinite}",
        "ends": f"is constant (1); 45 {infinite}",
    }
    typed = pd.DataFrame({"u": np.arange(60) % 7 * 1.5, "near": 2**62 + np.arange(60), "y": ["a", "b"] * 30})
    assert "holds 60 different numbers" in dict(prepare(typed, "y").left_out)["near"]


def test_rounded_numbers_are_said():
    cells = [str(2**63 + 700 * i) for i in ROWS]
    different = len({float(c) for c in cells})
    assert 1 < different < N
    said = f"60 different numbers are {different} in float64, which rounds them"
    assert only(prepare(table(n=cells), "y"), "n")[1].notes == (said,)
