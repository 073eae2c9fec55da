"""Generative against discriminative on a user's own table: `compare` reads, measures and reports.

`reading`, `cells` and `digits` make a data frame of a file, `study` and `copies` rows of numbers of the
frame; `pair` has the two sides, `measures` and `reasons` what is measured of them, `verdict` and `page` the
words.
"""

from ppl_gen.comparison.run import compare

__all__ = ["compare"]
