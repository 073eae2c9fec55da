"""Everything the README shows runs, and its table of models is today's."""

import contextlib
import io
import re
import shlex

import pytest

from ppl_gen import ask, fit
from ppl_gen.__main__ import main
from ppl_gen.errors import NotGenerated
from tests.readme import README, updated

BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_table_of_models_is_todays():
    assert updated(README.read_text()) == README.read_text(), "run `make readme`"


@pytest.fixture(scope="module")
def began(tmp_path_factory):
    """The names that the first block leaves to the others, and what it printed."""
    names, printed = {}, io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(tmp_path_factory.mktemp("readme"))
        exec(BLOCKS[0], names)
    return names, printed.getvalue()


def test_the_tour_of_the_verbs_runs(began):
    names, printed = began
    with pytest.raises(NotGenerated) as refused:
        exec(BLOCKS[1], dict(names))
    assert f"# NotGenerated: {refused.value}" in BLOCKS[1]
    lines = printed.splitlines()
    assert lines[0] in BLOCKS[0]  # the joint line, as the comment shows it
    assert lines[1].startswith("enumerated")
    assert 0 < float(lines[2]) < 50  # an ELBO lies below the evidence, and not far


def test_a_table_with_missing_cells_runs(capsys):
    exec(BLOCKS[2], {"ask": ask, "fit": fit})  # the first block imports them
    assert "town: categorical (0 Kiel, 1 Ulm)" in capsys.readouterr().out


def test_the_experiment_runs(began, capsys):
    exec(BLOCKS[3], dict(began[0]))
    assert "In error, " in capsys.readouterr().out


def test_hidden_variables_are_fitted_and_asked(began, capsys):
    exec(BLOCKS[4], dict(began[0]))
    printed = capsys.readouterr().out
    for word in ("Log evidence", "Held out", "ELBO", "closed form", "enumeration"):
        assert word in printed


def test_a_posterior_is_judged(began, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[5], dict(began[0]))
    printed = capsys.readouterr().out
    for words in (
        "no mistake found",
        "do not use it: too few steps",
        "(exact)",
        "clearly behind",
        "no fault found",
    ):
        assert words in printed
    assert "<svg" in (tmp_path / "hurried.html").read_text()


def test_a_long_fit_goes_on(began, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = dict(began[0])
    exec(BLOCKS[6], names)
    first = names["lr"]
    exec(BLOCKS[6], names)  # the same line: it was done
    assert (names["lr"].elbo == first.elbo).all()


def test_a_model_of_ones_own_runs():
    exec(BLOCKS[8], {})


def test_an_estimator_takes_its_twins_place(began, capsys):
    names = dict(began[0])
    exec(BLOCKS[7], names)
    assert names["rows"].shape == (3, 13)
    assert "nan" not in capsys.readouterr().out


def test_the_comparison_of_the_shell_block_runs(tmp_path, monkeypatch, capsys):
    (make, command) = re.search(r"python -c \"(.*)\"\nppl-gen (compare .*)\n", README.read_text()).groups()
    monkeypatch.chdir(tmp_path)
    exec(make)
    assert main([*command.split(), "--quick"]) == 0
    assert "ppl-gen-compare.html" in capsys.readouterr().out
    assert (tmp_path / "ppl-gen-compare.html").exists()


def test_a_table_is_asked_in_its_own_words(tmp_path, monkeypatch, capsys):
    (make,) = re.search(r"python -c \"(.*)\"\nppl-gen compare", README.read_text()).groups()
    monkeypatch.chdir(tmp_path)
    exec(make)
    (block,) = re.findall(r"```sh\n(ppl-gen fit .*?)```", README.read_text(), re.DOTALL)
    said = []
    for line in block.splitlines():
        assert main(shlex.split(line)[1:]) == 0
        said.append(capsys.readouterr().out)
    assert "p(0)" in said[1]
    assert "alcohol" in said[2]
    assert "prior in conflict" in said[3]


def test_every_python_block_is_run():
    assert len(BLOCKS) == 9
