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
from ppl_gen.diagnostics.diagnose import Diagnosis, diagnose
from ppl_gen.diagnostics.ladder import ladder
from ppl_gen.diagnostics.page import report
from ppl_gen.diagnostics.quality import GuideQuality, guide_quality
from ppl_gen.diagnostics.rungs import Ladder, Rung
from ppl_gen.diagnostics.summaries import invariants, summary

__all__ = [
    "Choice",
    "Criterion",
    "Diagnosis",
    "ELBOTerms",
    "GuideQuality",
    "Ladder",
    "Rung",
    "amortization_gap",
    "choose_k",
    "diagnose",
    "elbo_terms",
    "gradient_variance",
    "guide_quality",
    "importance_bounds",
    "invariants",
    "ladder",
    "reconstruct",
    "report",
    "summary",
    "to_arviz",
    "traversal",
]
