"""The textbook's notation: what reads, what does not and where, and which factors matter."""

import pytest

from ppl_gen.errors import NotationError, PplGenError
from ppl_gen.notation import Factor, Factorization, read_question

NB = "p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)"


@pytest.mark.parametrize(
    ("question", "left", "right"),
    [
        ("p(x)", ("x",), ()),
        ("p(y | x)", ("y",), ("x",)),
        ("  p ( x1,y|z ,w )", ("x1", "y"), ("z", "w")),
        ("p(μ | x_1)", ("μ",), ("x_1",)),
        ("p(p | x)", ("p",), ("x",)),
    ],
)
def test_reads(question, left, right):
    assert read_question(question) == Factor(left, right)


@pytest.mark.parametrize(
    ("question", "column", "words"),
    [
        ("p(y | x", 7, r"expected , or \) where the line ends"),
        ("q(x)", 0, "expected p where 'q' stands"),
        ("p()", 2, r"expected a variable where '\)' stands"),
        ("", 0, "expected p where the line ends"),
        ("p(x,)", 4, r"a variable where '\)'"),
        ("p(x;y)", 3, "where ';' stands"),
        ("p(3)", 2, "where '3' stands"),
        ("p(x | y | z)", 8, r"where '\|' stands"),
        ("p(y|x) extra", 7, "where 'extra' stands"),
        ("p x", 2, r"expected \( where 'x' stands"),
    ],
)
def test_says_where(question, column, words):
    with pytest.raises(NotationError, match=words) as caught:
        read_question(question)
    line, caret = str(caught.value).splitlines()[1:3]
    assert line[4:] == question
    assert caret == " " * (4 + column) + "^"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("p(x) p(y)", "one factor.*got 2"),
        ("p(x | x)", "'x' stands twice"),
        ("p(x, x)", "'x' stands twice"),
        (None, "expected text.*NoneType"),
        (b"p(x)", "expected text.*bytes"),
    ],
)
def test_one_question_at_a_time(question, words):
    with pytest.raises(NotationError, match=words) as caught:
        read_question(question)
    assert isinstance(caught.value, PplGenError | ValueError)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("p(x) p(x)", "'x' is generated twice"),
        ("p(x | y) p(y | x)", "depends on itself"),
        ("p(x | x)", "'x' depends on itself"),
        ("p(x) q(y)", "expected p where 'q' stands"),
    ],
)
def test_lines_that_are_no_joint(line, words):
    with pytest.raises(NotationError, match=words):
        Factorization(line)


def test_given_and_ancestors():
    line = Factorization("p(w) p(z | u) p(y | x, w, z)")
    assert line.given == {"u", "x"}
    assert line.ancestors({"y"}) == {"y", "x", "w", "z", "u"}
    assert line.ancestors({"y"}, stop={"z"}) == {"y", "x", "w", "z"}
    assert Factorization("").given == frozenset()


@pytest.mark.parametrize(
    ("targets", "clamped", "factors"),
    [
        ({"y"}, {"x"}, {"pi", "tau", "mu", "y", "x"}),
        ({"x"}, {"y"}, {"tau", "mu", "x"}),
        ({"y"}, set(), {"pi", "y"}),
        ({"mu"}, set(), {"mu", "tau"}),
        ({"pi"}, {"y"}, {"pi", "y"}),
        ({"pi"}, {"x", "y"}, {"pi", "y"}),
        ({"mu"}, {"y"}, {"mu", "tau"}),
    ],
)
def test_the_factors_that_matter(targets, clamped, factors):
    assert Factorization(NB).relevant(targets, clamped) == factors


def test_coupled_parameters_stay_together():
    line = Factorization("p(y | pi) p(x | y, mu)")
    apart, together = [frozenset({"pi"}), frozenset({"mu"})], [frozenset({"pi", "mu"})]
    assert line.relevant({"x"}, {"y"}, apart) == {"x"}
    assert line.relevant({"x"}, {"y"}, together) == {"x", "y"}


def test_components():
    groups = Factorization("q(pi) q(tau) q(mu | tau)", "q").components()
    assert set(groups) == {frozenset({"pi"}), frozenset({"tau", "mu"})}


def test_a_capital_p_is_read_as_well():
    assert read_question(" P(y | x)") == read_question("p(y | x)")
