"""Formulas as MathML, which browsers draw themselves: no script, no font, no network."""

import html
import re
import xml.etree.ElementTree as ET

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

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
BRACES = {  # docutils sets the words of a brace beside it, and few fonts have a brace that stretches
    "⏟": ("msub", "munder", "underbrace"),
    "⏞": ("msup", "mover", "overbrace"),
}
ET.register_namespace("", NAMESPACE)


def markup(tex: str, *, block: bool) -> str:
    """A formula of LaTeX as a MathML element."""
    spelled = tex
    for found, instead in SPELLED:
        spelled = re.sub(found, instead, spelled)
    try:
        return braced(tex2mathml(spelled, as_block=block))
    except MathError as error:
        raise SphinxError(f"cannot read this formula: {tex}\n{error}") from error


def braced(formula: str) -> str:
    """The formula with braces drawn as borders, by the style sheet, and their words below or above them."""
    if not any(brace in formula for brace in BRACES):
        return formula
    root = ET.fromstring(re.sub(r"&(?!(?:lt|gt|amp);)\w+;", lambda entity: html.unescape(entity[0]), formula))
    for brace, (beside, placed, name) in BRACES.items():
        for around in root.iter(f"{{{NAMESPACE}}}{beside}"):
            stack, words = around
            if len(stack) == 2 and stack[1].text == brace:
                row = ET.Element(f"{{{NAMESPACE}}}mrow", {"class": name})
                row.append(stack[0])
                around[:] = [row, words]
                around.tag = f"{{{NAMESPACE}}}{placed}"
    return ET.tostring(root, encoding="unicode")


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
