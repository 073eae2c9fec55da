"""What is known about a posterior: ArviZ's view of it, and how far to trust it."""

from ppl_gen.diagnostics.arviz_bridge import cells, compare_loo, loo, loo_pit, to_inference_data
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
from ppl_gen.diagnostics.ladder import ladder
from ppl_gen.diagnostics.rungs import Ladder, Rung
from ppl_gen.diagnostics.summaries import invariants, summary
from ppl_gen.diagnostics.trees import to_arviz

__all__ = [
    "Choice",
    "Criterion",
    "ELBOTerms",
    "Ladder",
    "Rung",
    "amortization_gap",
    "cells",
    "choose_k",
    "compare_loo",
    "elbo_terms",
    "gradient_variance",
    "importance_bounds",
    "invariants",
    "ladder",
    "loo",
    "loo_pit",
    "reconstruct",
    "summary",
    "to_arviz",
    "to_inference_data",
    "traversal",
]
