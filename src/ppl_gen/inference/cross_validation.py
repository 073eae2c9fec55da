"""Leave-one-out cross-validation, for a model that keeps its rows: each must be predicted by the others."""

from dataclasses import dataclass
from typing import Any

import torch

from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.exact import refuse_hidden
from ppl_gen.inference.method import Fitted
from ppl_gen.inputs import Data


@dataclass(frozen=True)
class CrossValidation:
    """Choose what makes each row most likely given all others; latents with a prior are updated exactly.

    A kernel density keeps the rows, and its likelihood is largest at bandwidth zero, a spike on each row; the
    leave-one-out likelihood is not. The choice is a point and no posterior, so there is no evidence: its
    score is ``posterior.model.leave_one_out``, and the posterior's note repeats it.
    """

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Any = None) -> Fitted:
        """Add the rows of ``data`` to those that ``start`` keeps, and choose anew."""
        p: Any = start
        if not hasattr(p, "cross_validated"):
            closed = "Exact() or " if hasattr(p, "updated") else ""
            if getattr(p, "hidden", "") not in ("", *data.observed):
                closed = "EM() or VariationalBayes() or "
            raise Unanswerable(
                f"{type(p).__name__} is {p.joint}: it declares nothing to choose by cross-validation (no "
                f"cross_validated()). Use {closed}SVI()."
            )
        refuse_hidden(self, p, data)
        with torch.no_grad():
            after = p.cross_validated(**data.gaps)
        none = torch.zeros(0, dtype=torch.float64)
        return Fitted(after, None, none, note=note(after))


def note(after: Any) -> str:
    """What stands in the place of an evidence."""
    return f"leave-one-out log likelihood {float(after.leave_one_out):,.3f} nats"
