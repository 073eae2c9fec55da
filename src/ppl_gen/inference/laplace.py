"""Laplace's approximation: a Gaussian about the mode, as wide as the log density is curved there."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel, Program
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.svi import estimate_elbo
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import Data

GAIN = 1e-10  # nats that a Newton step could still gain where the mode counts as found


@dataclass(frozen=True)
class Laplace:
    """Find the posterior's mode and put a Gaussian there (MacKay 2003, chapter 27; Bishop 2006, section 4.4).

    The mode is that of the parameters in unconstrained coordinates (logarithms of scales, and so on);
    L-BFGS comes near it, Newton's steps end there. The guide's ELBO is the posterior's ``elbo``; Laplace's
    own estimate of the log evidence, which is no bound, stands in its note.

    Args:
        steps: of L-BFGS, at most. newton: of Newton, at most.
        draws: that estimate the ELBO.
        seed: decides the start and those draws.

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

    def __post_init__(self) -> None:
        for name in ("steps", "newton", "draws"):
            whole(name, getattr(self, name))
        whole("seed", self.seed, least=0)

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Program | None = None) -> Fitted:
        """The Gaussian guide of a copy of ``start``. Arguments are as in `SVI.fit`.

        Raises:
            Unanswerable: no mode was found, or the log density is flat there.
        """
        target = Unconstrained(start, guide, data, prior, "Laplace")
        mode, value, precision = self._mode(target)
        gaussian = torch.distributions.MultivariateNormal(mode, precision_matrix=precision)
        scale = gaussian.scale_tril.diagonal()
        auto = target.guide.auto
        auto.loc = torch.nn.Parameter(mode)
        auto.scale, auto.scale_tril = scale, gaussian.scale_tril / scale[:, None]
        evidence = value - float(gaussian.log_prob(mode))
        note = f"log evidence about {evidence:,.3f} nats by Laplace, which is no bound"
        elbo, _ = estimate_elbo(target.p.model, target.guide, data, self.draws, prior)
        return Fitted(target.p, target.guide, torch.tensor([elbo], dtype=torch.float64), None, note)

    def _mode(self, target: Unconstrained) -> tuple[Tensor, float, Tensor]:
        """The mode, the log density there, and its negative second derivatives."""
        u = climbed(target, self.steps)
        for _ in range(self.newton):
            value, slope = _value_and_slope(target, u)
            precision = -torch.autograd.functional.hessian(target, u)
            factor, failed = torch.linalg.cholesky_ex(precision)
            if failed or not torch.isfinite(factor).all():
                raise Unanswerable(
                    f"Laplace found no peak: the log density of {type(target.p).__name__} is flat, or bends "
                    f"upwards, where the climb ended. Use SVI(), or a stronger prior."
                )
            step = torch.cholesky_solve(slope[:, None], factor)[:, 0]
            gain = float(slope @ step) / 2
            if gain < GAIN * max(1.0, abs(value)) ** 0.5:
                return u + step, value + gain, precision
            length = 1.0
            while length > 1e-4 and not target(u + length * step).item() >= value:
                length /= 2
            u = u + length * step
        raise Unanswerable(
            f"Laplace did not reach the mode of {type(target.p).__name__}: after {self.newton} Newton steps "
            f"one more could gain {gain:.2g} nats. Take more steps, or standardise the data."
        )


def climbed(target: Unconstrained, steps: int) -> Tensor:
    """Where L-BFGS ends, from the start of the guide."""
    u = target.start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [u], max_iter=steps, tolerance_grad=1e-8, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        value = -target(u)
        (u.grad,) = torch.autograd.grad(value, u)
        return value

    optimiser.step(closure)
    found = u.detach()
    if not math.isfinite(target(found).item()):
        raise Unanswerable(
            f"{type(target.p).__name__}: the climb to the mode met inf or nan; rescale the data"
        )
    return found


def _value_and_slope(target: Unconstrained, u: Tensor) -> tuple[float, Tensor]:
    at = u.clone().requires_grad_()
    value = target(at)
    return value.item(), torch.autograd.grad(value, at)[0]
