"""What two-sample tests found: whether generated rows can be told from real ones, and by which modes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Self

import numpy as np

from ppl_gen import plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

DROPPED = 0.1  # of the real share, below which a mode counts as dropped


@dataclass(frozen=True)
class Mode:
    """One mode: rows of ``rows`` real ones, of ``of`` generated ones, and how far both are alike.

    ``p`` is that of Fisher's exact test of the shares, ``ratio`` the generated sd over the real one, with
    ``spread_p`` by permutation, adjusted for the number of modes. ``what`` is wrong, if anything is.
    """

    name: str
    real: int
    rows: int
    generated: int
    of: int
    p: float
    ratio: float
    spread_p: float
    what: str = ""

    @property
    def shares(self) -> tuple[float, float]:
        """Of the real and of the generated rows."""
        return self.real / self.rows, self.generated / self.of

    def judged(self, count: bool, spread: bool) -> Self:
        """With what is wrong in words."""
        mine, theirs = self.shares
        words = []
        if count:
            words.append(
                "dropped" if theirs < DROPPED * mine else "too rare" if theirs < mine else "too frequent"
            )
        if spread:
            words.append("too narrow" if self.ratio < 1 else "too wide")
        return replace(self, what=" and ".join(words))

    def told(self) -> str:
        """One clause."""
        mine, theirs = self.shares
        wide = "narrow" in self.what or "wide" in self.what
        spread = f", sd {self.ratio:.2g} of the real one" if wide else ""
        shares = f"{theirs:.0%} of the generated rows, {mine:.0%} of the real ones"
        return f"{self.name} is {self.what} ({shares}{spread})"


@dataclass(frozen=True, eq=False, repr=False)
class TwoSample:
    """Generated rows against real ones; made by `two_sample`.

    Attributes:
        tests: name -> statistic, tail probability, and the latter adjusted for all tests (Holm).
        modes: each with what is wrong.
        n, m: real and generated rows. level: of all tests together.
    """

    tests: Mapping[str, tuple[float, float, float]]
    modes: tuple[Mode, ...]
    n: int
    m: int
    level: float

    @classmethod
    def of(
        cls, tests: Mapping[str, tuple[float, float]], modes: Sequence[Mode], n: int, m: int, level: float
    ) -> Self:
        """Adjust what was found, and judge each mode where its family of tests is flagged."""
        adjusted = dict(zip(tests, holm([p for _, p in tests.values()]), strict=True))
        counts = holm([mode.p for mode in modes])
        told = [adjusted.get(f"{what} of modes", 1.0) <= level for what in ("counts", "spreads")]
        judged = tuple(
            mode.judged(told[0] and count <= level, told[1] and mode.spread_p <= level)
            for mode, count in zip(modes, counts, strict=True)
        )
        found = {name: (value, p, adjusted[name]) for name, (value, p) in tests.items()}
        return cls(found, judged, n, m, level)

    @property
    def different(self) -> tuple[str, ...]:
        """The tests that tell generated rows from real ones."""
        return tuple(name for name, (_, _, p) in self.tests.items() if p <= self.level)

    def table(self) -> "DataFrame":
        """One row for each test."""
        from pandas import DataFrame, Index

        columns = ["statistic", "tail probability", "adjusted"]
        return DataFrame(list(self.tests.values()), columns=columns, index=Index(self.tests, name="test"))

    def mode_table(self) -> "DataFrame":
        """One row for each mode."""
        from pandas import DataFrame, Index

        rows = [(*mode.shares, mode.ratio, mode.what) for mode in self.modes]
        columns = ["share of real", "share of generated", "sd, generated over real", "what is wrong"]
        return DataFrame(rows, columns=columns, index=Index([m.name for m in self.modes], name="mode"))

    def verdict(self) -> str:
        """Whether generated rows can be told from real ones, and where they differ, in plain words."""
        accuracy = max((self.tests[name][0], name) for name in list(self.tests)[:2])
        best = f"{accuracy[1]} is right for {accuracy[0]:.0%} of held-out rows, 50% being chance"
        if not self.different:
            return (
                f"Generated rows cannot be told from real ones by {len(self.tests)} tests of {self.n:,} and "
                f"{self.m:,} rows ({best}). That proves no equality: more rows see finer differences."
            )
        by = " and ".join(filter(None, [", ".join(self.different[:-1]), self.different[-1]]))
        wrong = "; ".join(mode.told() for mode in self.modes if mode.what)
        return f"Generated rows differ from real ones, by {by} ({best}).{f' {wrong}.' if wrong else ''}"

    def figure(self, *, dark: bool = False) -> "Figure":
        """Shares and spreads of the modes, as `plot.modes`."""
        with plot.style(dark):
            shares = np.array([mode.shares for mode in self.modes]).T
            rows, of = self.modes[0].rows, self.modes[0].of
            names, ratios = [m.name for m in self.modes], [m.ratio for m in self.modes]
            wrong = [bool(m.what) for m in self.modes]
            return plot.modes(names, shares[0], shares[1], ratios, rows=(rows, of), wrong=wrong)

    def __str__(self) -> str:
        tables = [t.to_string(float_format=lambda v: f"{v:.3g}") for t in (self.table(), self.mode_table())]
        return "\n".join([self.verdict(), *tables])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        drawn = plot.inline(self.figure(), alt=self.verdict())
        form = {"float_format": lambda v: f"{v:.3g}", "border": 0}
        tables = "".join(t.to_html(**form) for t in (self.table(), self.mode_table()))
        return f"<p>{escape(self.verdict())}</p>{drawn}{tables}"


def holm(p: Sequence[float]) -> list[float]:
    """Tail probabilities adjusted for how many they are (Holm 1979).

    >>> holm([0.01, 0.5, 0.03])
    [0.03, 0.5, 0.06]
    """
    order, found, least = sorted(range(len(p)), key=lambda i: p[i]), [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, p[i] * (len(p) - rank)))
        found[i] = least
    return found
