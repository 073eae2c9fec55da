"""The textbook's notation: a joint such as ``p(z) p(x | z)`` and a question such as ``p(z | x)``."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ppl_gen.errors import NotationError

_TOKEN = re.compile(r"\s*([^\W\d]\w*|[(),|]|\S)")


class Factor(NamedTuple):
    """One factor ``p(left | right)``."""

    left: tuple[str, ...]
    right: tuple[str, ...]


def _factors(line: str, symbol: str) -> Iterable[Factor]:
    tokens = [(match[1], match.start(1)) for match in _TOKEN.finditer(line)]
    tokens.append(("end", len(line)))
    place = 0

    def expect(*wanted: str) -> str:
        nonlocal place
        token, start = tokens[place]
        is_name = token.isidentifier() and start < len(line)
        if token in wanted or ("a variable" in wanted and is_name):
            place += 1
            return token
        if token == "=":
            raise NotationError(
                f"a question names variables only: {line}\nTheir values are passed by name, for instance "
                f'ask(model, "{symbol}(x | y)", y=1).'
            )
        found = "the line ends" if start >= len(line) else f"{token!r} stands"
        raise NotationError(
            f"cannot read this line: expected {' or '.join(wanted)} where {found}\n"
            f"    {line}\n    {' ' * start}^\n"
            f"Write it as a textbook does: {symbol}(y | x), {symbol}(x, y), {symbol}(x)."
        )

    while tokens[place][1] < len(line) or place == 0:
        expect(symbol)
        expect("(")
        sides: tuple[list[str], list[str]] = ([expect("a variable")], [])
        side = 0
        while (token := expect(",", ")", *(["|"] if side == 0 else []))) != ")":
            side = 1 if token == "|" else side
            sides[side].append(expect("a variable"))
        yield Factor(tuple(sides[0]), tuple(sides[1]))


def read_question(question: str) -> Factor:
    """Read ``"p(y | x)"`` as ``Factor(left=("y",), right=("x",))``; a capital P reads the same.

    >>> read_question("p(x, y)")
    Factor(left=('x', 'y'), right=())
    >>> read_question("p(y | x")
    Traceback (most recent call last):
    ...
    ppl_gen.errors.NotationError: cannot read this line: expected , or ) where the line ends
        p(y | x
               ^
    Write it as a textbook does: p(y | x), p(x, y), p(x).
    """
    if not isinstance(question, str):
        raise NotationError(f'question: expected text such as "p(y | x)", got {type(question).__name__}')
    question = question.strip().replace("P(", "p(", 1) if question.strip().startswith("P(") else question
    factors = list(_factors(question, "p"))
    if len(factors) > 1:
        raise NotationError(f"a question is one factor, such as p(y | x); got {len(factors)}: {question}")
    names = factors[0].left + factors[0].right
    for name in names:
        if names.count(name) > 1:
            raise NotationError(f"{name!r} stands twice in the question {question}")
    return factors[0]


def read_potentials(line: str) -> dict[str, frozenset[str]]:
    """Read the terms that an unnormalised joint multiplies in, ``"energy(x) bond(x, z)"``, by name.

    >>> sorted(read_potentials("energy(x) bond(x, z)")["bond"])
    ['x', 'z']

    Raises:
        NotationError: the line cannot be read, or names a term twice.
    """
    found: dict[str, frozenset[str]] = {}
    name, variable = r"[^\W\d]\w*", r"\s*[^\W\d]\w*\s*"
    rest = line.strip()
    while rest:
        term = re.match(rf"({name})\s*\(({variable}(?:,{variable})*)\)\s*", rest)
        if term is None:
            raise NotationError(
                f"cannot read the potentials at {rest!r}: write them as in energy(x) bond(x, z)"
            )
        if term[1] in found:
            raise NotationError(f"the potential {term[1]!r} stands twice in the line {line}")
        found[term[1]] = frozenset(part.strip() for part in term[2].split(","))
        rest = rest[term.end() :]
    return found


class Factorization(dict[str, frozenset[str]]):
    """A joint line read as variable -> parents, in the order of the line.

    >>> line = Factorization("p(w) p(y | x, w)")
    >>> line["y"] == {"x", "w"}, sorted(line.given)
    (True, ['x'])

    Raises:
        NotationError: the line cannot be read, names a variable twice, or runs in a circle.
    """

    def __init__(self, line: str, symbol: str = "p"):
        self.line = line
        if not line.strip():
            return
        for left, right in _factors(line, symbol):
            for name in left:
                if name in self:
                    raise NotationError(f"{name!r} is generated twice in the line {line}")
                self[name] = frozenset(right)
        for name in self:
            if name in self.ancestors(self[name]):
                raise NotationError(f"{name!r} depends on itself in the line {line}")

    @property
    def given(self) -> frozenset[str]:
        """Variables found only right of a bar: inputs, which the model never generates."""
        return frozenset().union(*self.values()) - self.keys() if self else frozenset()

    def ancestors(self, names: Iterable[str], stop: Iterable[str] = ()) -> frozenset[str]:
        """The names and everything they depend on; the walk does not go above ``stop``."""
        found: set[str] = set()
        frontier, stop = set(names), frozenset(stop)
        while frontier:
            found |= frontier
            frontier = {p for name in frontier - stop for p in self.get(name, ())} - found
        return frozenset(found)

    def relevant(
        self, targets: Iterable[str], clamped: Iterable[str], coupled: Iterable[frozenset[str]] = ()
    ) -> frozenset[str]:
        """The variables whose factors matter to p(targets | clamped).

        Barren variables (nothing downstream is asked about) drop out, and so does whatever is
        d-separated from the targets (Koller and Friedman 2009, chapter 3). The variables of each
        ``coupled`` group depend on one another in a way that the line does not show, as parameters may
        under a posterior.

        >>> line = Factorization("p(pi) p(mu) p(y | pi) p(x | y, mu)")
        >>> sorted(line.relevant("x", "y")), sorted(line.relevant("y", "x"))
        (['mu', 'x'], ['mu', 'pi', 'x', 'y'])
        """
        clamped, coupled = frozenset(clamped), tuple(coupled)
        reached = frozenset(targets)
        alive = self.ancestors(reached | clamped) & self.keys()
        while True:
            factors = frozenset(name for name in alive if ({name} | self[name]) & reached)
            grown = reached | frozenset().union(*({name} | self[name] for name in factors)) - clamped
            grown = grown.union(*(group - clamped for group in coupled if group & grown))
            if grown == reached:
                return factors
            reached = grown

    def components(self) -> tuple[frozenset[str], ...]:
        """Groups of variables that depend on one another; between groups they are independent.

        >>> Factorization("q(pi) q(tau) q(mu | tau)", "q").components()[0]
        frozenset({'pi'})
        """
        groups: list[frozenset[str]] = []
        for name, parents in self.items():
            group = frozenset({name, *parents})
            joined = [g for g in groups if g & group]
            groups = [g for g in groups if not g & group] + [group.union(*joined)]
        return tuple(groups)
