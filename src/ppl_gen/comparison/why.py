"""The sections on why the two sides differ, and on which rows."""

from typing import Any

from ppl_gen import plot
from ppl_gen.comparison.cells import in_words
from ppl_gen.comparison.findings import Findings, figure
from ppl_gen.comparison.pair import LR, NB
from ppl_gen.comparison.verdict import nats, percent, span
from ppl_gen.report import Section, Table

SHOWN = 10  # columns in a figure, and pairs in a table


def reasons(f: Findings) -> Section:
    """What naive Bayes goes by, and what it counts twice."""
    best = f.evidence[:SHOWN]
    with plot.style():
        drawing = plot.log_odds(
            [_short(name) for name, _ in best],
            [e.value for _, e in best],
            label="evidence for the true class (nats a row)",
        ).figure
    strongest = f.correlations[:SHOWN]
    pairs = Table(
        ("column", "and", "correlation", "rows"),
        [(a, b, f"{r:.2f}", f"{n:,}") for a, b, r, n in strongest],
        "The strongest correlations within a class (first canonical correlation: |r| of two numbers; "
        "levels of "
        "categories as indicators). 0 is what naive Bayes assumes.",
        numbers=(2, 3),
    )
    parts: list[Any] = [
        "Naive Bayes adds up what every column says by itself: log p(x_j | y) less log p(x_j), averaged "
        "over unseen "
        "rows for their true class. A column near zero does not help; one below zero misleads.",
        figure(drawing, "What each column tells naive Bayes of the true class, on average over unseen rows."),
        Table(
            ("column", "nats a row", "95 % interval"),
            [(name, nats(e.value), span(e, nats)) for name, e in f.evidence],
            numbers=(1, 2), fold="Every column in numbers",
        ),
    ]  # fmt: skip
    if strongest:
        a, b, r, _ = strongest[0]
        parts += [
            "What it adds up it takes to be independent given the class. Columns that go together within a "
            "class are "
            "counted more than once, which makes it too sure; logistic regression weighs them together.",
            pairs,
        ]
        claim = f"{f.evidence[0][0]} tells most; {a} and {b} overlap most (correlation {r:.2f} in a class)"
    else:
        claim = f"{f.evidence[0][0]} tells most"
    return Section(claim, parts)


def apart(f: Findings) -> Section:
    """Where the two decide differently."""
    d, held, data = f.disagreement, f.measured.held, f.study.data
    share = percent(d.differ / d.rows)
    rows = []
    for place in d.strongest:
        row = int(held.rows[place])
        said = [
            f"{data.classes[int(held.log_probs[s][place].argmax())]} "
            f"({percent(float(held.confidence(s)[place]))})"
            for s in (NB, LR)
        ]
        rows.append((f"{f.study.numbers[row]:,}", data.classes[int(held.y[place])], *said))
    neither = d.differ - d.first - d.second
    parts: list[Any] = [
        f"Of {d.rows:,} unseen rows the two decide {d.differ:,} differently ({share}). There, naive Bayes "
        "is right "
        f"{d.first:,} times, logistic regression {d.second:,} times, neither {neither:,} times."
    ]
    if rows:
        parts.append(Table(
            ("row", "true class", NB, LR), rows,
            "Where both are surest of different classes: the row of the file below the names, and each "
            "side's "
            "decision with its probability.", numbers=(0,),
        ))  # fmt: skip
    if f.example is not None:
        place = d.strongest[0]
        shown = f.study.shown.iloc[int(held.rows[place])]
        known = {name: _cell(shown[name]) if name in shown else "" for name in f.example.features}
        odds = zip(f.example.features, f.example.log_odds.tolist(), strict=True)
        parts.append(Table(
            ("column", "value", "log odds"),
            [*((name, known[name], f"{v:+.2f}".replace("-", "−")) for name, v in odds),
             ("total", "", f"{f.example.total:+.2f}".replace("-", "−"))],
            f"Why naive Bayes takes row {f.study.numbers[int(held.rows[place])]:,} for {f.example.chosen} "
            "rather than "
            f"{f.example.rival}: log odds of each column, in nats.", numbers=(1, 2),
        ))  # fmt: skip
    return Section(f"They decide {share} of the rows differently", parts)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "missing"
    return in_words(value) if isinstance(value, float) else str(value)
