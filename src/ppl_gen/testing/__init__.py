"""`check_model`: the contract that every model keeps, ours and a student's.

`contract` lists the rules in their order. Each is a function of the `case`, the model at hand, and stands
with its like: what is written (`programs`), what depends on what (`dependencies`), whether draws follow their
density (`densities`), what the guide draws (`guides`), what a model is made of (`parameters`), the ELBO
(`bounds`) and closed forms (`conjugacy`). `examination` runs them one by one, `parametrize_with_checks` as
tests of pytest, and `collecting` as those of a file: ``pytest --ppl-gen-models answer.py``.
"""

from ppl_gen.testing.contract import check_model
from ppl_gen.testing.examination import parametrize_with_checks

__all__ = ["check_model", "parametrize_with_checks"]
