"""What is known about a posterior: ArviZ's view of it, and how far to trust it."""

from ppl_gen.diagnostics.arviz_bridge import to_arviz
from ppl_gen.diagnostics.choice import Choice, Criterion
from ppl_gen.diagnostics.choosing import choose_k
from ppl_gen.diagnostics.codes import (
    ELBOTerms,
    amortization_gap,
    elbo_terms,
    gradient_variance,
    importance_bounds,
    reconstruct,
    traversal,
)
from ppl_gen.diagnostics.coverage import coverage
from ppl_gen.diagnostics.ladder import ladder
from ppl_gen.diagnostics.rungs import Ladder, Rung
from ppl_gen.diagnostics.simulated import SimulatedCalibration
from ppl_gen.diagnostics.simulation import simulation_based_calibration
from ppl_gen.diagnostics.summaries import invariants, summary
from ppl_gen.diagnostics.uniformity import calibration_power

__all__ = [
    "Choice",
    "Criterion",
    "ELBOTerms",
    "Ladder",
    "Rung",
    "SimulatedCalibration",
    "amortization_gap",
    "calibration_power",
    "choose_k",
    "coverage",
    "elbo_terms",
    "gradient_variance",
    "importance_bounds",
    "invariants",
    "ladder",
    "reconstruct",
    "simulation_based_calibration",
    "summary",
    "to_arviz",
    "traversal",
]
