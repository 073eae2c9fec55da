"""The report: the verdict, what it rests on, and how the table was read."""

from typing import Any

import torch

from ppl_gen import plot
from ppl_gen.article import Report, Section, Table
from ppl_gen.comparison.findings import Findings, capital, figure
from ppl_gen.comparison.measures import BASELINE, Estimate
from ppl_gen.comparison.models import introduced, joints
from ppl_gen.comparison.pair import LR, NB
from ppl_gen.comparison.study import Study
from ppl_gen.comparison.verdict import SCORES, Measured, nats, percent, points, shown
from ppl_gen.comparison.why import apart, reasons

# Of each score: the unit of a side, and that of the difference.
UNITS = {
    "error": (percent, points),
    "log loss": (nats, nats),
    "over-confidence": (points, points),
    "calibration error": (nats, nats),
}
BANDS = (
    "Bands: 95 % intervals of the mean over random splits, which share their rows. Who is ahead is told by "
    "paired differences, so that bands may overlap; that of the fewest rows may run off the picture."
)


def report(f: Findings) -> Report:
    """The page, ready to be written."""
    measured, verdict = f.measured, f.verdict
    glance = [
        (percent(measured.value("error", side)), f"of unseen rows misclassified by {side}, learned from "
         f"{measured.held.training:,} rows") for side in (NB, LR)
    ]  # fmt: skip
    for side in (NB, LR):
        over = measured.value("over-confidence", side)
        how = "less sure than" if over < 0 else "more sure than" if over > 0 else "between sure and"
        glance.append((points(abs(over)), f"percentage points {how} right: {side}"))
    quick = ["A quick run: few repeats, so the intervals are wide."] if f.quick else []
    notice = " ".join([*quick, *(f"Warning: {warning}." for warning in f.study.warnings)])
    sections = [introduced(), scores(f), sizes(f), reasons(f), apart(f), table(f), joints(f)]
    return Report(
        title=f"{verdict.headline}: `{f.study.target}` of {f.study.data.name}",
        lead=f"{verdict.evidence}\n{verdict.change}",
        glance=glance,
        sections=sections,
        notice=notice,
    )


def score_table(measured: Measured) -> Table:
    """Both sides' scores and the paired differences."""
    rows = []
    for score, (unit, between) in UNITS.items():
        each, difference = measured.each[score], measured.difference[score]
        ahead = "" if score == "over-confidence" else measured.ahead(score) or "too close to call"
        values = [shown(each[side], unit, measured.value(score, side)) for side in (NB, LR)]
        rows.append((score, ahead, *values, shown(difference, between, measured.value(score))))
    return Table(
        ("score", "ahead", NB, LR, "difference"),
        rows,
        "Means over unseen rows, with 95 % intervals. A side is ahead where the interval of the paired "
        "difference, naive Bayes less logistic regression, leaves zero out. Differences are of the numbers "
        "as shown; those of shares, and the over-confidence, are in percentage points. Log loss: in nats. "
        "Over-confidence: mean probability of the class decided for, less the share that is right; below "
        "zero, a side is less sure than right. Calibration error: how far that probability lies from the "
        "share that is right, row by row in tenths of the rows; chance alone lifts it above zero, and its "
        "interval is of what as many other rows would give on average.",
        numbers=(2, 3, 4),
    )


def baseline_table(measured: Measured) -> Table:
    """The class frequencies alone, and both sides' paired differences from them."""

    def over(score: str, side: str) -> float:
        return measured.value(score, side) - measured.value(score, BASELINE)  # of what is written

    alone = [shown(measured.each[s][BASELINE], UNITS[s][0], measured.value(s, BASELINE)) for s in SCORES]
    rows = [(BASELINE, *alone)]
    for side in (NB, LR):
        apart = [shown(measured.over[s][side], UNITS[s][1], over(s, side)) for s in SCORES]
        rows.append((f"{side} less that", *apart))
    return Table(
        ("", *SCORES),
        rows,
        "What no column is needed for: every row gets the frequencies of the classes among the training "
        "rows. A side is better where its paired difference lies below zero with its 95 % interval.",
        numbers=(1, 2),
    )


