"""The laboratory: which model wins, at how many training rows, and under which regime."""

from ppl_gen.laboratory.crossing import Crossing
from ppl_gen.laboratory.curves import LearningCurves
from ppl_gen.laboratory.experiment import learning_curves
from ppl_gen.laboratory.regimes import AsIs, Copies, FewLabels, LabelShift, Missing

__all__ = [
    "AsIs",
    "Copies",
    "Crossing",
    "FewLabels",
    "LabelShift",
    "LearningCurves",
    "Missing",
    "learning_curves",
]
