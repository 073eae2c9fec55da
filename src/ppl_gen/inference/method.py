"""What every method of inference returns."""

from typing import Any, NamedTuple

from torch import Tensor

from ppl_gen.core import ProbabilisticModel


class Fitted(NamedTuple):
    """A fitted copy of the model, the guide that draws its latents, and what is known of the evidence.

    ``guide`` None means that the model itself is the posterior (its hyperparameters were updated).
    ``elbo`` is the bound's history in nats, one number for each step.
    """

    model: ProbabilisticModel
    guide: Any
    elbo: Tensor
    log_evidence: float | None = None
    note: str = ""
