"""Every public name is on a page of the API, once."""

import importlib
import inspect
import pkgutil
import re
from collections import Counter

import pytest

import ppl_gen
from tests.docs.pages import MODEL_PAGES, part

public, model_pages = part("public"), part("model_pages")
PAGES = dict(public.pages())
DIRECTIVE = re.compile(r"^\.\. auto(?:class|function|exception|data):: (\S+)", re.M)


@pytest.mark.parametrize("module", public.modules(), ids=lambda module: module.__name__)
def test_public_names_are_on_a_page(module):
    home = public.index()
    for name in public.exported(module):
        entry = home[f"{module.__name__}.{name}"]
        if entry.home == "ppl_gen.models":
            assert entry.page in {f"models/{page.stem}" for page in MODEL_PAGES}
        else:
            assert entry.name in PAGES[entry.page]
            assert inspect.ismodule(entry.value) or entry.name in DIRECTIVE.findall(PAGES[entry.page])


def test_no_module_with_public_names_is_forgotten():
    below = {module.name for module in pkgutil.iter_modules(ppl_gen.__path__)} - public.INTERNAL
    named = {name for name in below if hasattr(importlib.import_module(f"ppl_gen.{name}"), "__all__")}
    assert named <= {module.__name__.rpartition(".")[2] for module in public.modules()}


def test_nothing_is_documented_twice():
    models = [f"ppl_gen.models.{name}" for name in ppl_gen.models.__all__]
    counts = Counter([*models, *(name for text in PAGES.values() for name in DIRECTIVE.findall(text))])
    assert [name for name, count in counts.items() if count > 1] == []


def test_two_functions_of_one_name_are_told_apart():
    names = {entry.name for entry in public.entries()}
    assert {"ppl_gen.learning_curves", "ppl_gen.plot.learning_curves"} <= names
    assert {"ppl_gen.inference.elbo", "ppl_gen.plot.elbo"} <= names


def test_what_functions_give_is_documented_too():
    assert "ppl_gen.explanation.Explanation" in PAGES["api/ppl_gen"]
