"""Scripts written for scikit-learn print the same with the import replaced."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import ppl_gen.estimators
from tests.thinned import thinned

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
TWINS = re.compile(r"^from sklearn\.\w+ import (?=[\w, ]*$)", re.MULTILINE)
RENAMED = {"BayesianRidge": "BayesianLinearRegression", "PCA": "PPCA"}  # whose joint has another name


def replaced(source: str) -> str:
    """The script with imports of our estimators, and with no other change."""
    names = set(ppl_gen.estimators.__all__)
    lines = source.splitlines()
    for i, line in enumerate(lines):
        for name, own in RENAMED.items():
            if TWINS.match(line) and line.endswith(f" import {name}"):
                lines[i] = f"from ppl_gen.estimators import {own} as {name}"
        if TWINS.match(line) and names.issuperset(re.split(r"[, ]+", line.split(" import ")[1])):
            lines[i] = TWINS.sub("from ppl_gen.estimators import ", line)
    return "\n".join(lines)


def printed(source: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, "script", "exec"), {"__name__": "__main__"})
    return out.getvalue()


@pytest.mark.parametrize("path", thinned(SCRIPTS, 2), ids=lambda path: path.stem)
def test_the_import_is_the_only_change(path):
    source = path.read_text()
    ours = replaced(source)
    assert ours != source.rstrip("\n"), "nothing was replaced"
    assert printed(ours) == printed(source)
