"""``ppl-gen ask`` and ``sample``: a table's own words both ways, and mistakes told in a line."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from ppl_gen import ask, columns_of, fit, load, save
from ppl_gen.__main__ import main
from ppl_gen.data import iris
from ppl_gen.models import GaussianNaiveBayes, MixedNaiveBayes
from ppl_gen.storage import saving
from ppl_gen.storage.values import encoded

DATA = iris()
NAMES = [name.replace(" ", "_") for name in DATA.features]
PEOPLE = pd.DataFrame(
    {
        "age": [34.5, 51.2, np.nan, 62.0] * 6,
        "town": ["Ulm", "Kiel", None, "Kiel"] * 6,
        "visits": [1, 0, 3, 2] * 6,
        "state": ["well", "ill"] * 12,
    }
)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Posteriors of a table of lengths, of a table of many kinds, of an array, and of a regression."""
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        frame = pd.DataFrame(DATA.x.numpy(), columns=NAMES)
        frame.assign(kind=[DATA.classes[i] for i in DATA.y]).to_csv("iris.csv", index=False)
        np.save("iris.npy", np.column_stack([DATA.x.numpy(), DATA.y.numpy()]))
        PEOPLE.to_csv("people.csv", index=False)
        fits = {
            "nb": "iris.csv --model GaussianNaiveBayes --class kind",
            "mixed": "people.csv --model MixedNaiveBayes --class state",
            "array": "iris.npy --model GaussianNaiveBayes --class 4",
            "line": f"iris.csv --model LinearRegression --class {NAMES[3]} --drop kind",
            "pca": "iris.csv --model PPCA --drop kind --set latent=2",
            "lr": "iris.csv --model LogisticRegression --class kind --steps 10",
        }
        for name, words in fits.items():
            assert main(["fit", *words.split(), "--out", f"{name}.pplgen"]) == 0
        save(fit(GaussianNaiveBayes(3, 4), x=DATA.x, y=DATA.y), "wordless.pplgen")
    return folder


@pytest.fixture
def there(fitted, monkeypatch):
    monkeypatch.chdir(fitted)
    return fitted


def words(posterior) -> tuple:
    return posterior.encoder, posterior.columns, posterior.classes


