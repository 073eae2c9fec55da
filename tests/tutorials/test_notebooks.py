"""The lessons: sources run, and the notebooks beside them are what they say."""

import json
import re
from pathlib import Path

import pytest

from tutorials.__main__ import build
from tutorials.percent import FOLDER, as_notebook, cells, notebook, sources
from tutorials.smoke import short_fits, smoke

SOURCES = sources()
MACHINE = re.compile(r"/(?:home|root|work|tmp|Users|usr)/|site-packages|\b[A-Z]:\\\\")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_source_runs(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    smoke(source)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_notebook_is_its_sources(source):
    found = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    written = source.read_text(encoding="utf-8")
    expected = notebook([as_notebook(cell) for cell in cells(written) if cell.shown], written)
    for cell in found["cells"]:
        if cell["cell_type"] == "code":
            assert cell["execution_count"], "run `make notebooks`"
            assert all(output["output_type"] != "error" for output in cell["outputs"])
            cell["execution_count"], cell["outputs"] = None, []
    assert found == expected, "run `make notebooks`"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_tells_nothing_of_a_machine(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text) < 600_000
    assert text.count('"image/png"') >= 3
    without = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not MACHINE.search(without), MACHINE.search(without)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_lesson_has_its_parts(source):
    found = cells(source.read_text(encoding="utf-8"))
    text = "\n".join(cell.source for cell in found if cell.kind == "markdown")
    assert text.startswith(f"# {int(source.name[:2])} · ")
    for part in ("**You will learn**", "**You need**", "**It takes**", "## What goes wrong", "## Exercises",
                 "## Further reading"):  # fmt: skip
        assert part in text, part
    assert 3 <= text.count("<details><summary>Solution</summary>") <= 5
    assert text.count("<details>") == text.count("</details>")
    assert [cell.kind for cell in found[:2]] == ["markdown", "install"]
    assert sum(cell.kind == "check" for cell in found) >= 5
    assert len({cell.id for cell in found}) == len(found)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_line_of_a_formula_looks_like_a_list(source):
    """A line that begins with a sign and a space ends the formula, and what was left of it shows raw."""
    found = cells(source.read_text(encoding="utf-8"))
    text = "\n\n".join(cell.source for cell in found if cell.kind == "markdown")
    formulas = re.findall(r"\$\$.*?\$\$", text, re.DOTALL)
    like_a_list = re.compile(r"^\s*([-+*>#]|\d+[.)])\s", re.MULTILINE)
    assert not [formula for formula in formulas if like_a_list.search(formula)]
    assert text.count("$$") == 2 * len(formulas)


def test_every_notebook_has_a_source():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {path.stem for path in SOURCES}


def test_a_cell_that_moves_keeps_its_id():
    source = "# %%\na = 1\n\n# %% [markdown]\n# Two.\n\n# %%\na = 1\n"
    moved = "# %% [markdown]\n# Two.\n\n# %%\na = 1\n"
    assert cells(source)[1].id == cells(moved)[0].id
    assert len({cell.id for cell in cells(source)}) == 3  # and twins differ
    with pytest.raises(ValueError, match="open with a cell"):
        cells("a = 1\n")


def test_a_check_that_changed_since_the_build_shows():
    built, edited = ("# %%\na = 1\n\n# %% [check]\nassert a == " + number for number in "12")
    made = [
        notebook([as_notebook(cell) for cell in cells(source) if cell.shown], source)
        for source in (built, edited)
    ]
    assert made[0]["cells"] == made[1]["cells"]
    assert made[0] != made[1]


def test_a_build_writes_what_the_test_expects(tmp_path):
    pytest.importorskip("IPython")
    source = tmp_path / "01_a.py"
    written = "# %%\na = 1\na\n\n# %% [check]\nassert a == 1\n"
    source.write_text(written)
    found = json.loads(build(source).read_text(encoding="utf-8"))
    (cell,) = found["cells"]
    assert cell["outputs"][0]["data"] == {"text/plain": "1"}
    cell["execution_count"], cell["outputs"] = None, []
    assert found == notebook([as_notebook(cells(written)[0])], written)
    source.write_text(written.replace("a == 1", "a == 2"))
    before = source.with_suffix(".ipynb").read_bytes()
    with pytest.raises(RuntimeError, match="AssertionError"):
        build(source)
    assert source.with_suffix(".ipynb").read_bytes() == before  # never stamped without running


def test_fits_are_short_only_inside():
    from ppl_gen import NUTS, SVI, fit, guide_quality
    from ppl_gen.models import LinearRegression

    with short_fits():
        assert (SVI(steps=1000).steps, SVI().steps, SVI(steps=3).steps) == (20, 20, 3)
        assert NUTS().draws == 20
        posterior = fit(LinearRegression(features=1), x=[[0.0], [1.0]], y=[1.0, 2.0])
        assert guide_quality(posterior, draws=500).draws == 100
    assert SVI(steps=1000).steps == 1000
    assert guide_quality(posterior, draws=101).draws == 101


def test_the_wheel_is_told_of_the_notebooks():
    text = (Path(FOLDER).parent / "pyproject.toml").read_text()
    assert '"tutorials/*.ipynb"' in text
    assert '"tutorials" = "ppl_gen/tutorials"' in text
