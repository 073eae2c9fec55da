"""What is known about a posterior: ArviZ's view of it, and how far to trust it."""

from ppl_gen.diagnostics.choosing.choice import Choice, Criterion
from ppl_gen.diagnostics.choosing.choosing import choose_k
from ppl_gen.diagnostics.choosing.codes import (
    ELBOTerms,
    amortization_gap,
    elbo_terms,
    gradient_variance,
    importance_bounds,
    reconstruct,
    traversal,
)
from ppl_gen.diagnostics.choosing.ladder import ladder
from ppl_gen.diagnostics.choosing.rungs import Ladder, Rung
from ppl_gen.diagnostics.criticism.comparing import ModelComparison, compare_models
from ppl_gen.diagnostics.criticism.left_out import LeaveOneOut
from ppl_gen.diagnostics.criticism.likeness import TwoSample
from ppl_gen.diagnostics.criticism.loo import loo
from ppl_gen.diagnostics.criticism.misfit import PredictiveCheck
from ppl_gen.diagnostics.criticism.pit import LooPit, loo_pit
from ppl_gen.diagnostics.criticism.predictive import predictive_check
from ppl_gen.diagnostics.criticism.reliability import Reliability, reliability
from ppl_gen.diagnostics.criticism.two_sample import two_sample
from ppl_gen.diagnostics.criticism.uniformity import Uniformity, uniformity
from ppl_gen.diagnostics.simulation.calibration_tests import calibration_power
from ppl_gen.diagnostics.simulation.coverage import coverage
from ppl_gen.diagnostics.simulation.simulated import SimulatedCalibration
from ppl_gen.diagnostics.simulation.simulation import simulation_based_calibration
from ppl_gen.diagnostics.trees.arviz_bridge import (
    cells,
    to_inference_data,
)
from ppl_gen.diagnostics.trees.summaries import invariants, summary
from ppl_gen.diagnostics.trees.trees import to_arviz
from ppl_gen.diagnostics.trust.diagnose import Diagnosis, diagnose
from ppl_gen.diagnostics.trust.page import report
from ppl_gen.diagnostics.trust.quality import GuideQuality, guide_quality

__all__ = [
    "Choice",
    "Criterion",
    "Diagnosis",
    "ELBOTerms",
    "GuideQuality",
    "Ladder",
    "LeaveOneOut",
    "LooPit",
    "ModelComparison",
    "PredictiveCheck",
    "Reliability",
    "Rung",
    "SimulatedCalibration",
    "TwoSample",
    "Uniformity",
    "amortization_gap",
    "calibration_power",
    "cells",
    "choose_k",
    "compare_models",
    "coverage",
    "diagnose",
    "elbo_terms",
    "gradient_variance",
    "guide_quality",
    "importance_bounds",
    "invariants",
    "ladder",
    "loo",
    "loo_pit",
    "predictive_check",
    "reconstruct",
    "reliability",
    "report",
    "simulation_based_calibration",
    "summary",
    "to_arviz",
    "to_inference_data",
    "traversal",
    "two_sample",
    "uniformity",
]
