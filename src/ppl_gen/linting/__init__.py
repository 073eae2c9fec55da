"""`lint`: mistakes of a model and its guide, found before the fit.

`linter` lists the checks. Each is a function of the `pair` of programs, whose runs are written down by
`recording`, and yields `findings`; it stands with its like: `programs`, `names`, `shapes`, `plates`,
`minibatches`, `supports`, `enumeration`, `parameters`, `bounds`, `gradients`, `scoring`, `elbos`. What
follows from what is found by `effects`: another value is tried, and the densities are compared.
"""

from ppl_gen.linting.findings import Finding, Findings
from ppl_gen.linting.linter import lint

__all__ = ["Finding", "Findings", "lint"]
