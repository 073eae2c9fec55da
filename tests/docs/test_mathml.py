"""Formulas of the site: words of a brace stand below or above it, all else as docutils sets it."""

import re

import pytest

from tests.docs.pages import part

pytest.importorskip("sphinx")


def test_words_of_a_brace_stand_below_or_above_it():
    found = part("mathml").markup(
        r"\underbrace{a + b}_{\text{sum}} + \overbrace{c}^{\text{rest}}", block=True
    )
    assert found.count("<munder>") == found.count("<mover>") == 1
    below, above = found.index('<mrow class="underbrace">'), found.index('<mrow class="overbrace">')
    assert found.index("<munder>") < below < found.index("sum") < found.index("</munder>")
    assert found.index("<mover>") < above < found.index("rest") < found.index("</mover>")
    assert "⏟" not in found
    assert "⏞" not in found


def test_other_formulas_are_left_alone():
    from docutils.utils.math.latex2mathml import tex2mathml

    for tex in (r"x_i^2", r"E_q\!\left[\log p\right] \; \| \; \sum_{i=1}^n x_i", r"a < b"):
        assert part("mathml").markup(tex, block=False) == tex2mathml(tex, as_block=False)


def test_signs_and_entities_come_through_braces():
    found = part("mathml").markup(r"\underbrace{E_q\!\left[\log p(x)\right] < q}_{\text{a}}", block=True)
    assert re.findall(r"&\w+;", found) == ["&lt;"]
