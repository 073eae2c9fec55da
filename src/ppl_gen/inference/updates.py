"""The steps of torch's commonest optimisers as functions of tensors, so that a graph can hold them.

Reference: Kingma and Ba 2015, Adam; Loshchilov and Hutter 2019, Decoupled weight decay regularization. Each
does the operations of torch.optim in their order: equal numbers, bit for bit.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Update:
    """One optimiser's rule.

    Attributes:
        states: what it remembers of each parameter, by torch's names; all start at zero.
        coefficients: (steps done, learning rate) -> the numbers of this step.
        step: (parameter, gradient, states, coefficients) -> the next parameter and states.
    """

    states: tuple[str, ...]
    coefficients: Callable[[int, float], Sequence[float]]
    step: Callable[[Tensor, Tensor, Sequence[Tensor], Tensor], tuple[Tensor, ...]]

    def state_of(self, optimiser: torch.optim.Optimizer, parameter: Tensor) -> list[Tensor]:
        """Copies of what ``optimiser`` remembers of a parameter."""
        kept = optimiser.state.get(parameter, {})
        found = (kept.get(name) for name in self.states)
        return [torch.zeros_like(parameter).detach() if v is None else v.clone() for v in found]


def update_of(optimiser: torch.optim.Optimizer) -> Update | None:
    """The rule of ``optimiser``, or None if it has none here: another class, or an unusual option."""
    (group,) = optimiser.param_groups
    rules = {torch.optim.Adam: _adam, torch.optim.AdamW: _adam, torch.optim.SGD: _sgd}
    unusual = ("amsgrad", "maximize", "capturable", "differentiable")
    numbers = [group["lr"], *group.get("betas", ())]
    if any(group.get(name) for name in unusual) or any(isinstance(v, Tensor) for v in numbers):
        return None
    rule = rules.get(type(optimiser))
    return rule(group, isinstance(optimiser, torch.optim.AdamW)) if rule else None


def _adam(group: Mapping[str, Any], decoupled: bool) -> Update:
    (b1, b2), eps, decay = group["betas"], group["eps"], group["weight_decay"]
    decoupled = group.get("decoupled_weight_decay", decoupled)

    def coefficients(done: int, lr: float) -> Sequence[float]:
        t = done + 1
        return -lr / (1 - b1**t), math.sqrt(1 - b2**t), 1 - lr * decay

    def step(w: Tensor, g: Tensor, states: Sequence[Tensor], c: Tensor) -> tuple[Tensor, ...]:
        m, v = states
        if decay and decoupled:
            w = w * c[2]
        elif decay:
            g = g + decay * w
        m = torch.lerp(m, g, 1 - b1)
        v = torch.addcmul(v * b2, g, g, value=1 - b2)
        return w + c[0] * m / (v.sqrt() / c[1] + eps), m, v

    return Update(("exp_avg", "exp_avg_sq"), coefficients, step)


def _sgd(group: Mapping[str, Any], _: bool) -> Update:
    momentum, decay, nesterov = group["momentum"], group["weight_decay"], group["nesterov"]

    def coefficients(done: int, lr: float) -> Sequence[float]:
        return -lr, 1.0 if done == 0 else 1.0 - group["dampening"]

    def step(w: Tensor, g: Tensor, states: Sequence[Tensor], c: Tensor) -> tuple[Tensor, ...]:
        if decay:
            g = g + decay * w
        if not momentum:
            return (w + c[0] * g,)
        velocity = momentum * states[0] + c[1] * g
        return w + c[0] * (g + momentum * velocity if nesterov else velocity), velocity

    return Update(("momentum_buffer",) if momentum else (), coefficients, step)
