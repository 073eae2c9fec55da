"""The pages of models: prose by hand, and what the code knows put in between.

`completed` takes the page that a person wrote and adds the joint, its picture, the guide, symbols and shapes
of the variables, the questions that it answers, and the docstring. It is text to text, and needs no Sphinx.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import torch

from ppl_gen import Factorization, ProbabilisticModel, ask, graph, models
from ppl_gen.core import dtype_of, sites
from ppl_gen.distributions import Categorical
from ppl_gen.errors import NotGenerated, Unanswerable
from tests.readme import example as small
from tests.readme import questions

SECTIONS = ["Generative process", "Variables", "When to use it", "Limits", "Example"]  # of a page by hand
# Small sizes, no two alike, so that a shape tells what each of its numbers counts.
SIZES: Mapping[str, Any] = {
    "classes": 3, "components": 3, "features": 5, "latent": 2, "bins": 4, "levels": [2, 3, 4, 2, 6],
    "columns": ["gaussian"] * 2 + ["bernoulli"] * 4 + ["poisson"] * 5 + [Categorical(7)],
}  # fmt: skip
COLUMNS = {2: "Gaussian columns", 4: "Bernoulli columns", 5: "Poisson columns", 7: "sum of levels"}
WORDS = {
    "p(x)": "how likely is a row? And new rows: `.sample(n)`",
    "p(y)": "how likely is each {y}?",
    "p(z)": "how likely is each {z}, before a row is seen?",
    "p(x, y)": "rows together with their {y}",
    "p(x, z)": "rows together with their {z}",
    "p(y, z)": "{y} and {z} of a row, before it is seen",
    "p(y | x)": "which {y} has this row?",
    "p(z | x)": "which {z} has this row?",
    "p(x | y)": "what do rows of this {y} look like?",
    "p(x | z)": "what does this {z} generate?",
    "p(y | z)": "which {y} goes with this {z}?",
    "p(z | y)": "which {z} goes with this {y}?",
    "p(x | noisy)": "what row lies behind this one?",
    "p(mu)": "what is known of the means",
    "p(w)": "what is known of the weights",
}
CAPTION = (
    "Arrows run from what is drawn first to what depends on it. Circles are random variables, shaded ones "
    "are usually observed; squares are given and not generated. A frame repeats what is in it, `data` for "
    "every row."
)


def example(cls: type[ProbabilisticModel]) -> ProbabilisticModel:
    """A small instance of a model, of the sizes above."""
    wanted = inspect.signature(cls).parameters
    return cls(**{name: size for name, size in SIZES.items() if name in wanted})


def shapes(model: ProbabilisticModel) -> dict[str, str]:
    """Every variable of a joint, generated or given, with its shape in words, from one run of the program."""
    line = Factorization(model.joint)
    given = {name: model.given_shape(name) or () for name in sorted(line.given)}
    inputs = {name: torch.zeros(9, *shape, dtype=dtype_of(model)) for name, shape in given.items()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        found = sites(model.model, {"n": 9, **inputs})
    each = {name: (("n",) if s.local else (), s.event_shape) for name, s in found.items()}
    each |= {name: (("n",), torch.Size(shape)) for name, shape in given.items()}
    return {
        name: ", ".join((*rows, *(_counted(model, size) for size in shape)))
        for name, (rows, shape) in each.items()
    }


def _counted(model: ProbabilisticModel, size: int) -> str:
    """What a number in a shape counts; itself, if it is always the same."""
    mixed = hasattr(model, "columns")
    named = dict(COLUMNS) if mixed else {}
    for name in ("features", "latent", "bins", "classes", "components"):  # a mixture's classes are components
        if isinstance(number := getattr(model, name, None), int):
            named[number] = "columns" if mixed and name == "features" else name
    named[1 + model.features] = "1 + features"
    if hasattr(model, "levels"):
        named[sum(model.levels)] = "sum of levels"
    return named.get(size, str(size))


def described(page: str) -> dict[str, str]:
    """The variables of a page's table and what is said of them, in the page's order."""
    table = page.partition("## Variables")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.M))


def completed(page: str, name: str) -> str:
    """The page of a model with all that the code knows of it, as MyST Markdown."""
    model = example(getattr(models, name))
    head, process = page.split("## Generative process", 1)
    page = f"{head}{_joint(model)}\n## Generative process{process}"
    page = re.sub(r"(## Variables\n\n)(?:\|.*\n)+", lambda m: m[1] + _variables(page, model), page)
    page = page.replace("## When to use it", f"{_questions(model)}\n## When to use it", 1)
    code = [
        "",
        "## In code",
        "",
        "```{eval-rst}",
        f".. autoclass:: ppl_gen.models.{name}",
        "   :members:",
        "```",
        "",
    ]
    return page.rstrip() + "\n" + "\n".join(code)


def overview() -> str:
    """All models with their joints, as a section of the page that lists them."""
    lines = ["", "## At a glance", "", "| model | joint |", "|---|---|"]
    for name in sorted(models.__all__):
        line = graph.latex(example(getattr(models, name)).joint)
        lines.append(f"| {{class}}`~ppl_gen.models.{name}` | ${line}$ |")
    return "\n".join([*lines, ""])


def _joint(model: ProbabilisticModel) -> str:
    observed = [name for name in ("x", "y") if name in Factorization(model.joint)]
    lines = ["## The joint", "", f"$$ {graph.latex(model.joint)} $$", ""]
    lines += ["```{raw} html", f'<div class="graph">{model.drawn(observed)}</div>', "```", "", CAPTION, ""]
    if model.approximation:
        formula = graph.latex(model.approximation.replace("q(", "p(")).replace("p(", "q(")
        lines += [
            "The guide, which approximates the posterior where it is not exact:",
            "",
            f"$$ {formula} $$",
            "",
        ]
    elif hasattr(model, "cross_validated"):
        lines += ["It needs no guide: nothing is approximated.", ""]
    elif len(Factorization(model.joint)) > 1:
        lines += ["It has no guide of its own; {class}`~ppl_gen.SVI` makes an automatic one.", ""]
    else:
        lines += ["Nothing is hidden, so that there is nothing for a guide to approximate.", ""]
    return "\n".join(lines)


def _variables(page: str, model: ProbabilisticModel) -> str:
    known, said = shapes(model), described(page)
    line = Factorization(model.joint)
    expected = {*line, *line.given}
    if set(said) != expected:
        raise ValueError(
            f"Variables of {type(model).__name__}: expected {', '.join(sorted(expected))}; "
            f"got {', '.join(sorted(said))}"
        )
    lines = ["| variable | description | shape | in the code |", "|---|---|---|---|"]
    for name, text in said.items():
        symbol = graph.latex(f"p({name})")[2:-1]
        lines.append(
            f"| ${symbol}$ | {text} | {f'({known[name]})' if known[name] else 'one number'} | `{name}` |"
        )
    return "\n".join(lines) + "\n"


def _questions(model: ProbabilisticModel) -> str:
    nouns = {"y": "class", "z": "component" if hasattr(model, "components") else "code"}
    if type(model).__name__.endswith("Regression") and not hasattr(model, "classes"):
        nouns["y"] = "target"
    lines = [
        "## Questions it answers",
        "",
        "| question | in words | how, asked of the model itself |",
        "|---|---|---|",
    ]
    model = small(type(model))
    for question in questions(model):
        shown = question.replace("|", r"\|")
        lines.append(f"| `{shown}` | {WORDS[question].format(**nouns)} | {_how(model, question)} |")
    return "\n".join([*lines, "", *_refused(model)])


def _how(model: ProbabilisticModel, question: str) -> str:
    given = question.partition(" | ")[2].rstrip(")")
    width = {"x": (model.features,), "noisy": (model.features,)}
    width["z"] = (model.latent,) if hasattr(model, "latent") else ()
    value = {given: torch.zeros(1, *width.get(given, ()))} if given else {}
    return ask(model, question, **value).how


def _refused(model: ProbabilisticModel) -> list[str]:
    """The first refusal of a model that is given what others generate, in its own words."""
    for question in ("p(x)", "p(y)"):
        try:
            ask(model, question)
        except NotGenerated as error:
            return [f"Asked for `{question}` it refuses:", "", "```text", f"NotGenerated: {error}", "```", ""]
        except Unanswerable:
            continue
    return []
