"""All that a comparison measures, and how a figure of it gets onto the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ppl_gen import plot
from ppl_gen.article import Figure
from ppl_gen.comparison.measures import Estimate
from ppl_gen.comparison.pair import Learned, NaiveBayes
from ppl_gen.comparison.reasons import Disagreement, Example, GapDecision
from ppl_gen.comparison.study import Study
from ppl_gen.comparison.verdict import Measured, Verdict
from ppl_gen.laboratory import LearningCurves

WIDTH = 4.4  # inches, so that letters can be read on a phone


@dataclass(frozen=True, eq=False)
class Findings:
    """All that was measured, which the page only puts into words and pictures."""

    study: Study
    verdict: Verdict
    measured: Measured
    curves: LearningCurves
    sides: tuple[NaiveBayes, Learned]
    evidence: Sequence[tuple[str, Estimate]]
    correlations: Sequence[tuple[str, str, float, int]]
    disagreement: Disagreement
    example: Example | None
    rests_on_gaps: Sequence[GapDecision]
    how: str
    quick: bool


def figure(drawing: Any, caption: str) -> Figure:
    """A drawing as a figure of the page, its caption also for those who cannot see it."""
    import matplotlib.pyplot as plt

    width, height = drawing.get_size_inches()
    drawing.set_size_inches(min(width, WIDTH), height)
    picture = plot.svg(drawing, alt=caption.replace("`", ""))
    plt.close(drawing)
    return Figure(picture, caption)


def capital(text: str) -> str:
    """The text with a large first letter."""
    return text[:1].upper() + text[1:]
