"""What the pages of docs/ show runs, prints what stands beside it, and names what the code names."""

import re
from pathlib import Path

import pytest

from ppl_gen.diagnostics.trust import (
    chain_checks,
    checks,
    climb_checks,
    data_checks,
    guide_checks,
    joint_checks,
)

DOCS = Path(__file__).parent.parent / "docs"
BARE = (DOCS / "bare_pyro.md").read_text()
VERDICTS = (DOCS / "verdicts.md").read_text()


def run(page, capsys):
    """Run a page's Python in one namespace; each print's comment is what it printed."""
    names = {"__name__": "__main__"}
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, names)
        expected = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
        assert capsys.readouterr().out.splitlines() == expected
    return names


def test_the_verdicts_are_what_diagnose_says(capsys):
    run(VERDICTS, capsys)


def test_a_bare_program_comes_to_a_verdict(capsys):
    run(BARE.partition("Print `diagnosis`")[0], capsys)


@pytest.mark.slow
def test_bare_programs_come_to_verdicts_and_to_arviz(capsys):
    run(BARE, capsys)


def test_every_verdict_is_explained_once_and_says_what_to_do():
    parts = re.split(r"^### (.+)\n", VERDICTS, flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert sorted(parts[1::2]) == sorted(checks.FAULTS)
    without = {"sds too large"}  # the same advice as above
    assert all("*Do*" in text for name, text in told.items() if name not in without)


def test_limits_are_those_of_the_code():
    limits = {
        "dropped Jacobian": joint_checks.MASS,
        "unnormalised density": joint_checks.MASS,
        "singular component": climb_checks.SPIKE,
        "chains disagree": chain_checks.AGREE,
        "too few draws": chain_checks.WORTH,
        "divergences": 100 * chain_checks.DIVERGENT,
        "correlations ignored": guide_checks.APART,
        "means off": guide_checks.APART,
        "sds too small": guide_checks.NARROW,
    }
    for name, limit in limits.items():
        text = VERDICTS.partition(f"### {name}\n")[2].partition("\n#")[0]
        assert re.search(rf"\*Limit\* {limit:g}\b", text), name
    assert f"*Limit* a ratio of {guide_checks.WIDE:g}" in VERDICTS
    assert f"climbs {climb_checks.MORE} more steps" in VERDICTS
    assert f"{data_checks.REPLICATES} data sets" in VERDICTS
    assert (climb_checks.GAIN, climb_checks.SURE, data_checks.FAR) == ((0.5, 0.02), 5.0, 5.0)


@pytest.mark.slow
def test_the_calibration_page_runs(tmp_path, monkeypatch):
    """In a file of its own: the processes that it starts import it."""
    import subprocess
    import sys

    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "calibration.md").read_text(), re.DOTALL)
    script = tmp_path / "page.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sds too small: w[" in done.stdout
    assert (tmp_path / "calibration.png").stat().st_size > 10_000
