"""Rows that are there twice, and columns that hold the class."""

import numpy as np
import pandas as pd
import pytest
import torch

from ppl_gen.comparison.study import prepare


def people(n=120, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"a": rng.normal(size=n), "b": rng.normal(size=n), "town": rng.choice(["u", "v"], n)}
    )
    return frame.assign(y=np.where(frame["a"] + rng.normal(size=n) > 0, "yes", "no"))


@pytest.mark.parametrize("seed", range(5))
def test_copied_rows_are_left_out_and_counted(seed):
    once = people(seed=seed)
    copied = pd.concat([once] * 30).sample(frac=1, random_state=seed, ignore_index=True)
    study = prepare(copied, "y")
    assert len(study.data) == 120
    assert study.warnings[0].startswith(
        "3,480 rows equal an earlier one in every column used and in y: left out"
    )
    first = copied.drop_duplicates()
    assert study.numbers == tuple(first.index + 1)
    torch.testing.assert_close(study.data.x[:, 0], torch.tensor(first["a"].tolist(), dtype=torch.float64))
    assert prepare(once, "y").warnings == ()


def test_copies_with_gaps_and_one_copy():
    frame = people()
    frame.loc[3, "b"] = np.nan
    study = prepare(pd.concat([frame, frame.iloc[[3]]]), "y")
    assert study.warnings[0].startswith("1 row equals an earlier one")
    assert len(study.data) == 120
    other = frame.iloc[[3]].assign(y="yes" if frame["y"][3] == "no" else "no")  # of the other class: no copy
    assert len(prepare(pd.concat([frame, other]), "y").data) == 121


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_few_different_cells_are_kept(seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.choice(["p", "q", "r"], 500) for name in "abc"})
    frame["age"], frame["y"] = rng.integers(20, 25, 500), rng.choice(["yes", "no"], 500)
    for table in (frame, frame.assign(age=rng.integers(0, 30, 500)).drop(columns=["b", "c"])):
        study = prepare(table, "y")
        assert len(study.data) == 500
        assert study.warnings == ()
        assert "an earlier one in every column used and in y, as rows of so few" in study.notes[0]


def leak(**columns):
    return prepare(people().assign(**columns), "y").warnings


def test_columns_that_hold_the_class_are_named():
    frame = people()
    yes = (frame["y"] == "yes").to_numpy()
    noise = np.random.default_rng(1).normal(size=120)
    last = int(np.flatnonzero(yes)[-1])
    for name, column in {
        "copy": frame["y"],
        "number": np.where(yes, 7, 3),
        "interval": np.where(yes, 10, 0) + np.tanh(noise),
        "finer": np.where(yes, np.where(noise > 0, "yes, a", "yes, b"), "no"),
        "gap": np.where(yes, None, np.where(noise > 0, "fever", "cough")),
        "when": np.where(yes, np.nan, noise),
    }.items():
        (warning,) = leak(**{name: column})
        assert warning.startswith(f"'{name}' by itself tells y: if it is y in other words"), name
    almost = frame["y"].copy()
    almost[last] = "no"
    assert leak(almost=almost)[0].startswith("'almost' by itself tells y in all but 1 row: ")


def test_columns_that_only_help_are_not():
    frame = people()
    swapped = frame["y"].where(np.arange(120) % 20 > 0, frame["y"].sample(frac=1, random_state=1).to_numpy())
    assert leak(helps=swapped) == ()
    assert (
        leak(near=np.where(frame["y"] == "yes", 1.0, -1.0) + np.random.default_rng(2).normal(size=120)) == ()
    )
    rare = people(400).assign(y=["yes"] * 6 + ["no"] * 394)  # any column is right in 98 %
    assert prepare(rare, "y").warnings == ()


def test_classes_that_share_a_number_are_not_told_by_it():
    frame = pd.DataFrame({"a": [*range(40), *range(39, 79)], "y": ["no"] * 40 + ["yes"] * 40})
    assert prepare(frame, "y").warnings == ()  # 39 is in both
    assert (
        prepare(frame.assign(a=[*range(40), *range(100, 140)]), "y", types={"a": "gaussian"}).warnings != ()
    )


def test_rows_without_the_telling_numbers_are_no_copies():
    frame = people().assign(a=lambda f: f["a"].where(f.index >= 20), b=lambda f: f["b"].where(f.index >= 20))
    again = pd.concat([frame, frame.iloc[[50]]])
    study = prepare(again, "y")
    assert study.warnings[0].startswith("1 row equals")
    assert len(study.data) == 120
