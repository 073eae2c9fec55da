"""The mode of the posterior: Newton's steps, and L-BFGS where they cannot start."""

import math

import torch
from torch import Tensor

from ppl_gen.errors import Unanswerable
from ppl_gen.inference.signals import Signals
from ppl_gen.inference.unconstrained import Unconstrained

GAIN = 1e-10  # nats that a Newton step could still gain where the mode counts as found
ROUNDING = (
    2 * torch.finfo(torch.float32).eps
)  # of a sum of rows in float32: a step that loses less loses nothing


class Watched:
    """The log density, and the highest point that was looked at; between two looks Ctrl-C is obeyed.

    Args:
        target: the log density. signals: entered by the caller; None leaves Ctrl-C to Python.
    """

    def __init__(self, target: Unconstrained, signals: Signals | None = None):
        self.target, self.signals = target, signals
        self.value, self.best = -math.inf, target.start
        self.steps = 0  # that the climb took

    def __call__(self, u: Tensor) -> Tensor:
        if self.signals:
            self.signals.obey()
        value = self.target(u)
        if value.item() > self.value:
            self.value, self.best = value.item(), u.detach().clone()
        return value


def mode(
    target: Unconstrained, steps: int, newton: int, watched: Watched | None = None
) -> tuple[Tensor, float, Tensor]:
    """The mode (parameters,), the log density there, and its negative second derivatives.

    Raises:
        Unanswerable: no mode was found, or the log density is flat there.
    """
    looked = watched or Watched(target)
    try:  # a concave log density needs no other
        return _newton(looked, target.start, newton)
    except Unanswerable:
        return _newton(looked, climbed(target, steps, looked), newton)


def _newton(looked: Watched, u: Tensor, steps: int) -> tuple[Tensor, float, Tensor]:
    who, p, gain = looked.target.method, type(looked.target.p).__name__, math.inf
    value, slope, precision = _curvature(looked, u)
    for _ in range(steps):
        factor, failed = torch.linalg.cholesky_ex(precision)
        if failed or not torch.isfinite(factor).all():
            raise Unanswerable(
                f"{who} found no peak: the log density of {p} is flat, or bends upwards, where the climb "
                f"ended. Use SVI(), or a stronger prior."
            )
        step = torch.cholesky_solve(slope[:, None], factor)[:, 0]
        looked.steps += 1
        gain = float(slope @ step) / 2
        if gain < GAIN * max(1.0, abs(value)) ** 0.5:
            return u + step, value + gain, precision
        before, length = value - ROUNDING * max(1.0, abs(value)), 1.0
        value, slope, precision = _curvature(looked, u + step)
        while length > 1e-4 and not value >= before:
            length /= 2
            value, slope, precision = _curvature(looked, u + length * step)
        u = u + length * step
    raise Unanswerable(
        f"{who} did not reach the mode of {p}: after {steps} Newton steps one more could gain {gain:.2g} "
        f"nats. Take more steps, or standardise the data."
    )


def climbed(
    target: Unconstrained, steps: int, watched: Watched | None = None, tolerance: float = 1e-8
) -> Tensor:
    """Where L-BFGS ends, from the start of the guide; no slope there is above the ``tolerance``."""
    looked = watched or Watched(target)
    u = target.start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [u],
        max_iter=steps,
        max_eval=25 * steps,  # what one step of the line search may take
        tolerance_grad=tolerance,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        value = -looked(u)
        (u.grad,) = torch.autograd.grad(value, u)
        return value

    optimiser.step(closure)
    looked.steps += optimiser.state[u]["n_iter"]
    found = u.detach()
    if not math.isfinite(target(found).item()):
        raise Unanswerable(
            f"{type(target.p).__name__}: the climb to the mode met inf or nan; rescale the data"
        )
    return found


def _curvature(target: Watched, u: Tensor) -> tuple[float, Tensor, Tensor]:
    """The log density at ``u``, its slope, and its negative second derivatives."""
    at = u.clone().requires_grad_()
    value = target(at)
    (slope,) = torch.autograd.grad(value, at, create_graph=True)
    if not slope.requires_grad:  # it is linear
        return value.item(), slope, torch.zeros(len(u), len(u), dtype=u.dtype)
    directions = torch.eye(len(u), dtype=u.dtype)
    (bend,) = torch.autograd.grad(slope, at, directions, is_grads_batched=True, materialize_grads=True)
    return value.item(), slope.detach(), -bend
