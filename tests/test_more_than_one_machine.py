"""The page on several processes: its script and its commands run, and find what it says."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from ppl_gen import load
from ppl_gen.models import GaussianMixture
from tests.test_ranks import torchrun

PAGE = (Path(__file__).parent.parent / "docs" / "more_than_one_machine.md").read_text()
SCRIPT = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
COMMANDS = re.findall(
    r"^(?:OMP_NUM_THREADS=1 )?torchrun (--standalone --nproc-per-node 2 .*?)(?: *#.*)?$", PAGE, re.M
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)
    np.save("rows.npy", torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).double().numpy())
    return tmp_path


def test_the_page_shows_three_commands():
    assert [" script.py" in command for command in COMMANDS] == [True, False, True]
    assert "--max-restarts 1" in COMMANDS[2]


def test_the_script_by_two_processes_finds_what_one_finds(folder, capsys):
    exec(SCRIPT, {})
    assert "Posterior of GaussianMixture given 1,003 rows" in capsys.readouterr().out
    one = load("mixture.pplgen").model
    done = torchrun(program=shlex.split(COMMANDS[0])[3:])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Posterior of GaussianMixture") == 1
    two = load("mixture.pplgen").model
    start = dict(GaussianMixture(components=3, features=2).named_parameters())
    for (name, value), other in zip(one.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(other, value, rtol=1e-5, atol=1e-5)
        assert (value - start[name]).abs().max().item() > 0.01


@pytest.mark.slow
def test_the_command_by_two_processes(folder):
    done = torchrun(program=shlex.split(COMMANDS[1])[3:])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Posterior of PPCA") == 1
    assert load("ppl-gen-fit.pplgen").n == 60
