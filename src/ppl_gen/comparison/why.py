"""The sections on why the two sides differ, and on which rows."""

from typing import Any

from ppl_gen import plot
from ppl_gen.article import Section, Table
from ppl_gen.comparison.cells import in_words
from ppl_gen.comparison.findings import Findings, figure
from ppl_gen.comparison.pair import LR, NB
from ppl_gen.comparison.verdict import nats, percent, signed, span

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
        "The strongest correlations within a class, without their sign. Where a column is a category, its "
        "levels are given the numbers that make the correlation largest. 0 is what naive Bayes assumes; rows "
        "are those that have both cells.",
        numbers=(2, 3),
    )
    parts: list[Any] = [
        "Naive Bayes adds up what every column `x_j` says by itself: log `p(x_j | y)` less log `p(x_j)`, how "
        "much more probable its cell is in the true class than over all, here averaged over unseen rows. A "
        "column near zero does not help; one below zero misleads.",
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
            "class are counted more than once, which makes it too sure; logistic regression weighs them "
            "together.",
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
        f"is right {d.first:,} times, logistic regression {d.second:,} times, neither {neither:,} times."
    ]
    if rows:
        parts.append(Table(
            ("row", "true class", NB, LR), rows,
            "Where both are surest of different classes: the row of the file below the names, and each "
            "side's "
            "decision with its probability.", numbers=(0,),
        ))  # fmt: skip
    for gap in f.rests_on_gaps:
        number, lacks = f.study.numbers[int(held.rows[gap.place])], ", ".join(gap.columns)
        parts.append(
            f"Beware of row {number:,}: there logistic regression decides by its indicators of what is "
            f"missing ({lacks}), learned from the few rows with such gaps. If they showed none, it would "
            f"decide for {data.classes[gap.otherwise]}."
        )
    if f.example is not None:
        place, why = f.example.place, f.example.why
        shown = f.study.shown.iloc[int(held.rows[place])]
        known = {name: _cell(shown[name]) if name in shown else "" for name in why.features}
        odds = zip(why.features, why.log_odds.tolist(), strict=True)
        parts.append(Table(
            ("column", "value", "log odds"),
            [*((name, known[name], signed(v)) for name, v in odds),
             ("total", "", signed(why.total))],
            f"Why naive Bayes takes row {f.study.numbers[int(held.rows[place])]:,} for {why.chosen} and not "
            f"for {why.rival}, which logistic regression takes it for: log odds of each column, in nats. "
            f"Above zero they speak for {why.chosen}; a missing cell says nothing. (prior): the classes' "
            "shares.",
            numbers=(1, 2),
        ))  # fmt: skip
    return Section(f"They decide {share} of the rows differently", parts)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "missing"
    return in_words(value) if isinstance(value, float) else str(value)
