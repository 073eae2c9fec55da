"""Figures from arrays and trees of draws. Nothing here knows a model; matplotlib is imported when drawing."""

from ppl_gen.plot.figures import calibration, densities, elbo, images, latent, learning_curves, log_odds
from ppl_gen.plot.style import style, svg

__all__ = [
    "calibration",
    "densities",
    "elbo",
    "images",
    "latent",
    "learning_curves",
    "log_odds",
    "style",
    "svg",
]
