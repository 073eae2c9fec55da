"""Which side to pick at this size, and when that would change, in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppl_gen.comparison.measures import BASELINE, Estimate, HeldOut, mean_of
from ppl_gen.comparison.pair import LR, NB
from ppl_gen.laboratory import Crossing, LearningCurves

SCORES = ("error", "log loss")
PER_CENT = "\u00a0%"


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores of both sides on the same unseen rows, and their paired differences (naive Bayes' comes first).

    Attributes:
        held: what they were measured on.
        each: score -> side -> its mean; difference: score -> of the sides.
        over: score -> side -> the side's less the baseline's, which looks at no column.
    """

    held: HeldOut
    each: Mapping[str, Mapping[str, Estimate]]
    difference: Mapping[str, Estimate]
    over: Mapping[str, Mapping[str, Estimate]]

    @classmethod
    def of(cls, held: HeldOut, seed: int = 0) -> "Measured":
        """Error, log loss, expected calibration error and over-confidence."""
        rows = {"error": held.wrong, "log loss": held.log_loss, "over-confidence": held.excess}
        each = {score: {side: mean_of(of(side)) for side in held.log_probs} for score, of in rows.items()}
        each |= {score: {side: e.positive for side, e in each[score].items()} for score in SCORES}
        over = {
            score: {side: mean_of(rows[score](side) - rows[score](BASELINE)) for side in (NB, LR)}
            for score in SCORES
            if BASELINE in held.log_probs
        }
        difference = {score: mean_of(of(NB) - of(LR)) for score, of in rows.items()}
        calibration, apart = held.calibration_errors(seed)
        return cls(
            held, {**each, "calibration error": calibration}, {**difference, "calibration error": apart}, over
        )

    def better(self, score: str) -> list[str]:
        """The sides whose score is below the baseline's, if the paired 95 % interval leaves zero out."""
        return [side for side, over in self.over.get(score, {}).items() if over.sign < 0]

    @property
    def tells(self) -> bool:
        """Whether the columns help either side in any score."""
        return not self.over or any(self.better(score) for score in SCORES)

    def value(self, score: str, side: str = "") -> float:
        """What is written of a side, or of the difference: to a thousandth, a tenth of a per cent.

        Differences are of what is written, so that the reader's own sums come out.
        """
        if not side:
            exact = self.value(score, NB) - self.value(score, LR)
        elif score == "over-confidence":
            exact = self.confidence(side) - (1 - self.value("error", side))
        else:
            exact = self.each[score][side].value
        return round(exact, 3)

    def confidence(self, side: str) -> float:
        """The mean probability of the class decided for, as it is written."""
        return round(float(self.held.confidence(side).mean()), 3)

    def ahead(self, score: str) -> str:
        """The side whose score is lower, if the paired 95 % interval leaves zero out; else ""."""
        return {1: LR, -1: NB, 0: ""}[self.difference[score].sign]


@dataclass(frozen=True)
class Verdict:
    """What to pick: a headline, the evidence, and when it would change.

    Attributes:
        pick: `NB`, `LR`, "both" where each wins one score, "" where it is too close to call, or "neither"
            where no side is better than the class frequencies alone.
    """

    pick: str
    headline: str
    evidence: str
    change: str

    @classmethod
    def of(cls, measured: Measured, curves: LearningCurves, target: str = "the class") -> "Verdict":
        """From the held-out scores at full size, and the learning curves below it."""
        error, loss = (measured.ahead(score) for score in SCORES)
        pick = error or loss if not error or not loss or error == loss else "both"
        if not measured.tells:
            pick, headline = "neither", f"Neither: these columns do not tell {target}"
        elif pick == "both":
            headline = f"To decide, pick {error}; for probabilities, {loss}"
        else:
            leads = {curves.ahead(score)[-1] for score in SCORES}
            lean = f", with a lean to {leads.pop()}" if len(leads) == 1 and "" not in leads else ""
            headline = f"Pick {pick}" if pick else f"Too close to call{lean}"
        reconciled = _reconciled(measured, curves) if measured.tells else ""
        change = f"{_change(curves)}{reconciled} {_limit(curves, measured.held.training)}"
        return cls(pick, headline, _evidence(measured), change)


