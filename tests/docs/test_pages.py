"""The pages by hand: their code runs, and their links, names and terms lead somewhere."""

import contextlib
import io
import re

import pytest

from tests.docs.pages import DOCS, NOTEBOOKS, WRITTEN, blocks, part

PAGE = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(DOCS)))
TEXTS = {page: page.read_text() for page in WRITTEN}


def documents():
    """The names of all documents, by hand or made."""
    made = {name for name, _ in part("public").pages()}
    return {str(page.relative_to(DOCS).with_suffix("")) for page in WRITTEN} | made


def terms():
    """The words that the glossary explains."""
    inside = (DOCS / "glossary.md").read_text().partition(":::{glossary}")[2]
    return set(re.findall(r"^(\S.*)$", inside.replace("\n:::", ""), re.M))


@PAGE
def test_links_to_pages_resolve(page):
    known, here = documents(), page.relative_to(DOCS).parent
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", TEXTS[page]):
        name = target.removeprefix("/") if target.startswith("/") else str(here / target)
        assert name in known, f"{page.name} links to {target}"
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXTS[page]):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@PAGE
def test_terms_are_in_the_glossary(page):
    asked = re.findall(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`", TEXTS[page])
    assert {term.lower() for term in asked} <= {term.lower() for term in terms()}


@PAGE
def test_names_of_the_library_exist(page):
    index = part("public").index()
    for name in re.findall(r"\{(?:func|class|mod|data)\}`~?([\w.]+)`", TEXTS[page]):
        assert name in index, f"{page.name} names {name}"
        assert index[name].name == name, f"{page.name}: {name} is documented as {index[name].name}"


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page, text in TEXTS.items():
        for body in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.M | re.S):
            here = page.relative_to(DOCS).parent
            entries = [line for line in body.split("\n") if line and not line.startswith(":")]
            for entry in entries:
                found = list((DOCS / here).glob(f"{entry}.md"))
                listed |= {str(path.relative_to(DOCS).with_suffix("")) for path in found}
    assert {str(page.relative_to(DOCS).with_suffix("")) for page in WRITTEN} - listed == {"index"}


def test_the_glossary_is_in_order():
    words = re.findall(r"^(\S.*)$", (DOCS / "glossary.md").read_text().partition(":::{glossary}")[2], re.M)
    words = [word.casefold() for word in words if word != ":::"]
    assert words == sorted(words)


def test_the_first_page_runs():
    (code,) = blocks(DOCS / "index.md")
    exec(code, {})


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
@pytest.mark.slow
def test_cells_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for code in blocks(page, "{code-cell} python"):
            exec(code, names)
    assert printed.getvalue()


def test_there_are_executed_pages():
    assert {page.stem for page in NOTEBOOKS} == {"getting_started", "gotchas", "command_line", "estimators"}
    assert all(len(blocks(page, "{code-cell} python")) > 2 for page in NOTEBOOKS)
