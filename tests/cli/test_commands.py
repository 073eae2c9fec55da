"""JSON of every command that prints results, `diagnose`, and the notebooks in a folder."""

import json
import re

import numpy as np
import pytest

from ppl_gen import diagnose, load
from ppl_gen.__main__ import main
from ppl_gen.cli.terminal import plain
from ppl_gen.data import iris

ROWS = iris()[::5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An array of thirty irises, and a posterior of them."""
    found = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found)
        np.save("iris.npy", np.column_stack([ROWS.x.numpy(), ROWS.y.numpy()]))
        words = ["iris.npy", "--model", "GaussianNaiveBayes", "--class", "4", "--out", "nb.pplgen"]
        assert main(["fit", *words]) == 0
    return found


@pytest.fixture
def said(folder, monkeypatch, capsys):
    """What a command says as JSON."""
    monkeypatch.chdir(folder)

    def run(*words: str) -> dict:
        assert main([*words, "--json"]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        return json.loads(told.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return run


def test_fit(said):
    words = ("iris.npy", "--model", "GaussianNaiveBayes", "--class", "4", "--out", "again.pplgen")
    found = said("fit", *words)
    again = load("again.pplgen")
    assert found["log_evidence"] == again.log_evidence
    assert (found["rows"], found["classes"], found["file"]) == (30, [0, 1, 2], "again.pplgen")
    found = said("fit", "iris.npy", "--model", "PPCA", "--set", "latent=1", "--out", "pca.pplgen")
    assert found["log_evidence"] is not None or found["elbo"] is not None


@pytest.mark.slow
def test_compare(said, folder):
    x = "\n".join(f"{a},{b},{'ab'[int(a > b)]}" for a, b in np.random.default_rng(0).normal(size=(80, 2)))
    (folder / "t.csv").write_text(f"u,v,side\n{x}\n")
    found = said("compare", "t.csv", "--target", "side", "--quick")
    assert found["classes"] == ["a", "b"]
    assert found["rows"] == 80
    scores = found["scores"]["error"]
    assert 0 <= scores["naive Bayes"]["value"] <= 1
    difference = scores["naive Bayes"]["value"] - scores["logistic regression"]["value"]
    assert scores["difference"]["value"] == pytest.approx(difference)
    assert found["headline"]
    assert (folder / found["report"]).exists()


def test_diagnose(said, folder, monkeypatch, capsys):
    words = ("diagnose", "nb.pplgen", "iris.npy", "--draws", "100")
    found = said(*words, "--report", "page.html")
    expected = diagnose(load("nb.pplgen"), draws=100, x=ROWS.x, y=ROWS.y)
    assert found["verdict"] == expected.verdict
    assert found["faults"] == list(expected.faults)
    assert [check["name"] for check in found["checks"]] == [check.name for check in expected.checks]
    assert "<svg" in (folder / "page.html").read_text()

    monkeypatch.setattr("ppl_gen.diagnostics.diagnose", lambda *_, **__: expected)  # it takes its time
    assert main([*words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines).startswith(f"GaussianNaiveBayes by Exact: {expected.verdict}")
    assert max(map(len, lines)) <= 88
    np.save("few.npy", np.load("iris.npy")[::2])
    found = said("diagnose", "nb.pplgen", "few.npy")
    assert found["read"] == ["the fit had 30 rows; few.npy holds 15, which are judged here"]
    assert said(*words)["read"] == []


@pytest.mark.parametrize("parts", [False, True])
def test_diagnose_knows_the_rows_of_the_fit(said, folder, monkeypatch, parts):
    """Also where the array is so large that a fit reads it in parts, here of a thousand rows."""
    rows = np.load("iris.npy")
    if parts:
        rows = np.tile(rows, (70, 1)) + np.arange(2100)[:, None] / 1e4 * [1, 1, 1, 1, 0]
        monkeypatch.setattr("ppl_gen.inference.stored.CHUNK", 1)
    np.save("mine.npy", rows)
    fit = "mine.npy --model LogisticRegression --class 4 --method svi --steps 2 --batch-size 9"
    said("fit", *fit.split(), "--out", f"lr{parts}.pplgen")
    expected = diagnose(load("nb.pplgen"), draws=100, x=ROWS.x, y=ROWS.y)
    monkeypatch.setattr("ppl_gen.diagnostics.diagnose", lambda *_, **__: expected)  # it takes its time
    assert said("diagnose", f"lr{parts}.pplgen", "mine.npy")["read"] == []
    other, turned = rows.copy(), rows[::-1]
    other[7, 1] += 1e-9
    for name, values in (("other.npy", other), ("turned.npy", turned)):
        np.save(name, values)
        (note,) = said("diagnose", f"lr{parts}.pplgen", name)["read"]
        assert note.startswith(f"{name} holds {len(rows):,} rows, as many as the fit had, but not the same")


def test_diagnose_says_what_it_needs(said, folder, capsys):
    (folder / "there.html").write_text("mine")
    assert main(["diagnose", "nb.pplgen", "iris.npy", "--report", "there.html"]) == 2
    assert "there.html is there already" in capsys.readouterr().err
    assert main(["diagnose", "nb.pplgen"]) == 2
    assert "holds no rows: name the table that was fitted" in capsys.readouterr().err


def test_tutorials(said, tmp_path, capsys):
    target = tmp_path / "new" / "lessons"
    found = said("tutorials", str(target))
    assert found["copied"][0] == "01_two_ways_to_learn.ipynb"
    notebook = target / "01_two_ways_to_learn.ipynb"
    mine = notebook.read_text().replace("Two ways", "My ways")
    notebook.write_text(mine)
    found = said("tutorials", str(target))
    assert found["left"] == ["01_two_ways_to_learn.ipynb"]
    assert notebook.read_text() == mine
    assert main(["tutorials", str(target), "--overwrite"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"01_two_ways_to_learn\.ipynb  1 · Two ways to learn\n", told)
    assert notebook.read_text() != mine
    (tmp_path / "file").write_text("")
    assert main(["tutorials", str(tmp_path / "file")]) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_the_tour_as_json_tells_nothing_beside_its_numbers(said, tmp_path, monkeypatch):
    def run(tour):
        tour.console.print("a story")
        tour.workshop.numbers += [("log evidence", -1.5, "exact"), ("k-hat", float("nan"), "of no draws")]
        tour.workshop.files.append(("index.html", "the article"))

    monkeypatch.setattr("ppl_gen.tour.Tour.run", run)
    found = said("tour", "--out", str(tmp_path / "new"))
    assert found["numbers"][0] == {"what": "log evidence", "value": -1.5, "how": "exact"}
    assert found["numbers"][1]["value"] is None
    assert (found["seed"], found["files"], found["folder"]) == (0, ["index.html"], str(tmp_path / "new"))


@pytest.mark.slow
def test_tour(said, tmp_path):
    found = said("tour", "--quick", "--out", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(found["files"])
    assert all(set(number) == {"what", "value", "how"} for number in found["numbers"])


def test_json_has_no_nan():
    assert plain({"a": (float("nan"), float("-inf"), 1), 2: None}) == {"a": [None, "-inf", 1], "2": None}