def scores(f: Findings) -> Section:
    """At full size."""
    held = f.measured.held
    how = (
        f"By {held.folds}-fold cross-validation: each row was predicted by fits that had not seen it, "
        "learned from "
        f"{held.training:,} rows."
        if held.folds > 1
        else f"{len(held.y):,} rows were held out; both sides learned from the other {held.training:,}."
    )
    with plot.style():
        drawing = plot.calibration({side: held.log_probs[side].exp() for side in (NB, LR)}, held.y).figure
    said = "; ".join(
        f"{side} is {percent(f.measured.confidence(side))} sure of its decisions on average and right in "
        f"{percent(1 - f.measured.value('error', side))}" for side in (NB, LR)
    )  # fmt: skip
    return Section(
        f"Learned from {held.training:,} rows: {_who(f.measured)}",
        [
            f"{how} Both saw the same rows.",
            score_table(f.measured),
            baseline_table(f.measured),
            f"{capital(said)}.",
            figure(drawing, "Reliability: how often a side was right, against the probability that it gave "
                   "to the class it decided for. On the diagonal, probabilities mean what they say; below "
                   "it, a side is too sure, above it not sure enough. A point stands for about a tenth of "
                   "the rows, or for more where ties would leave few. Bars: 95 % intervals."),
        ],
    )  # fmt: skip


def _who(measured: Measured) -> str:
    ahead = {score: measured.ahead(score) for score in SCORES}
    if len(set(ahead.values())) == 1:
        side = ahead["error"]
        return (
            f"{side} is ahead in error and log loss"
            if side
            else "neither error nor log loss can tell them apart"
        )
    said = [
        f"in {score} {side} is ahead" if side else f"{score} cannot tell" for score, side in ahead.items()
    ]
    return ", ".join(said)


def sizes(f: Findings) -> Section:
    """The learning curves."""
    curves = f.curves
    parts: list[Any] = [
        f"{curves.repeats} times, {curves.held_out:,} random rows were held out, and both sides learned from "
        f"{curves.sizes[0]:,} to {curves.sizes[-1]:,} of the others."
    ]
    frame = curves.table()
    for score in SCORES:
        drawing = curves.figure(score)
        parts.append(figure(drawing, f"{curves.verdict(score)} Lower is better. {BANDS}"))
    unit = {"error": percent, "log loss": nats}
    rows = []
    for size in curves.sizes:
        cells = [f"{size:,}"]
        for score in SCORES:
            for side in (NB, LR):
                here = frame[(frame.rows == size) & (frame.score == score) & (frame.model == side)].iloc[0]
                cells.append(shown(Estimate(here["mean"], here["low"], here["high"]).positive, unit[score]))
        rows.append(cells)
    head = ("rows", *(f"{score}, {side}" for score in SCORES for side in (NB, LR)))
    parts.append(
        Table(head, rows, "Means with 95 % intervals.", (0, 1, 2, 3, 4), fold="The curves in numbers")
    )
    first = curves.verdict("error").split(";")[0].rstrip(".")
    return Section(f"Over splits of these rows: {first[:1].lower()}{first[1:]}", parts)


def columns_table(study: Study) -> Table:
    """How the table was read."""
    rows = [(c.name, c.kind, c.holds, percent(c.missing) if c.missing else "0") for c in study.columns]
    return Table(("column", "kind", "levels or range", "missing"), rows, numbers=(3,))


def decisions(study: Study) -> list[str]:
    """What had to be decided about the table, a sentence each."""
    said = [f"{c.name}: {note}." for c in study.columns for note in c.notes]
    said += [f"{name} is left out: it {why}." for name, why in study.left_out]
    return [*(f"{capital(note)}." for note in study.notes), *said]


def table(f: Findings) -> Section:
    """How the table was read."""
    data = f.study.data
    counts = torch.bincount(data.y, minlength=len(data.classes)).tolist()
    classes = ", ".join(f"{name} ({count:,})" for name, count in zip(data.classes, counts, strict=True))
    said = decisions(f.study)
    return Section(
        f"The table: {len(data):,} rows, {len(data.features)} columns, {len(data.classes)} classes",
        [
            f"Classes of `{f.study.target}`, with their rows: {classes}.",
            columns_table(f.study),
            *(["\n".join(said)] if said else []),
            "Kinds are read off the cells; `--types column=kind` overrides them.",
        ],
    )
