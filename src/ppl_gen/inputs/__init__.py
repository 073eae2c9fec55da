"""The door: all data enter here, become tensors of the model's type, and are checked against the joint.

`admit` (in `admitting`) lets users' values in; `Data` (in `data`) is what they become. What the model draws
is found by one run (`describing`), and every value is held against the support of its variable (`supports`).
"""

from ppl_gen.inputs.admitting import admit
from ppl_gen.inputs.data import Data, may_repeat
from ppl_gen.inputs.describing import describe

__all__ = ["Data", "admit", "describe", "may_repeat"]
