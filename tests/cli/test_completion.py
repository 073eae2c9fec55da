"""What the Tab key offers, in the shells that this machine has."""

import shutil
import subprocess

import pytest

from ppl_gen import models
from ppl_gen.__main__ import main
from ppl_gen.cli.parser import COMMANDS
from ppl_gen.fitting import METHODS

BASH = """
source /dev/stdin <<'END'
{script}
END
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _ppl_gen; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_reads_it_as_the_help_says(tmp_path, capsys):
    """From the file that bash-completion loads, for the command's name; files may have blanks in theirs."""
    assert main(["completion", "bash"]) == 0
    (tmp_path / "ppl-gen").write_text(capsys.readouterr().out)
    (tmp_path / "my rows.csv").write_text("")
    program = """
    set -u; source <(cat ppl-gen); complete -p ppl-gen
    COMP_WORDS=(ppl-gen fit my); COMP_CWORD=2; _ppl_gen; printf '%s\\n' "${COMPREPLY[@]}"
    COMP_WORDS=(ppl-gen fit --out my); COMP_CWORD=3; _ppl_gen; printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout == "complete -o filenames -F _ppl_gen ppl-gen\nmy rows.csv\nmy rows.csv\n"


@pytest.fixture(params=["bash", "zsh", "fish"])
def script(request, capsys):
    assert main(["completion", request.param]) == 0
    return request.param, capsys.readouterr().out


def test_every_name_is_in_every_script(script):
    for name in (*COMMANDS, *models.__all__, *METHODS, "json", "overwrite", "bash", "zsh", "fish"):
        assert name in script[1]


def test_scripts_can_be_read_by_their_shells(script, tmp_path):
    shell, text = script
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    (tmp_path / "script").write_text(text)
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ppl-gen ''", {"tour", "compare", "fit", "ask", "sample", "diagnose", "tutorials", "completion"}),
        ("ppl-gen di", {"diagnose"}),
        ("ppl-gen fit table.csv --model PP", {"PPCA"}),
        ("ppl-gen fit --model = Gaussian", {n for n in models.__all__ if n.startswith("Gaussian")}),
        ("ppl-gen fit --method ''", set(METHODS)),
        ("ppl-gen completion ''", {"bash", "zsh", "fish", "here.pplgen"}),
        ("ppl-gen sample --o", {"--out", "--overwrite"}),
        ("ppl-gen sample --seed ''", set()),
        ("ppl-gen ask he", {"here.pplgen"}),
    ],
)
def test_bash_offers(tmp_path, capsys, words, offered):
    (tmp_path / "here.pplgen").write_text("")
    assert main(["completion", "bash"]) == 0
    program = BASH.format(script=capsys.readouterr().out, words=words)
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert set(filter(None, done.stdout.splitlines())) == offered