def said(capsys, *words: str) -> dict:
    """What a command says as JSON, and nothing else."""
    assert main([*words, "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return json.loads(told.out)


# The words of the table ---------------------------------------------------------------------------------


def test_a_posterior_keeps_the_words_of_its_table(there):
    mixed = load("mixed.pplgen")
    assert words(mixed) == (
        columns_of(PEOPLE[["age", "town", "visits"]]),
        {"x": ("age", "town", "visits"), "y": ("state",)},
        {"y": ("ill", "well")},
    )
    assert words(load("wordless.pplgen")) == (None, {}, {})
    assert words(load("array.pplgen")) == (None, {"y": ("4",)}, {"y": ("0", "1", "2")})
    for y in (DATA.y[:1], [DATA.classes[DATA.y[0]]], pd.Series([DATA.classes[DATA.y[0]]])):
        more = fit(load("nb.pplgen"), x=DATA.x[:1] + 1, y=y)
        assert words(more) == words(load("nb.pplgen"))


def test_python_asks_and_answers_in_the_words_of_the_table(there):
    nb = load("nb.pplgen")
    answer = ask(nb, "p(y | x)", x=pd.DataFrame(DATA.x.numpy(), columns=NAMES)[NAMES[::-1]])
    assert answer.classes == DATA.classes
    assert (answer.labels == np.array(DATA.classes)[answer.mode]).all()
    assert ask(nb, "p(x | y)", y=DATA.classes[2]).mean.equal(ask(nb, "p(x | y)", y=2).mean)


@pytest.mark.parametrize("name", ["nb", "mixed", "array", "pca", "wordless"])
def test_files_of_before_keep_their_words(there, tmp_path, monkeypatch, name):
    """Of 0.1: all under "vocabulary", where the command line wrote them, and classes of the table's types."""
    kept = load(f"{name}.pplgen")

    def packed(document, tensors, real=saving.packed):
        old = {key: part for key, part in document.items() if key not in ("encoder", "columns", "classes")}
        e = kept.encoder
        plain = {
            "columns": None if e is None else dict(e.columns),
            "categories": None if e is None else dict(e.categories),
            "target": kept.columns.get("y", ("",))[0],
            "classes": tuple(int(c) if c.isdecimal() else c for c in kept.classes.get("y", ())),
        }
        return real(old | {"vocabulary": encoded(plain if name != "wordless" else None, tensors)[0]}, tensors)

    monkeypatch.setattr(saving, "packed", packed)
    save(kept, tmp_path / "old.pplgen")
    assert words(load(tmp_path / "old.pplgen")) == words(kept)


def test_probabilities_are_those_of_the_library(there, capsys):
    found = said(capsys, "ask", "mixed.pplgen", "p(y | x)", "people.csv")
    encoder = columns_of(PEOPLE[["age", "town", "visits"]])
    y = (PEOPLE["state"] == "well").to_numpy().astype(int)
    x = encoder.encode(PEOPLE)
    probs = ask(fit(MixedNaiveBayes(2, encoder.columns), x=x, y=y), "p(y | x)", x=x).probs
    assert found["how"] == "enumerated"
    assert [row["p(well)"] for row in found["rows"]] == pytest.approx(probs[:, 1].tolist(), rel=1e-12)
    assert [row["mode"] for row in found["rows"]] == [("ill", "well")[i] for i in probs.argmax(1)]


def test_columns_are_found_by_name_and_gaps_are_summed_out(there, tmp_path, capsys):
    rows = PEOPLE[["visits", "town", "age"]].assign(other="?", town=[None, "Kiel"] * 12)
    rows.to_csv(tmp_path / "new.csv", sep=";", index=False)
    found = said(capsys, "ask", "mixed.pplgen", "p(y | x)", str(tmp_path / "new.csv"))
    x = columns_of(PEOPLE[["age", "town", "visits"]]).encode(rows)
    probs = ask(load("mixed.pplgen"), "p(y | x)", x=x).probs
    assert [row["p(ill)"] for row in found["rows"]] == pytest.approx(probs[:, 0].tolist(), rel=1e-12)


@pytest.mark.parametrize("name", ["array", "wordless", "nb"])
def test_arrays_with_and_without_the_class(there, tmp_path, capsys, name):
    np.save(tmp_path / "x.npy", DATA.x[:7].numpy())
    expected = ask(fit(GaussianNaiveBayes(3, 4), x=DATA.x, y=DATA.y), "p(x)").log_prob(x=DATA.x[:7])
    found = said(capsys, "ask", f"{name}.pplgen", "p(x)", str(tmp_path / "x.npy"))
    assert [row["log p(x)"] for row in found["rows"]] == pytest.approx(expected.tolist(), rel=1e-9)
    if name == "array":  # which knows where the class stands
        found = said(capsys, "ask", "array.pplgen", "p(x, y)", "iris.npy")
        both = ask(load("array.pplgen"), "p(x, y)").log_prob(x=DATA.x, y=DATA.y)
        assert [row["log p(x, y)"] for row in found["rows"]] == pytest.approx(both.tolist(), rel=1e-9)


def test_numbers_have_means_and_log_densities(there, capsys):
    line = load("line.pplgen")
    x, y = DATA.x[:, :3], DATA.x[:, 3]
    found = said(capsys, "ask", "line.pplgen", "p(y | x)", "--x", "5.1,3.5,1.4")
    mean = ask(line, "p(y | x)", x=x[:1]).mean.item()
    assert found["rows"] == [{f"mean {NAMES[3]}": pytest.approx(mean, rel=1e-9)}]
    found = said(capsys, "ask", "line.pplgen", "p(y | x)", "iris.csv")
    expected = ask(line, "p(y | x)", x=x).log_prob(y=y)
    assert [row["log p(y | x)"] for row in found["rows"]] == pytest.approx(expected.tolist(), rel=1e-9)
    codes = said(capsys, "ask", "pca.pplgen", "p(z | x)", "iris.csv")["rows"]
    assert list(codes[0]) == ["mean z[0]", "mean z[1]"]
    assert len(codes) == 150


def test_draws_speak_the_tables_words(there, capsys):
    found = said(capsys, "sample", "mixed.pplgen", "p(x, y)", "-n", "40", "--seed", "3")
    rows = found["rows"]
    assert list(rows[0]) == ["age", "town", "visits", "state"]
    assert {row["town"] for row in rows} == {"Kiel", "Ulm"}
    assert {row["state"] for row in rows} == {"ill", "well"}
    assert all(isinstance(row["visits"], int) for row in rows)
    drawn = ask(load("mixed.pplgen"), "p(x, y)").sample(40, seed=3)
    assert [row["age"] for row in rows] == drawn["x"][:, 0].tolist()
    assert (found["seed"], found["how"]) == (3, "exact")


def test_a_class_by_its_name_and_draws_for_each_row(there, capsys):
    found = said(capsys, "sample", "nb.pplgen", "p(x | y)", "--y", "virginica", "-n", "3", "--seed", "1")
    drawn = ask(load("nb.pplgen"), "p(x | y)", y=2).sample(3, seed=1)
    assert [list(row.values()) for row in found["rows"]] == drawn.tolist()
    found = said(capsys, "sample", "nb.pplgen", "p(x | y)", "iris.csv", "-n", "2", "--seed", "1")
    assert [row["row"] for row in found["rows"]] == [*range(1, 151)] * 2
    found = said(capsys, "sample", "nb.pplgen", "p(mu)", "-n", "2", "--seed", "1")
    drawn = load("nb.pplgen").draw(2, seed=1)["mu"]
    assert [row["mu[2,1]"] for row in found["rows"]] == drawn[:, 2, 1].tolist()


# Files and tables ---------------------------------------------------------------------------------------


def test_rows_go_into_files(there, tmp_path, capsys):
    base = ["sample", "nb.pplgen", "p(x | y)", "--y", "setosa", "-n", "5", "--seed", "2", "--out"]
    for ending in ("csv", "json", "npy"):
        assert main([*base, str(tmp_path / f"rows.{ending}")]) == 0
        assert "5 rows written to" in capsys.readouterr().out
    with open(tmp_path / "rows.csv") as file:
        table = [[float(cell) for cell in row.values()] for row in csv.DictReader(file)]
    array = np.load(tmp_path / "rows.npy")
    assert (
        table
        == array.tolist()
        == [list(row.values()) for row in json.loads((tmp_path / "rows.json").read_text())["rows"]]
    )
    assert main([*base, str(tmp_path / "rows.csv")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*base, "-"]) == 0
    assert capsys.readouterr().out == (tmp_path / "rows.csv").read_text()


@pytest.mark.parametrize("width", [40, 80])
def test_tables_fit_the_terminal(there, monkeypatch, capsys, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["ask", "nb.pplgen", "p(y | x)", "iris.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "p(y | x) of GaussianNaiveBayes for 150 rows, enumerated"
    assert lines[2].startswith("setosa  ")
    assert max(map(len, lines[1:-1])) < width
    assert lines[-1].startswith("… 130 more rows")
    assert ("1 more column" in lines[-1]) == (width == 40)


# Mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["ask", "nowhere.pplgen", "p(x)"], "nowhere.pplgen: no such file"),
        (["ask", ".", "p(x)"], "got a folder"),
        (["ask", "iris.csv", "p(x)"], "this is no posterior: expected a file that ppl-gen fit wrote"),
        (["ask", "cut.pplgen", "p(x)"], "truncated, or was altered"),
        (["ask", "nb.pplgen", "p(x"], "cannot read this line"),
        (["ask", "nb.pplgen", "p(w | x)", "iris.csv"], "'w' is not a variable of GaussianNaiveBayes"),
        (["ask", "lr.pplgen", "p(x | y)", "iris.csv"], "'x' is given, not generated. It can answer p"),
        (["sample", "lr.pplgen", "p(x | y)"], "'x' is given, not generated"),
        (["ask", "nb.pplgen", "p(y | x)"], "is given x: name a file of rows, or pass --x VALUE"),
        (["ask", "nb.pplgen", "p(x)", "people.csv"], "no column 'sepal_length_.cm.'; there are age, town"),
        (["ask", "nb.pplgen", "p(x)", "empty.csv"], "the file is empty"),
        (["ask", "nb.pplgen", "p(x)", "junk.csv"], "got bytes that are no text"),
        (["ask", "nb.pplgen", "p(x)", "narrow.npy"], "expected 4 columns of x, got 3"),
        (["ask", "array.pplgen", "p(x)", "narrow.npy"], "4 columns of x, or 5 with the class in column 4"),
        (
            ["ask", "mixed.pplgen", "p(x)", "odd.csv"],
            "town: expected one of Kiel, Ulm, got 'Bonn' in data row 2",
        ),
        (["ask", "mixed.pplgen", "p(x)", "texts.csv"], "age: expected numbers, got 'old' in data row 1"),
        (["ask", "lr.pplgen", "p(y | x)", "--x", "1,2,3,"], "Fill the empty cells in the file"),
        (["ask", "nb.pplgen", "p(y | x)", "--x", "1,2,3"], "--x: expected 4 values, of sepal_length"),
        (["ask", "nb.pplgen", "p(y | x)", "--x", "1,2,3,big"], "expected numbers, got 'big'\n"),
        (["sample", "nb.pplgen", "p(x | y)", "--y", "rose"], "kind: expected one of setosa, versicolor"),
        (["sample", "array.pplgen", "p(x | y)", "--y", "one"], "4: expected one of 0, 1, 2, got 'one'"),
        (["sample", "nb.pplgen", "p(x)", "--sede", "3"], "--sede: no option, and 'sede' does not stand"),
        (["sample", "nb.pplgen", "p(x)", "--out", "rows.txt"], "--out: expected a name that ends in .csv"),
        (["sample", "nb.pplgen", "p(x)", "--out", "-", "--json"], "both want the standard output"),
        (["sample", "nb.pplgen", "p(x)", "--out", "/nowhere/rows.csv"], "cannot write to /nowhere/rows.csv"),
        (["sample", "nb.pplgen", "p(x, y)", "--out", "rows.npy"], "an array holds one variable"),
    ],
)
def test_a_users_mistake_is_told_in_words(there, capsys, command, message):
    (there / "empty.csv").write_text("")
    (there / "junk.csv").write_bytes(bytes(range(256)))
    (there / "odd.csv").write_text("age,town,visits\n30,Kiel,1\n31,Bonn,2\n")
    (there / "texts.csv").write_text("age,town,visits\nold,Kiel,1\nyoung,Ulm,2\n")
    (there / "cut.pplgen").write_bytes((there / "nb.pplgen").read_bytes()[:3000])
    np.save(there / "narrow.npy", np.zeros((2, 3)))
    assert main(command) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert re.search(f"^ppl-gen: .*{message}", told.err), told.err
    assert not (there / "rows.npy").exists()


def test_what_is_no_number_is_said(there, tmp_path, capsys):
    rows = pd.concat([PEOPLE.astype(object)] * 2)
    rows.iloc[3, 0] = "sixty"
    rows.to_csv(tmp_path / "new.csv", index=False)
    found = said(capsys, "ask", "mixed.pplgen", "p(x)", str(tmp_path / "new.csv"))
    assert found["read"] == ["age: 1 cell counts as no number and missing, such as 'sixty' in data row 4"]
    x = torch.tensor([[torch.nan, 0, 2]], dtype=torch.float64)  # age is missing, town Kiel, two visits
    expected = ask(load("mixed.pplgen"), "p(x)").log_prob(x=x).item()
    assert found["rows"][3]["log p(x)"] == pytest.approx(expected, rel=1e-12)


# Options between arguments, rows and cells --------------------------------------------------------------


@pytest.mark.parametrize("place", range(4))
def test_options_may_stand_anywhere(there, capsys, place):
    words, options = ["nb.pplgen", "p(y | x)", "iris.csv"], ["--json", "--seed", "1"]
    assert main(["ask", *words[:place], *options, *words[place:]]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 150
    words, options = ["nb.pplgen", "p(x | y)", "iris.csv"], ["--seed", "1", "-n", "2"]
    assert main(["sample", *words[:place], *options, *words[place:]]) == 0
    assert "seed 1" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["ask", "--json", "nb.pplgen", "p(y | x)", "iris.csv", "more.csv"])
    assert "unrecognized arguments: more.csv" in capsys.readouterr().err


def test_rows_are_counted_in_one_way(there, tmp_path, capsys):
    """Wherever it was found, in this module or in the library, the fourth row below the names is row 4."""
    cells = {
        "age": [34.5, 51.0, 47.5, 60.5, 29.5] * 4,
        "town": "Ulm",
        "visits": 1,
        "state": ["well", "ill"] * 10,
    }
    path = str(tmp_path / "rows.csv")
    model = ["--model", "MixedNaiveBayes", "--class", "state", "--out", str(tmp_path / "f.pplgen")]
    asked = ["ask", "mixed.pplgen", "p(y | x)", path]
    for column, bad, words in (
        ("state", "", ["fit", path, *model]),
        ("age", "old", asked),
        ("town", "Bonn", asked),
        ("visits", "1.5", asked),
        ("state", "odd", ["diagnose", "mixed.pplgen", path]),
    ):
        frame = pd.DataFrame(cells).astype(object)
        frame.loc[3, column] = bad
        frame.to_csv(path, index=False)
        main(words)
        told = capsys.readouterr()
        assert "data row 4" in told.out + told.err, (column, told)


def test_only_near_names_are_suggested(there, tmp_path, capsys):
    (tmp_path / "far.csv").write_text("target,town,visits\n1,Ulm,2\n")
    assert main(["ask", "mixed.pplgen", "p(y | x)", str(tmp_path / "far.csv")]) == 2
    said = capsys.readouterr().err
    assert "no column 'age'; there are target, town, visits. It was fitted to" in said
    (tmp_path / "near.csv").write_text("agee,town,visits\n1,Ulm,2\n")
    assert main(["ask", "mixed.pplgen", "p(y | x)", str(tmp_path / "near.csv")]) == 2
    assert "Did you mean 'agee'?" in capsys.readouterr().err


def test_truth_values_and_units(there, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = {"smoker": [True, False, False] * 6, "share": [f"{n}%" for n in range(18)]}
    pd.DataFrame({**rows, "ill": [True, False] * 9}).to_csv("t.csv", index=False)
    words = ["--model", "MixedNaiveBayes", "--class", "ill", "--out", "t.pplgen"]
    assert main(["fit", "t.csv", *words]) == 0
    assert (
        "share: texts such as '0%' are categories: for numbers, write them without" in capsys.readouterr().out
    )
    drawn = said(capsys, "sample", "t.pplgen", "p(x, y)", "-n", "20", "--seed", "0")["rows"]
    assert {row["smoker"] for row in drawn} == {row["ill"] for row in drawn} == {True, False}
    assert said(capsys, "sample", "t.pplgen", "p(x | y)", "--y", "True")["rows"]
    assert said(capsys, "ask", "t.pplgen", "p(y | x)", "t.csv")["rows"][0].keys() == {
        "mode", "p(False)", "p(True)"
    }  # fmt: skip


def test_classes_without_rows_are_told_by_their_codes(there, tmp_path, capsys):
    """A posterior of the library may have more classes than its rows had names for."""
    np.save(tmp_path / "x.npy", DATA.x.numpy()[:2])
    kinds = [DATA.classes[i] for i in DATA.y]
    save(
        fit(GaussianNaiveBayes(5, 4), x=pd.DataFrame(DATA.x.numpy(), columns=NAMES), y=kinds), tmp_path / "f"
    )
    row = said(capsys, "ask", str(tmp_path / "f"), "p(y | x)", str(tmp_path / "x.npy"))["rows"][0]
    assert list(row) == ["mode", *(f"p({name})" for name in (*DATA.classes, 3, 4))]
    drawn = said(capsys, "sample", str(tmp_path / "f"), "p(y)", "-n", "3000", "--seed", "0")["rows"]
    assert {row["y"] for row in drawn} == {*DATA.classes, 3, 4}
