"""The mode of the posterior: Newton's steps, and L-BFGS where they cannot start."""

import math

import torch
from torch import Tensor

from ppl_gen.errors import Unanswerable
from ppl_gen.inference.unconstrained import Unconstrained

GAIN = 1e-10  # nats that a Newton step could still gain where the mode counts as found


def mode(target: Unconstrained, steps: int, newton: int) -> tuple[Tensor, float, Tensor]:
    """The mode (parameters,), the log density there, and its negative second derivatives.

    Raises:
        Unanswerable: no mode was found, or the log density is flat there.
    """
    try:  # a concave log density needs no other
        return _newton(target, target.start, newton)
    except Unanswerable:
        return _newton(target, climbed(target, steps), newton)


def _newton(target: Unconstrained, u: Tensor, steps: int) -> tuple[Tensor, float, Tensor]:
    who, p, gain = target.method, type(target.p).__name__, math.inf
    value, slope, precision = _curvature(target, u)
    for _ in range(steps):
        factor, failed = torch.linalg.cholesky_ex(precision)
        if failed or not torch.isfinite(factor).all():
            raise Unanswerable(
                f"{who} found no peak: the log density of {p} is flat, or bends upwards, where the climb "
                f"ended. Use SVI(), or a stronger prior."
            )
        step = torch.cholesky_solve(slope[:, None], factor)[:, 0]
        gain = float(slope @ step) / 2
        if gain < GAIN * max(1.0, abs(value)) ** 0.5:
            return u + step, value + gain, precision
        before, length = value, 1.0
        value, slope, precision = _curvature(target, u + step)
        while length > 1e-4 and not value >= before:
            length /= 2
            value, slope, precision = _curvature(target, u + length * step)
        u = u + length * step
    raise Unanswerable(
        f"{who} did not reach the mode of {p}: after {steps} Newton steps one more could gain {gain:.2g} "
        f"nats. Take more steps, or standardise the data."
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


def _curvature(target: Unconstrained, u: Tensor) -> tuple[float, Tensor, Tensor]:
    """The log density at ``u``, its slope, and its negative second derivatives."""
    at = u.clone().requires_grad_()
    value = target(at)
    (slope,) = torch.autograd.grad(value, at, create_graph=True)
    if not slope.requires_grad:  # it is linear
        return value.item(), slope, torch.zeros(len(u), len(u), dtype=u.dtype)
    directions = torch.eye(len(u), dtype=u.dtype)
    (bend,) = torch.autograd.grad(slope, at, directions, is_grads_batched=True, materialize_grads=True)
    return value.item(), slope.detach(), -bend
