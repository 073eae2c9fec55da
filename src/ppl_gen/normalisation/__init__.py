"""`check_normalised`: does a joint density sum or integrate to one?

`integrals` sums or integrates one density, `conditionals` each variable of a joint by itself, `sequences`
programs that draw until they stop.
"""

from ppl_gen.normalisation.checking import Normalisation, check_normalised
from ppl_gen.normalisation.conditionals import Total

__all__ = ["Normalisation", "Total", "check_normalised"]
