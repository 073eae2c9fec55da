"""``ppl-gen fit``: what it reads, says and writes, and what it refuses."""

import re
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ppl_gen import fit, load
from ppl_gen.__main__ import main
from ppl_gen.data import iris
from ppl_gen.errors import Unreliable
from ppl_gen.fitting import fit_file
from ppl_gen.inference.steps import Steps
from ppl_gen.models import GaussianNaiveBayes, LogisticRegression, MixedNaiveBayes
from ppl_gen.models import __all__ as MODELS
from ppl_gen.tables import columns_of
from tests.test_ranks import torchrun

DATA = iris()
NAMES = [name.replace(" ", "_") for name in DATA.features]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Iris as a table with names of classes and as an array, a table of many kinds, and other files."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(DATA.x.numpy(), columns=NAMES)
    frame.assign(kind=[DATA.classes[i] for i in DATA.y]).to_csv("iris.csv", index=False)
    np.save("iris.npy", np.column_stack([DATA.x.numpy(), DATA.y.numpy()]))
    rows = {"age": [34.5, 51.2, None, 62.0] * 6, "town": ["Ulm", "Kiel", None, "Kiel"] * 6}
    pd.DataFrame({**rows, "state": ["well", "ill"] * 12}).to_csv("people.csv", index=False)
    np.save("line.npy", np.zeros(3))
    (tmp_path / "text.npy").write_text("no array")
    return tmp_path


