"""Imports go down only, and every public name is listed."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ppl_gen
import ppl_gen.data
import ppl_gen.distributions
import ppl_gen.estimators
import ppl_gen.models

SOURCE = Path(ppl_gen.__file__).parent
# Each part may import parts of a lower level, and itself.
LEVELS = {
    "errors": -4, "ranks": -3, "checks": -2, "frames": -1,
    "notation": 0, "graph": 0, "class_names": 0, "files": 0, "progress": 0, "isolation": 0,
    "missing": 0, "sealed": 0, "arrays": 0, "places": 0,
    "networks": 1, "distributions": 1, "core": 1, "data": 1, "plot": 2,
    "calibration": 1, "pareto": 1, "unscored": 1,
    "inputs": 2, "models": 2, "tables": 2,
    "inference": 3,
    "posterior": 4,
    "world": 5,
    "clusters": 6, "imputation": 6, "engine": 6, "fit": 7, "ask": 7, "storage": 7, "testing": 7,
    "normalisation": 6, "linting": 7, "estimators": 8,
    "evidence": 8, "equivalence": 8, "explanation": 8,
    "article": 8, "laboratory": 8,
    "diagnostics": 9,
    "tour": 10, "comparison": 10,
    "fitting": 11, "__init__": 11,
    "cli": 12,
    "__main__": 13,
}  # fmt: skip
STRANGERS = [("inference", "models"), ("models", "inference"), ("plot", "core"), ("models", "inputs")]
DIAGNOSTICS = ["trees", "criticism", "simulation", "choosing", "trust"]  # each may import those before it
FILES = sorted(SOURCE.rglob("*.py"))


def part(path: Path) -> str:
    """The folder or file right below the package."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The parts of ppl_gen that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "ppl_gen" else [f"ppl_gen.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ppl_gen.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_only(path):
    here = part(path)
    for other in imported(path) & LEVELS.keys():
        assert other == here or LEVELS[other] < LEVELS[here], f"{here} imports {other}, which lies no lower"
        assert (here, other) not in STRANGERS


@pytest.mark.parametrize("folder", DIAGNOSTICS)
def test_diagnostics_import_one_another_in_one_direction(folder):
    text = "".join(path.read_text() for path in (SOURCE / "diagnostics" / folder).glob("*.py"))
    found = set(re.findall(r"ppl_gen\.diagnostics\.(\w+)", text))
    assert found <= set(DIAGNOSTICS[: DIAGNOSTICS.index(folder) + 1])


@pytest.mark.parametrize("path", sorted((SOURCE / "estimators").glob("*.py")), ids=lambda p: p.name)
def test_private_names_of_scikit_learn_are_in_one_file(path):
    private = re.findall(r"from sklearn[\w.]*\b_\w*|from sklearn.* import .*\b_\w+", path.read_text())
    assert (path.name == "private.py") == bool(private), private


def test_every_part_has_a_level():
    assert {part(path) for path in FILES} <= LEVELS.keys()


def test_only_the_bridge_imports_arviz():
    for path in FILES:
        if "arviz" in path.read_text() and path.name != "arviz_bridge.py":
            tree = ast.parse(path.read_text())
            names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
            names += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
            assert not any(name.startswith("arviz") for name in names), path


def test_heavy_libraries_are_lazy():
    program = "import sys, ppl_gen, ppl_gen.models, ppl_gen.data as d; "
    program += "print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["arviz", "arviz_base", "arviz_plots", "matplotlib", "sklearn", "pandas"]
    run = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_exist_and_are_documented():
    for module in (
        ppl_gen,
        ppl_gen.models,
        ppl_gen.data,
        ppl_gen.distributions,
        ppl_gen.inference,
        ppl_gen.estimators,
    ):
        for name in module.__all__:
            assert (getattr(module, name).__doc__ or "").strip(), f"{module.__name__}.{name}"


def test_model_files_are_one_or_two_screens():
    for path in (SOURCE / "models").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 110, path.name


def test_nothing_is_pickled():
    for path in FILES:
        found = re.search(r"(?<!safetensors\.)torch\.(load|save)|import pickle|store\.load", path.read_text())
        assert not found, f"{path.name}: {found}"
