"""Everything the README shows runs, and its table of models is today's."""

import re

import pytest

from ppl_gen import ask, fit
from ppl_gen.__main__ import main
from ppl_gen.errors import NotGenerated
from tests.readme import README, updated

BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_table_of_models_is_todays():
    assert updated(README.read_text()) == README.read_text(), "run `make readme`"


def test_the_tour_of_the_verbs_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(BLOCKS[0], names)
    with pytest.raises(NotGenerated) as refused:
        exec(BLOCKS[1], names)
    assert f"# NotGenerated: {refused.value}" in BLOCKS[1]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] in BLOCKS[0]  # the joint line, as the comment shows it
    assert printed[1].startswith("enumerated")
    assert 0 < float(printed[2]) < 50  # an ELBO lies below the evidence, and not far


def test_a_table_with_missing_cells_runs(capsys):
    exec(BLOCKS[2], {"ask": ask, "fit": fit})  # the first block imports them
    assert "town: categorical (0 Kiel, 1 Ulm)" in capsys.readouterr().out


def test_the_experiment_and_the_mixture_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(BLOCKS[0], names)
    exec(BLOCKS[3], names)
    assert "In error, " in capsys.readouterr().out


def test_a_model_of_ones_own_runs():
    exec(BLOCKS[4], {})


def test_the_comparison_of_the_shell_block_runs(tmp_path, monkeypatch, capsys):
    (make, command) = re.search(r"python -c \"(.*)\"\nppl-gen (compare .*)\n", README.read_text()).groups()
    monkeypatch.chdir(tmp_path)
    exec(make)
    assert main([*command.split(), "--quick"]) == 0
    assert "ppl-gen-compare.html" in capsys.readouterr().out
    assert (tmp_path / "ppl-gen-compare.html").exists()


def test_every_python_block_is_run():
    assert len(BLOCKS) == 5
