"""`check_model`: the contract that every model keeps, ours and a student's.

`contract` lists the rules in their order. Each is a function of the `case`, the model at hand, and stands
with its like: what is written (`programs`), what depends on what (`dependencies`), whether draws follow their
density (`densities`), what the guide draws (`guides`), the ELBO (`bounds`) and closed forms (`conjugacy`).
"""

from ppl_gen.testing.contract import check_model

__all__ = ["check_model"]
