"""Figures from arrays and trees of draws. Nothing here knows a model; matplotlib is imported when drawing."""

from ppl_gen.plot.bars import log_odds
from ppl_gen.plot.codes import bounds, choices, kl_terms, ladder, reconstructions, traversals
from ppl_gen.plot.curves import elbo, learning_curves
from ppl_gen.plot.draws import densities
from ppl_gen.plot.guides import forest, k_hat, pair
from ppl_gen.plot.left_out import differences, leave_one_out, uniform
from ppl_gen.plot.modes import modes
from ppl_gen.plot.pictures import images, sample_grid
from ppl_gen.plot.points import clusters, latent
from ppl_gen.plot.reliability import calibration
from ppl_gen.plot.replications import replications, statistics
from ppl_gen.plot.simulated import coverage, rank_ecdf, simulated_calibration, z_scores
from ppl_gen.plot.style import inline, style, svg

__all__ = [
    "bounds",
    "calibration",
    "choices",
    "clusters",
    "coverage",
    "densities",
    "differences",
    "elbo",
    "forest",
    "images",
    "inline",
    "k_hat",
    "kl_terms",
    "ladder",
    "latent",
    "learning_curves",
    "leave_one_out",
    "log_odds",
    "modes",
    "pair",
    "rank_ecdf",
    "reconstructions",
    "replications",
    "sample_grid",
    "simulated_calibration",
    "statistics",
    "style",
    "svg",
    "traversals",
    "uniform",
    "z_scores",
]
