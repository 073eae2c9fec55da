"""Laplace's approximation: a Gaussian about the mode, as wide as the log density is curved there."""

from dataclasses import dataclass, field
from typing import Any

import torch

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel, Program
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.mode import Watched, mode
from ppl_gen.inference.signals import Signals
from ppl_gen.inference.svi import estimate_elbo
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import Data


@dataclass(frozen=True)
class Laplace:
    """Find the posterior's mode and put a Gaussian there (MacKay 2003, chapter 27; Bishop 2006, section 4.4).

    The mode is that of the parameters in unconstrained coordinates (logarithms of scales, and so on);
    Newton's steps end there, and L-BFGS comes near it where they cannot start. The guide's ELBO is the
    posterior's ``elbo``; Laplace's own estimate of the log evidence, which is no bound, stands in its note.
    Ctrl-C before the mode interrupts the program: the curvature tells the spread at the mode alone.

    Args:
        steps: of L-BFGS, at most. newton: of Newton, at most.
        draws: that estimate the ELBO.
        seed: decides the start and those draws.
        weights: how often each row counts (n,); once by default. The posterior does not keep them; its
            ``elbo`` counts every row once.

    >>> from ppl_gen import ask, fit
    >>> from ppl_gen.models import LogisticRegression
    >>> lr = LogisticRegression(classes=2, features=1)
    >>> posterior = fit(lr, Laplace(), x=[[-1.], [0.], [1.], [2.]], y=[0, 1, 0, 1])
    >>> posterior.note
    'log evidence about -3.522 nats by Laplace, which is no bound'
    """

    steps: int = 500
    newton: int = 20
    draws: int = 100
    seed: int = 0
    weights: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("steps", "newton", "draws"):
            whole(name, getattr(self, name))
        whole("seed", self.seed, least=0)

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Program | None = None) -> Fitted:
        """The Gaussian guide of a copy of ``start``. Arguments are as in `SVI.fit`.

        Raises:
            Unanswerable: no mode was found, or the log density is flat there.
        """
        target = Unconstrained(start, guide, data, prior, "Laplace", self.weights)
        signals = Signals("Laplace")
        looked = Watched(target, signals)
        try:
            with signals:
                at, value, precision = mode(target, self.steps, self.newton, looked)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "Laplace was stopped before it reached the mode, and elsewhere curvature tells no spread: "
                "there is nothing to return. MAP() returns the highest point that it saw"
            ) from None
        gaussian = torch.distributions.MultivariateNormal(at, precision_matrix=precision)
        target.guide.steps = looked.steps
        target.guide.auto.place(at, gaussian.scale_tril)
        evidence = value - float(gaussian.log_prob(at))
        note = f"log evidence about {evidence:,.3f} nats by Laplace, which is no bound"
        elbo, _ = estimate_elbo(target.p.model, target.guide, data, self.draws, prior)
        return Fitted(target.p, target.guide, torch.tensor([elbo], dtype=torch.float64), None, note)
