"""Formulas as MathML, which browsers draw themselves: no script, no font, no network."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.writers.html5 import HTML5Translator

# What LaTeX takes and docutils does not: \frac12, \dots, and sizes of brackets, which MathML stretches.
SPELLED = (
    (r"(\\[dt]?frac)\s*(\d)\s*([\da-z])", r"\1{\2}{\3}"),
    (r"\\dots\b", r"\\ldots"),
    (r"\\[bB]igg?(?![a-z])", ""),
)


def markup(tex: str, *, block: bool) -> str:
    """A formula of LaTeX as a MathML element."""
    spelled = tex
    for found, instead in SPELLED:
        spelled = re.sub(found, instead, spelled)
    try:
        return tex2mathml(spelled, as_block=block)
    except MathError as error:
        raise SphinxError(f"cannot read this formula: {tex}\n{error}") from error


def inline(self: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(markup(node.astext(), block=False))
    raise nodes.SkipNode


def displayed(self: HTML5Translator, node: nodes.math_block) -> None:
    """A formula by itself."""
    self.body.append(f'<div class="math">{markup(node.astext(), block=True)}</div>')
    raise nodes.SkipNode


def in_outputs(app: Sphinx, page: nodes.document, name: str) -> None:
    """Typeset the formulas between $$ in what cells show, as a notebook would."""
    for raw in page.findall(nodes.raw):
        if raw.get("format") == "html" and "$$" in raw.astext():
            text = re.sub(r"\$\$(.+?)\$\$", lambda found: markup(found[1], block=True), raw.astext())
            raw.children = [nodes.Text(text)]


def setup(app: Sphinx) -> None:
    """Register the renderer; `html_math_renderer = "mathml"` chooses it."""
    app.connect("doctree-resolved", in_outputs)
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
