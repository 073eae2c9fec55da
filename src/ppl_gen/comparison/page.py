"""The report: the verdict, what it rests on, and how the table was read."""

from typing import Any

import torch

from ppl_gen import plot
from ppl_gen.comparison.findings import Findings, capital, figure
from ppl_gen.comparison.measures import Estimate
from ppl_gen.comparison.pair import LR, NB
from ppl_gen.comparison.study import Study
from ppl_gen.comparison.verdict import SCORES, Measured, nats, percent, shown
from ppl_gen.comparison.why import apart, reasons
from ppl_gen.report import Card, Report, Section, Table

UNITS = {"error": percent, "log loss": nats, "over-confidence": percent, "calibration error": nats}


def report(f: Findings) -> Report:
    """The page, ready to be written."""
    measured, verdict = f.measured, f.verdict
    error = measured.each["error"]
    glance = [
        (percent(error[side].value), f"of unseen rows misclassified by {side}, learned from "
         f"{measured.held.training:,} rows") for side in (NB, LR)
    ]  # fmt: skip
    glance += [
        (percent(measured.each["over-confidence"][side].value), f"more sure than right: {side}")
        for side in (NB, LR)
    ]
    notice = "A quick run: few repeats, so the intervals are wide." if f.quick else ""
    sections = [scores(f), sizes(f), reasons(f), apart(f), table(f), joints(f)]
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
    for score, unit in UNITS.items():
        each, difference = measured.each[score], measured.difference[score]
        ahead = "" if score == "over-confidence" else measured.ahead(score) or "too close to call"
        values = [shown(each[side], unit) for side in (NB, LR)]
        rows.append((score, *values, shown(difference, unit), ahead))
    return Table(
        ("score", NB, LR, "difference", "ahead"),
        rows,
        "Means over unseen rows, with 95 % intervals. A side is ahead where the interval of the paired "
        "difference, naive Bayes less logistic regression, leaves zero out. Error: share misclassified. Log "
        "loss: minus the log probability of the true class, in nats. Over-confidence: mean probability of "
        "the class decided for, less the share that is right. Calibration error: how far predicted "
        "probabilities lie from observed frequencies.",
        numbers=(1, 2, 3),
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
    of = f"class {f.study.data.classes[1]}" if len(f.study.data.classes) == 2 else "the class decided for"
    over = f.measured.each["over-confidence"]
    sure = {side: float(held.confidence(side).mean()) for side in (NB, LR)}
    said = "; ".join(
        f"{side} is {percent(sure[side])} sure of its decisions on average and right in "
        f"{percent(sure[side] - over[side].value)}" for side in (NB, LR)
    )  # fmt: skip
    return Section(
        f"Learned from {held.training:,} rows: {_who(f.measured)}",
        [
            f"{how} Both saw the same rows.",
            score_table(f.measured),
            f"{capital(said)}.",
            figure(drawing, "Reliability: how often it came true, against the predicted probability of "
                   f"{of}. On the diagonal, probabilities mean what they say; below it, a side is too sure. "
                   "Bars: 95 % intervals."),
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
        caption = (
            f"{curves.verdict(score)} Bands: 95 % intervals of the mean over {curves.repeats} random splits."
        )
        parts.append(figure(curves.figure(score), f"{caption} Lower is better."))  # fmt: skip
    unit = {"error": percent, "log loss": nats}
    rows = []
    for size in curves.sizes:
        cells = [f"{size:,}"]
        for score in SCORES:
            for side in (NB, LR):
                here = frame[(frame.rows == size) & (frame.score == score) & (frame.model == side)].iloc[0]
                cells.append(shown(Estimate(here["mean"], here["low"], here["high"]), unit[score]))
        rows.append(cells)
    head = ("rows", *(f"{score}, {side}" for score in SCORES for side in (NB, LR)))
    parts.append(
        Table(head, rows, "Means with 95 % intervals.", (0, 1, 2, 3, 4), fold="The curves in numbers")
    )
    return Section(curves.verdict("error").split(";")[0].rstrip("."), parts)


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


def joints(f: Findings) -> Section:
    """Both joints, and how it was measured."""
    nb, lr = (side.posterior.model for side in f.sides)
    cards = [
        Card(
            type(model).__name__,
            (("joint", model.joint), ("guide", model.approximation if i == 0 else "")),
            model.drawn(observed=observed),
            legend,
        )
        for i, (model, observed, legend) in enumerate(
            (
                (
                    nb,
                    ("x", "y"),
                    "Generative: it generates x, so a missing cell is summed out. Fitted exactly.",
                ),
                (
                    lr,
                    ("y",),
                    "Discriminative: it is given x (a square), and needs every cell. Fitted at the mode.",
                ),
            )
        )
    ]
    return Section(
        "One generates x, the other is given it",
        [
            *cards,
            "Circle: a variable; shaded: observed; square: given, not generated; box: repeated for each "
            "row, class or "
            "component. Naive Bayes takes the columns as they are, numbers in standard deviations. "
            "Logistic regression "
            "has an indicator for each level, the training mean in place of a missing number, and an "
            "indicator of what "
            "was missing; every mean and spread is of the training rows only.",
            f.how,
        ],
    )
