"""The table of models in README.md, generated from the classes: ``python -m tests.readme`` writes it."""

import inspect
import itertools
import re
from pathlib import Path

import torch

from ppl_gen import Factorization, ProbabilisticModel, ask, models
from ppl_gen.errors import Unanswerable

README = Path(__file__).parent.parent / "README.md"
SIZES = {
    "classes": 2, "components": 2, "features": 2, "latent": 2,
    "levels": 2, "bins": 3, "columns": ["gaussian", "bernoulli"],
}  # fmt: skip
VARIANTS = {"GaussianMixture": {"weights": "dirichlet process"}}  # options that change the joint
PATTERN = re.compile(r"(<!-- models: .*? -->\n).*?(<!-- end of models -->)", re.DOTALL)


def example(cls: type[ProbabilisticModel], **options: str) -> ProbabilisticModel:
    """A small instance of a model."""
    named = inspect.signature(cls).parameters
    return cls(**{name: size for name, size in SIZES.items() if name in named}, **options)


def questions(model: ProbabilisticModel) -> list[str]:
    """What the model answers, of all questions about one or two variables of a row, found by asking."""
    line = Factorization(model.joint)
    rows = [v for v in (*"xyz", "noisy") if v in line or v in line.given]
    asked = [(a, "") for a in rows] + [(f"{a}, {b}", "") for a, b in itertools.combinations(rows, 2)]
    asked += [(a, b) for b, a in itertools.permutations(rows, 2)] + [("w", ""), ("mu", "")]
    code_of_row = torch.zeros(1, 2) if hasattr(model, "latent") else [0]
    values = {"x": torch.zeros(1, 2), "y": [0], "z": code_of_row, "noisy": torch.zeros(1, 2)}
    answered = []
    for left, right in asked:
        if not set(left.split(", ")) <= set(rows) | set(line):
            continue
        question = f"p({left} | {right})" if right else f"p({left})"
        try:
            ask(model, question, **({right: values[right]} if right else {}))
        except Unanswerable:
            continue
        answered.append(question)
    return answered


def code(text: str) -> str:
    """Text as code in a cell of a Markdown table."""
    return f"`{text}`".replace("|", "\\|")


def table() -> str:
    """The table in Markdown."""
    lines = ["| model | joint | guide | answers |", "|---|---|---|---|"]
    rows = [
        (name, options)
        for name in sorted(models.__all__)
        for options in ({}, VARIANTS.get(name))
        if options is not None
    ]
    for name, options in rows:
        model = example(getattr(models, name), **options)
        name += "".join(f'({option}="{value}")' for option, value in options.items())
        answers = ", ".join(code(question) for question in questions(model))
        hidden = "automatic" if len(Factorization(model.joint)) > 1 else "nothing is hidden"
        hidden = "none" if hasattr(model, "cross_validated") else hidden
        guide = code(model.approximation) if model.approximation else hidden
        lines.append(f"| {code(name)} | {code(model.joint)} | {guide} | {answers} |")
    return "\n".join(lines)


def updated(text: str) -> str:
    """README's text with the table of today."""
    return PATTERN.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", text)


if __name__ == "__main__":
    README.write_text(updated(README.read_text()))
