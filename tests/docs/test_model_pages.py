"""Every model has a page; its variables are the program's, its examples run."""

import doctest
import math
import re

import pytest

from ppl_gen import Factorization, models
from tests.docs.pages import MODEL_PAGES, blocks, part

model_pages, public = part("model_pages"), part("public")
NAMES = {public.slug(name): name for name in models.__all__}
BY_HAND = pytest.mark.parametrize("page", MODEL_PAGES, ids=lambda page: page.stem)


def test_every_model_has_a_page_and_every_page_a_model():
    assert {page.stem for page in MODEL_PAGES} == NAMES.keys()


@BY_HAND
def test_sections_stand_in_one_order(page):
    assert re.findall(r"^## (.*)$", page.read_text(), re.M) == model_pages.SECTIONS


@BY_HAND
def test_variables_are_those_of_the_program(page):
    model = model_pages.example(getattr(models, NAMES[page.stem]))
    line = Factorization(model.joint)
    assert set(model_pages.described(page.read_text())) == {*line, *line.given}
    assert set(model_pages.shapes(model)) == {*line, *line.given}


@BY_HAND
def test_the_code_adds_joint_picture_shapes_and_answers(page):
    text = model_pages.completed(page.read_text(), NAMES[page.stem])
    sections = re.findall(r"^## (.*)$", text, re.M)
    assert sections[0] == "The joint"
    assert sections[3] == "Questions it answers"
    assert sections[-1] == "In code"
    assert "<svg" in text
    assert f"autoclass:: ppl_gen.models.{NAMES[page.stem]}" in text
    variables = text.partition("## Variables")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| \$.*\$ \| .* \| (?:\(.*\)|one number) \| `\w+` \|$", variables, re.M)) == len(
        model_pages.described(page.read_text())
    )


@BY_HAND
def test_examples_show_what_the_code_does(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    (code,) = blocks(page)
    runner.run(doctest.DocTestParser().get_doctest(code, {}, page.stem, str(page), 0))
    assert runner.failures == 0
    assert runner.tries >= 3


@pytest.mark.parametrize(
    ("name", "variable", "shape"),
    [
        ("GaussianNaiveBayes", "mu", "classes, features"),
        ("GaussianMixture", "z", "n"),
        ("LogisticRegression", "w", "1 + features, classes"),
        ("LinearDiscriminantAnalysis", "sigma", "features, features"),
        ("CategoricalNaiveBayes", "theta", "classes, sum of levels"),
        ("MixedNaiveBayes", "lam", "classes, Poisson columns"),
        ("DiscretisedRegression", "mu", "bins, features"),
        ("GaussianRegression", "w", "features, 2"),
        ("LinearRegression", "tau", ""),
        ("VAE", "z", "n, latent"),
        ("ConditionalVAE", "y", "n"),
    ],
)
def test_shapes_in_words(name, variable, shape):
    assert model_pages.shapes(model_pages.example(getattr(models, name)))[variable] == shape


def test_sizes_of_one_example_differ():
    """No two alike in one model, or a shape would not tell what it counts."""
    for name in models.__all__:
        model = model_pages.example(getattr(models, name))
        own = {n: getattr(model, n) for n in ("classes", "features", "latent", "bins") if hasattr(model, n)}
        own |= {"levels": sum(model.levels)} if hasattr(model, "levels") else {}
        assert len(set(own.values())) == len(own), name
    assert math.prod(model_pages.COLUMNS) > 0
    assert 3 not in model_pages.COLUMNS  # the classes


def test_a_wrong_table_is_refused():
    page = next(path for path in MODEL_PAGES if path.stem == "gaussian_naive_bayes").read_text()
    with pytest.raises(ValueError, match="expected mu, pi, tau, x, y"):
        model_pages.completed(page.replace("| `tau` |", "| `sigma` |"), "GaussianNaiveBayes")