def test_a_table_with_named_classes(folder, capsys):
    assert main(["fit", "iris.csv", "--model", "gaussiannaivebayes", "--class", "kind"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "150 rows, 4 columns of x\ny is kind: 0 setosa, 1 versicolor, 2 virginica\n" in said.out
    assert "Written to ppl-gen-fit.pplgen." in said.out
    expected = fit(GaussianNaiveBayes(3, 4), x=DATA.x, y=DATA.y)
    found = load("ppl-gen-fit.pplgen")
    assert found.log_evidence == pytest.approx(expected.log_evidence, rel=1e-12)
    assert f"{expected.log_evidence:,.3f}" in said.out


def test_an_array_by_minibatches(folder, capsys):
    command = (
        "fit iris.npy --model LogisticRegression --class 4 --steps 30 --batch-size 40 --seed 3 --out f.pplgen"
    )
    assert main(command.split()) == 0
    found = load("f.pplgen")
    assert (found.method.steps, found.method.batch_size, found.method.seed) == (30, 40, 3)
    again = fit(LogisticRegression(3, 4), found.method, x=DATA.x, y=DATA.y)
    torch.testing.assert_close(found.elbo, again.elbo)


def test_columns_of_many_kinds_with_missing_cells(folder, capsys):
    assert (
        main(["fit", "people.csv", "--model", "MixedNaiveBayes", "--class", "state", "--out", "f.pplgen"])
        == 0
    )
    frame = pd.read_csv("people.csv")
    encoder = columns_of(frame[["age", "town"]])
    y = (frame["state"] == "well").to_numpy().astype(int)
    expected = fit(MixedNaiveBayes(2, encoder.columns), x=encoder.encode(frame), y=y)
    assert load("f.pplgen").log_evidence == pytest.approx(expected.log_evidence, rel=1e-12)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("iris.csv --model GaussianMixture --class kind --set components=3 --method em", "kind is left out"),
        ("iris.csv --model PPCA --set latent=2 --drop kind", "log evidence"),
        ("iris.csv --model LinearRegression --class petal_width_(cm) --drop kind", "150 rows, 3 columns"),
        ("iris.npy --model Autoencoder --set latent=2 --steps 5", None),
        ("iris.csv --model GaussianMixture --set components=3 --drop kind --seed 1", "VariationalBayes("),
        ("iris.csv --model GaussianMixture --set components=3 --drop kind --batch-size 50 --steps 9", "SVI("),
        ("iris.csv --model VAE --set latent=2,likelihood=Gaussian --drop kind --steps 5", "SVI(steps=5"),
        ("iris.npy --model VAE --set latent=1,likelihood=Gaussian,prior=NormalMixture(2) --steps 1", "SVI("),
        ("people.csv --model MixedMixture --set components=2 --drop state --method vb", "24 rows"),
    ],
)
def test_other_models(folder, capsys, command, says):
    code = main(["fit", *command.split()])
    said = capsys.readouterr()
    if says is None:
        assert code == 2  # what it is given has no column here: said, not guessed
        assert said.err.count("\n") == 1
        return
    assert code == 0, said.err
    assert says in said.out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nowhere.csv --model PPCA", "nowhere.csv: no such file"),
        ("nowhere.npy --model PPCA", "nowhere.npy: no such file"),
        ("line.npy --model PPCA", r"expected an array \(rows, columns\), got shape \(3,\)"),
        ("text.npy --model PPCA", "cannot be read as an array"),
        ("iris.csv --model PPCB", r"--model: no model 'PPCB'.* Did you mean 'PPCA'\?"),
        ("iris.csv --model PPCA --method guess", "--method: expected one of exact"),
        ("iris.csv --model PPCA --drop kind", "PPCA needs latent: --set latent=2, say"),
        ("iris.csv --model PPCA --drop kind --set latent=two", "latent: expected a whole number"),
        ("iris.csv --model PPCA --drop kind --set latent=2,depth=3", "--set depth: PPCA has features"),
        ("iris.csv --model GaussianMixture --drop kind", "needs components"),
        (
            "iris.csv --model GaussianMixture --drop kind --set components=2,depth=3",
            "--set depth: GaussianMixture has components, features",
        ),
        (
            "iris.csv --model GaussianNaiveBayes --class kind --set classes=5",
            r"--set classes=5: expected 3, the classes of 'kind' \(0 setosa, .*\): leave it out",
        ),
        (
            "iris.csv --model GaussianNaiveBayes --class kind --set features=7",
            "--set features=7: expected 4, the columns of x",
        ),
        ("iris.csv --model GaussianNaiveBayes", "--class: GaussianNaiveBayes is .*; name the column of y"),
        ("iris.csv --model GaussianNaiveBayes --class kin", "no column 'kin'.* Did you mean 'kind'"),
        ("iris.csv --model LinearRegression --class kind", "'kind' holds text"),
        (
            f"iris.csv --model GaussianNaiveBayes --class {NAMES[0]} --drop kind",
            "a few classes; .* is a quantity, of 35 different numbers",
        ),
        ("iris.npy --model GaussianNaiveBayes --class 7", "the number of a column, from 0 to 4, got '7'"),
        ("people.csv --model GaussianNaiveBayes --class state", "'town' holds text. Take MixedNaiveBayes"),
        (
            "iris.csv --model GaussianNaiveBayes --class kind --method exact --steps 3",
            "--steps: --method exact has none; leave it out",
        ),
        ("iris.csv --model PPCA --drop kind --set latent=2 --method exact", "no closed form"),
        (
            "iris.csv --model VAE --set latent=2,likelihood=Gauss --drop kind",
            r"of Bernoulli.*mean 'Gaussian'\?",
        ),
        (
            "iris.csv --model VAE --set latent=2,likelihood=Gaussian(3) --drop kind",
            "Gaussian takes no number",
        ),
        (
            "iris.csv --model VAE --set latent=2,likelihood=Binomial( --drop kind",
            "--set likelihood: expected",
        ),
        (
            "iris.csv --model PPCA --drop kind --set latent=2 --method ml --checkpoint run",
            "--checkpoint: --method ml has none; leave it out",
        ),
        ("iris.csv --model PPCA --out iris.csv", "iris.csv is there already; .* replace it with --overwrite"),
        ("iris.csv --model PPCA --out /nowhere/fit", "cannot write to /nowhere/fit"),
        ("iris.csv --model PPCA --out .", "cannot write to ."),
    ],
)
def test_a_users_mistake_is_one_line(folder, capsys, command, message):
    assert main(["fit", *command.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(rf"ppl-gen: .*{message}.*\n", said.err), said.err
    assert not list(folder.glob("*.pplgen"))


def test_a_posterior_is_replaced_only_where_that_is_asked_for(folder, capsys):
    command = ["fit", "iris.csv", "--model", "PPCA", "--drop", "kind", "--set", "latent=1"]
    assert main(command) == 0
    first = load("ppl-gen-fit.pplgen").model.latent
    assert main([*command[:-1], "latent=2"]) == 2
    assert load("ppl-gen-fit.pplgen").model.latent == first == 1
    assert main([*command[:-1], "latent=2", "--overwrite"]) == 0
    assert load("ppl-gen-fit.pplgen").model.latent == 2


def test_a_command_that_was_stopped_goes_on(folder, capsys, monkeypatch):
    command = "fit iris.npy --model LogisticRegression --class 4 --steps 30 --batch-size 40 --checkpoint run"
    assert main([*command.split()[:-2], "--out", "whole.pplgen"]) == 0
    real, calls = Steps.step, []

    def step(self, *rows):
        calls.append(1)
        if len(calls) == 20:
            signal.raise_signal(signal.SIGINT)
        return real(self, *rows)

    monkeypatch.setattr(Steps, "step", step)
    capsys.readouterr()
    assert main(command.split()) == 130
    there = Path("run", "step-20.checkpoint")
    assert capsys.readouterr().err == (f"ppl-gen: stopped by Ctrl-C; the same command goes on from {there}\n")
    assert main(command.split()) == 0
    assert len(calls) == 30
    whole, resumed = load("whole.pplgen"), load("ppl-gen-fit.pplgen")
    assert torch.equal(resumed.elbo, whole.elbo)
    assert (resumed.method, resumed.note) == (whole.method, whole.note)


@pytest.mark.parametrize("wrong", ["--steps=0", "--steps=x", "--set=components", "--seed=-1"])
def test_bad_arguments(wrong, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "iris.csv", "--model", "PPCA", wrong])
    assert "usage: ppl-gen fit" in capsys.readouterr().err


def test_a_fit_that_goes_wrong_is_no_users_mistake(folder, capsys):
    np.save("rows.npy", np.random.default_rng(0).normal(size=(20, 3)))
    far = ["--steps", "50", "--learning-rate", "1e30"]
    assert main(["fit", "rows.npy", "--model", "PPCA", "--set", "latent=1", "--method", "svi", *far]) == 1
    assert "Try a smaller --learning-rate" in capsys.readouterr().err


def test_numbers_that_overflow_are_refused(folder, capsys):
    np.save("huge.npy", np.array([[1e200, 0.0], [-1e200, 1.0], [0.0, 0.0]]))
    assert main(["fit", "huge.npy", "--model", "GaussianNaiveBayes", "--class", "1"]) == 2
    assert "rescale" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--help"])
    said = capsys.readouterr().out
    assert "torchrun --standalone --nproc-per-node 2 -m ppl_gen fit" in " ".join(said.split())
    assert all(f"--{name}" in said for name in ("model", "method", "class", "set", "steps", "out"))


def test_every_model_is_known_by_name():
    from ppl_gen.fitting import MODELS as known

    assert sorted(known.values()) == sorted(MODELS)


@pytest.mark.slow
def test_two_processes_write_the_same_posterior_once(folder):
    command = "fit iris.npy --model LogisticRegression --class 4 --steps 20 --batch-size 40 --out"
    assert main([*command.split(), "one.pplgen"]) == 0
    whole = [*command.split(), folder / "two.pplgen", "--checkpoint", folder / "run"]
    done = torchrun(*whole, program=["-m", "ppl_gen"])
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "run").iterdir())) == 2
    assert done.stdout.count("Posterior of LogisticRegression") == 1
    one, two = load("one.pplgen"), load("two.pplgen")
    torch.testing.assert_close(two.elbo, one.elbo, rtol=1e-10, atol=0)
    for (name, value), other in zip(
        one.model.state_dict().items(), two.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(other, value, rtol=1e-5, atol=1e-5, msg=name)
    done = torchrun("fit", "iris.npy", "--model", "LogisticRegression", program=["-m", "ppl_gen"])
    assert done.returncode == 1  # torchrun's own, whose report names the 2 of its processes
    assert re.search(r"exitcode\s*: 2", done.stderr)
    assert done.stderr.count("ppl-gen: --class: LogisticRegression") == 1


def test_a_column_of_dates_is_told_and_named(folder, capsys):
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"when": days, "age": np.linspace(-1, 1, 40), "state": ["well", "ill"] * 20})
    frame.loc[3, "age"] = None
    frame.to_csv("visits.csv", index=False)
    with pytest.warns(Unreliable, match=r"column 'when' .*numpy\.nanmean\(x, 0\)"):
        posterior, says = fit_file(Path("visits.csv"), "MixedNaiveBayes", Path("v.pplgen"), column="state")
    assert "when: dates, as days since 1970-01-01" in says
    assert posterior.columns["x"] == ("when", "age")
