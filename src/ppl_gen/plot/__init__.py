"""Figures from arrays and trees of draws. Nothing here knows a model; matplotlib is imported when drawing."""

from ppl_gen.plot.codes import bounds, choices, kl_terms, ladder, reconstructions, traversals
from ppl_gen.plot.figures import calibration, densities, elbo, images, latent, learning_curves, log_odds
from ppl_gen.plot.simulated import coverage, rank_ecdf, simulated_calibration, z_scores
from ppl_gen.plot.style import style, svg

__all__ = [
    "bounds",
    "calibration",
    "choices",
    "coverage",
    "densities",
    "elbo",
    "images",
    "kl_terms",
    "ladder",
    "latent",
    "learning_curves",
    "log_odds",
    "rank_ecdf",
    "reconstructions",
    "simulated_calibration",
    "style",
    "svg",
    "traversals",
    "z_scores",
]
