"""Figures from arrays and trees of draws. Nothing here knows a model; matplotlib is imported when drawing."""

from ppl_gen.plot.codes import bounds, choices, kl_terms, ladder, reconstructions, traversals
from ppl_gen.plot.figures import calibration, densities, elbo, images, latent, learning_curves, log_odds
from ppl_gen.plot.guides import forest, k_hat, pair
from ppl_gen.plot.style import style, svg

__all__ = [
    "bounds",
    "calibration",
    "choices",
    "densities",
    "elbo",
    "forest",
    "images",
    "k_hat",
    "kl_terms",
    "ladder",
    "latent",
    "learning_curves",
    "log_odds",
    "pair",
    "reconstructions",
    "style",
    "svg",
    "traversals",
]
