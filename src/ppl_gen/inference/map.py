"""The mode of the posterior, as one point: penalised maximum likelihood."""

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch

from ppl_gen.checks import positive, whole
from ppl_gen.core import ProbabilisticModel, Program
from ppl_gen.errors import Interrupted
from ppl_gen.inference.guides import Mode
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.mode import Watched, climbed, mode
from ppl_gen.inference.signals import Signals, users_line
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import Data


@dataclass(frozen=True)
class MAP:
    """The parameters where the posterior density peaks: maximum a posteriori (Murphy 2012, section 5.2).

    As for `Laplace`, the peak is that of the density in unconstrained coordinates (logarithms of scales, and
    so on); real parameters, such as weights, have no others. A wide prior makes it the point of maximum
    likelihood, where that exists: the log evidence is lost either way, and so is what is not known.
    Ctrl-C returns the highest point that was seen, with the warning `Interrupted`.

    Args:
        steps: of L-BFGS, at most.
        newton: of Newton, at most; 0 leaves them out, and what they cost on very many rows: L-BFGS then
            ends near the mode, not at its last digits.
        tolerance: of L-BFGS: the slope, in nats a unit of a parameter, at which it ends.
        seed: decides the start, where the model's guide leaves it open.
        weights: how often each row counts (n,); once by default. The posterior does not keep them.

    >>> from ppl_gen import ask, fit
    >>> from ppl_gen.models import LogisticRegression
    >>> lr = LogisticRegression(classes=2, features=1, scale=100.0)
    >>> posterior = fit(lr, MAP(), x=[[-1.], [0.], [1.], [2.]], y=[0, 1, 0, 1])
    >>> answer = ask(posterior, "p(y | x)", x=[[0.5]])
    >>> answer.probs, answer.how
    (tensor([[0.5000, 0.5000]], dtype=torch.float64), 'exact, at the mode')
    """

    steps: int = 500
    newton: int = 30
    tolerance: float = 1e-8
    seed: int = 0
    weights: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        whole("steps", self.steps)
        whole("newton", self.newton, least=0)
        positive("tolerance", self.tolerance)
        whole("seed", self.seed, least=0)

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Program | None = None) -> Fitted:
        """The point, in the place of a guide. Arguments are as in `SVI.fit`.

        Raises:
            Unanswerable: no mode was found, or the log density is flat there.
        """
        target = Unconstrained(start, guide, data, prior, "MAP", self.weights)
        signals, where = Signals("MAP"), "at the mode"
        looked = Watched(target, signals)
        try:
            with signals:
                if self.newton:
                    at = mode(target, self.steps, self.newton, looked)[0]
                else:
                    at = climbed(target, self.steps, looked, self.tolerance)
        except KeyboardInterrupt:
            if looked.value == -math.inf:  # not even the start was looked at
                raise
            at, where = looked.best, "where it was stopped by hand, short of the mode"
            warnings.warn(
                "MAP stopped by hand; the highest point that it saw is returned",
                Interrupted,
                stacklevel=users_line(),
            )
        found = {name: part.detach() for name, part in target.values(at).items()}
        value = target(at).item()
        note = f"log density of data and parameters {value:,.3f} nats {where}, in unconstrained coordinates"
        guide = Mode(target.p, found)
        guide.steps = looked.steps
        return Fitted(target.p, guide, torch.zeros(0, dtype=torch.float64), None, note)
