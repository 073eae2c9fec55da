"""What went wrong is told in options of the command line, never in Python."""

import json
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from ppl_gen.cli.advice import in_options
from ppl_gen.cli.main import main

PYTHON = re.compile(
    r"\w\w(?<!Categorical)(?<!Binomial)\([^() ]*\)|=…|\.\w+\(|\b\w+\.\w+\(|\bnumpy\b|\bpandas\b|ppl_gen"
    r"|learning_rate"
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    cells = random.normal(size=(24, 2))
    gap = cells.copy()
    gap[3, 1] = np.nan
    for name, rows in {
        "ok": cells,
        "years": cells + np.array([2000, 0]),
        "gap": gap,
        "still": cells * [1, 0],
        "deep": cells * [1, np.inf],
    }.items():
        lines = [f"{a},{'' if b != b else b},{'uv'[i % 2]}" for i, (a, b) in enumerate(rows)]
        (folder / f"{name}.csv").write_text("\n".join(["a,b,c", *lines]) + "\n")
    return folder


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("years.csv --model GaussianNaiveBayes --class c", "Standardise these columns.*--set loc=VALUE"),
        (
            "years.csv --drop c --model GaussianMixture --set components=2 --steps 3",
            "Standardise these columns",
        ),
        ("years.csv --model MixedNaiveBayes --class c", "Standardise these columns"),
        ("years.csv --drop c --model LinearRegression --class a", "--set loc=VALUE, --set precision=VALUE"),
        ("ok.csv --model GaussianNaiveBayes --class c --method em", "--method exact or --method ml"),
        ("ok.csv --model GaussianNaiveBayes --class c --method cv", "--method exact or --method svi"),
        ("ok.csv --model LogisticRegression --class c --method exact", "Use --method svi"),
        (
            "ok.csv --model LogisticRegression --class c --method nuts --steps 3",
            "--steps: --method nuts has none",
        ),
        ("ok.csv --drop c --model GaussianMixture --set components=2 --method exact", "Use --method em or"),
        (
            "ok.csv --drop c --model GaussianMixture --set components=2,foo=3",
            "--set foo: .*covariance, .*shape",
        ),
        ("ok.csv --drop c --model GaussianMixture --set component=2", "--set component: .*'components'"),
        (
            "ok.csv --drop c --model GaussianMixture --set components=2,foo=3,covariance=full",
            "--set foo: FullGaussianMixture has components",
        ),
        (
            "ok.csv --drop c --model GaussianMixture --set components=two",
            "--set components: expected a whole",
        ),
        ("ok.csv --drop c --model GaussianMixture --set components=2 --method cv", "Use --method em or"),
        ("ok.csv --drop c --model GaussianMixture --set components=2 --method emm", "Did you mean 'em'"),
        (
            "still.csv --drop c --model GaussianMixture --set components=9 --method em",
            "z = 0, .* have shrunk",
        ),
        ("still.csv --drop c --model GaussianMixture --set components=9 --method em", "or --method vb"),
        (
            "still.csv --drop c --model FullGaussianMixture --set components=2 --method em",
            "--drop, or take a",
        ),
        ("still.csv --drop c --model PPCA --set latent=1", "leave it out by --drop"),
        ("still.csv --model KernelNaiveBayes --class c", "--set bandwidth=VALUE"),
        ("gap.csv --model QuadraticDiscriminantAnalysis --class c", "--method em or"),
        ("gap.csv --model LogisticRegression --class c", "Fill the empty cells.*--drop"),
        ("deep.csv --model GaussianNaiveBayes --class c", "--drop b"),
        ("ok.csv --drop c --model VAE --set latent=1", "--set likelihood=Gaussian"),
        ("ok.csv --drop c --model VAE --set latent=1,likelihood=Gaussian --method map", "--method svi"),
        ("ok.csv --drop c --model DenoisingAutoencoder --set latent=1", "a file tells of x and y"),
        ("ok.csv --model LinearRegression --class a", "Leave out by --drop c"),
    ],
)
def test_a_fit_says_what_to_type(tables, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tables)
    main(["fit", *words.split(), "--out", str(tmp_path / "fit.pplgen")])
    told = capsys.readouterr().err
    assert re.search(said, told, re.S), told
    assert not PYTHON.search(told), told


def test_a_fit_that_diverges(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tables)
    words = "ok.csv --drop c --model VAE --set latent=1,likelihood=Gaussian --steps 9 --learning-rate 1e30"
    assert main(["fit", *words.split(), "--out", str(tmp_path / "fit.pplgen")]) == 1
    told = capsys.readouterr().err
    assert "--learning-rate" in told
    assert not PYTHON.search(told), told


@pytest.mark.parametrize("command", ["ask", "sample", "diagnose"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG" * 99, b"\0" * 4096])
def test_a_file_that_is_no_posterior(tmp_path, capsys, command, content):
    (tmp_path / "file").write_bytes(content)
    question = [] if command == "diagnose" else ["p(x)"]
    assert main([command, str(tmp_path / "file"), *question]) == 2
    told = capsys.readouterr().err
    assert re.search("this is no posterior: expected a file that ppl-gen fit wrote", told), told
    assert not PYTHON.search(told.replace(str(tmp_path), "")), told


def test_questions_that_need_a_file(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tables)
    there = str(tmp_path / "fit.pplgen")
    assert main(["fit", "ok.csv", "--model", "GaussianNaiveBayes", "--class", "c", "--out", there]) == 0
    assert main(["ask", there, "p(x, y)"]) == 2
    told = capsys.readouterr().err
    assert "name a file of rows to score" in told
    assert not PYTHON.search(told), told
    assert main(["compare", "ok.csv", "--target", "a"]) == 2
    told = capsys.readouterr().err
    assert "cut this one into classes" in told
    assert not PYTHON.search(told), told


def test_a_conditional_model_is_told_the_class(tables, tmp_path, monkeypatch):
    monkeypatch.chdir(tables)
    words = "ok.csv --class c --model ConditionalVAE --set latent=1,likelihood=Gaussian --steps 3"
    assert main(["fit", *words.split(), "--out", str(tmp_path / "fit.pplgen")]) == 0


def test_advice_of_reports():
    assert in_options("fit(posterior, SVI(steps=900), …) goes on from here") == "fit again with --steps 900"
    assert in_options("a mean of 3 (of 5); p(x | z)") == "a mean of 3 (of 5); p(x | z)"


def test_warnings_are_lines_whatever_python_says_of_warnings(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tables)
    words = ["years.csv", "--model", "GaussianNaiveBayes", "--class", "c", "--json"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["fit", *words, "--out", str(tmp_path / "fit.pplgen")]) == 0
    said = capsys.readouterr()
    assert "warning: x: expected numbers of the size" in said.err
    assert json.loads(said.out)["model"] == "GaussianNaiveBayes"


@pytest.mark.slow
def test_commands_without_assertions_and_with_warnings_as_errors(tables, tmp_path):
    there = str(tmp_path / "fit.pplgen")
    ok = str(tables / "ok.csv")
    for words in (
        ["fit", ok, "--model", "GaussianNaiveBayes", "--class", "c", "--out", there],
        ["ask", there, "p(y | x)", ok],
        ["sample", there, "p(x, y)", "-n", "3"],
        ["diagnose", there, ok],
        ["compare", ok, "--target", "c", "--quick", "--out", str(tmp_path / "page.html")],
        ["tutorials", str(tmp_path / "lessons")],
    ):
        command = [sys.executable, "-O", "-W", "error", "-m", "ppl_gen", *words, "--json"]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)
        assert not run.stderr
