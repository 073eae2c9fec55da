"""Which side to pick at this size, and when that would change, in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppl_gen.comparison.measures import Estimate, HeldOut, mean_of
from ppl_gen.comparison.pair import LR, NB
from ppl_gen.laboratory import Crossing, LearningCurves

SCORES = ("error", "log loss")


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores of both sides on the same unseen rows, and their paired differences (naive Bayes' comes first).

    Attributes:
        held: what they were measured on.
        each: score -> side -> its mean; difference: score -> of the sides.
    """

    held: HeldOut
    each: Mapping[str, Mapping[str, Estimate]]
    difference: Mapping[str, Estimate]

    @classmethod
    def of(cls, held: HeldOut, seed: int = 0) -> "Measured":
        """Error, log loss, expected calibration error and over-confidence."""
        rows = {"error": held.wrong, "log loss": held.log_loss, "over-confidence": held.excess}
        each = {score: {side: mean_of(of(side)) for side in (NB, LR)} for score, of in rows.items()}
        difference = {score: mean_of(of(NB) - of(LR)) for score, of in rows.items()}
        calibration, apart = held.calibration_errors(seed)
        return cls(
            held, {**each, "calibration error": calibration}, {**difference, "calibration error": apart}
        )

    def ahead(self, score: str) -> str:
        """The side whose score is lower, if the paired 95 % interval leaves zero out; else ""."""
        return {1: LR, -1: NB, 0: ""}[self.difference[score].sign]


@dataclass(frozen=True)
class Verdict:
    """What to pick: a headline, the evidence, and when it would change.

    Attributes:
        pick: `NB`, `LR`, "both" where each wins one score, or "" where it is too close to call.
    """

    pick: str
    headline: str
    evidence: str
    change: str

    @classmethod
    def of(cls, measured: Measured, curves: LearningCurves) -> "Verdict":
        """From the held-out scores at full size, and the learning curves below it."""
        error, loss = (measured.ahead(score) for score in SCORES)
        pick = error or loss if not error or not loss or error == loss else "both"
        if pick == "both":
            headline = f"To decide, pick {error}; for probabilities, {loss}"
        else:
            leads = {curves.ahead(score)[-1] for score in SCORES}
            lean = f", with a lean to {leads.pop()}" if len(leads) == 1 and "" not in leads else ""
            headline = f"Pick {pick}" if pick else f"Too close to call{lean}"
        return cls(pick, headline, _evidence(measured), _change(curves, measured.held.training))


def _evidence(measured: Measured) -> str:
    held = measured.held
    said = []
    for score, unit in (("error", percent), ("log loss", nats)):
        nb, lr = (measured.each[score][side].value for side in (NB, LR))
        difference, ahead = measured.difference[score], measured.ahead(score)
        what = {
            "error": f"naive Bayes is wrong in {percent(nb)} and logistic regression in {percent(lr)}",
            "log loss": f"their log losses are {nats(nb)} and {nats(lr)} nats",
        }[score]
        level = "" if ahead else ", which leaves it open who is ahead"
        said.append(
            f"{what} (difference {unit(difference.value)}, 95 % interval {span(difference, unit)}{level})"
        )
    rows = f"{len(held.y):,} unseen rows, learned from {held.training:,}"
    return f"Of {rows}, {said[0]}; {said[1]}."


def _change(curves: LearningCurves, training: int) -> str:
    """When another pick would be right."""
    low, high = curves.sizes[0], curves.sizes[-1]
    told: dict[str, list[str]] = {}  # what is said -> of which scores
    for score in SCORES:
        found: Crossing = curves.crossing(score)
        if found:
            said = f"{found.first} is ahead with few rows and {found.then} with more: {found}"
        elif found.first:
            said = (
                f"{found.first} is ahead wherever one is, from {low:,} to {high:,} training rows: no crossing"
            )
        else:
            said = f"nobody is clearly ahead from {low:,} to {high:,} training rows"
        told.setdefault(said, []).append(score)
    curve = "; ".join(f"in {' and '.join(names)}, {said}" for said, names in told.items())
    return (
        f"Over random splits of these rows, {curve}. More than {max(training, high):,} training rows were "
        "not "
        "measured."
    )


# Numbers as text --------------------------------------------------------------------------------------------


def percent(share: float) -> str:
    """A share in per cent, not broken over lines.

    >>> percent(-0.0123).replace(chr(160), " ")
    '−1.2 %'
    """
    return f"{100 * share:.1f}\u00a0%".replace("-", "−")


def nats(value: float) -> str:
    """Three digits after the point, with a true minus sign."""
    return f"{value:.3f}".replace("-", "−")


def shown(estimate: Estimate, unit: Any) -> str:
    """The value with its interval: behind ± where it lies in the middle, else below.

    >>> shown(Estimate(1.0, 0.5, 1.5), nats).replace(chr(160), " ")
    '1.000 ± 0.500'
    >>> shown(Estimate(1.0, 0.5, 3.0), nats).splitlines()
    ['1.000', '0.500 to 3.000']
    """
    half = (estimate.high - estimate.low) / 2
    if abs(estimate.value - half - estimate.low) < 1e-9 * (1 + half):
        return f"{unit(estimate.value)}\u00a0±\u00a0{unit(half)}"
    return f"{unit(estimate.value)}\n{span(estimate, unit)}"


def span(estimate: Estimate, unit: Any) -> str:
    """An interval.

    >>> span(Estimate(0.0, -0.5, 0.5), nats)
    '−0.500 to 0.500'
    """
    return f"{unit(estimate.low)} to {unit(estimate.high)}"