def _evidence(measured: Measured) -> str:
    held = measured.held
    said = []
    for score, unit, name in (("error", points, "percentage points"), ("log loss", nats, "nats")):
        nb, lr = (measured.value(score, side) for side in (NB, LR))
        what = {
            "error": f"naive Bayes is wrong in {percent(nb)} and logistic regression in {percent(lr)}",
            "log loss": f"their log losses are {nats(nb)} and {nats(lr)} nats",
        }[score]
        level = "" if measured.ahead(score) else ", which leaves it open who is ahead"
        interval = span(measured.difference[score], unit)
        said.append(
            f"{what} (difference {unit(measured.value(score))} {name}, 95 % interval {interval}{level})"
        )
    how = (
        f"Each of the {len(held.y):,} rows was predicted by fits to about {held.training:,} others"
        if held.folds > 1
        else f"{len(held.y):,} rows were predicted by fits to {held.training:,} others"
    )
    return f"{how}: {said[0]}; {said[1]}.{_baseline(measured)}"


def _baseline(measured: Measured) -> str:
    """How good the class frequencies alone are, and who is not better."""
    if not measured.over:
        return ""
    alone = (
        " Without columns, the class frequencies alone are wrong in "
        f"{percent(measured.value('error', BASELINE))}, their log loss "
        f"{nats(measured.value('log loss', BASELINE))} nats"
    )
    behind = {score: [side for side in (NB, LR) if side not in measured.better(score)] for score in SCORES}
    said = [f"{' and '.join(sides)} in {score}" for score, sides in behind.items() if sides]
    return f"{alone}; not clearly better: {', '.join(said)}." if said else f"{alone}; both sides are better."


def _change(curves: LearningCurves) -> str:
    """When another pick would be right."""
    low, high = curves.sizes[0], curves.sizes[-1]
    told: dict[str, list[str]] = {}  # what is said -> of which scores
    for score in SCORES:
        found: Crossing = curves.crossing(score)
        if found:
            said = f"{found.first} is ahead with few rows and {found.then} with more: {found}"
        elif found.changes > 1:
            said = f"the lead changes {found.changes} times from {low:,} to {high:,} training rows"
        elif found.first:
            said = f"{found.first} is ahead wherever one is, from {low:,} to {high:,} training rows; {found}"
        else:
            said = f"nobody is clearly ahead from {low:,} to {high:,} training rows"
        told.setdefault(said, []).append(score)
    curve = "; ".join(f"in {' and '.join(names)}, {said}" for said, names in told.items())
    return f"Over random splits of these rows, {curve}."


def _reconciled(measured: Measured, curves: LearningCurves) -> str:
    """Why the curves may name a leader where the whole table leaves it open; "" if they do not."""
    leads = {score: curves.ahead(score)[-1] for score in SCORES if not measured.ahead(score)}
    leads = {score: side for score, side in leads.items() if side}
    if not leads:
        return ""
    return (
        f" That lead of {' and '.join(dict.fromkeys(leads.values()))} is one on these very rows: the curves "
        f"average {curves.repeats} splits of them, so their intervals leave out what other rows of the same "
        "kind would change. The intervals above allow for that, and leave it open who is ahead in "
        f"{' and '.join(leads)}."
    )


def _limit(curves: LearningCurves, training: int) -> str:
    return f"More than {max(training, curves.sizes[-1]):,} training rows were not measured."


# Numbers as text --------------------------------------------------------------------------------------------


def percent(share: float) -> str:
    """A share in per cent, not broken over lines.

    >>> percent(-0.0123).replace(chr(160), " ")
    '−1.2 %'
    """
    return f"{points(share)}{PER_CENT}"


def points(share: float) -> str:
    """A difference of shares in percentage points; no zero has a sign.

    >>> points(-0.0123), points(-0.0001)
    ('−1.2', '0.0')
    """
    return f"{100 * share:z.1f}".replace("-", "−")


def nats(value: float) -> str:
    """Three digits after the point, with a true minus sign."""
    return f"{value:z.3f}".replace("-", "−")


def signed(value: float) -> str:
    """Two digits after the point behind a sign, which zero has none of.

    >>> signed(-1.234), signed(2.0), signed(0.0)
    ('−1.23', '+2.00', '0.00')
    """
    return f"{value:+z.2f}".replace("-", "−") if abs(value) >= 0.005 else "0.00"


def shown(estimate: Estimate, unit: Any, value: float | None = None) -> str:
    """The value, or what is written in its place, with its interval below.

    >>> shown(Estimate(1.0, 0.5, 3.0), nats).splitlines()
    ['1.000', '0.500 to 3.000']
    """
    return f"{unit(estimate.value if value is None else value)}\n{span(estimate, unit)}"


def span(estimate: Estimate, unit: Any) -> str:
    """An interval.

    >>> span(Estimate(0.0, -0.5, 0.5), nats)
    '−0.500 to 0.500'
    >>> span(Estimate(0.0, -0.5, 0.5), percent).replace(chr(160), " ")
    '−50.0 to 50.0 %'
    """
    return f"{unit(estimate.low).removesuffix(PER_CENT)} to {unit(estimate.high)}"
