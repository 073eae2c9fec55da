"""`check_normalised`: does a joint density sum or integrate to one?

`integrals` sums or integrates one density, `conditionals` each variable of a joint by itself; `energies` are
terms of pyro.factor, `sequences` programs that draw until they stop, `lengths` those that are as long as the
data.
"""

from ppl_gen.normalisation.checking import check_normalised
from ppl_gen.normalisation.conditionals import Total
from ppl_gen.normalisation.result import Normalisation

__all__ = ["Normalisation", "Total", "check_normalised"]
