"""The tour: five claims about generative and discriminative models, measured on real data in the run.

`story` tells the chapters in their order; each has a module of its own, and they share a `workshop`.
"""

from ppl_gen.tour.story import Tour
from ppl_gen.tour.workshop import FULL, QUICK, Budget

__all__ = ["FULL", "QUICK", "Budget", "Tour"]
