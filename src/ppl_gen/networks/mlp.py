"""Multilayer perceptrons."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ppl_gen.errors import DataError


def mlp(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    dropout: float = 0.0,
    activation: Callable[[], nn.Module] = nn.SiLU,
) -> nn.Sequential:
    """Linear layers of sizes ``inputs``, ``*hidden``, ``outputs`` with ``activation`` between them.

    >>> mlp(4, [8], 2)
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): SiLU()
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), activation(), *([nn.Dropout(dropout)] if dropout else [])]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def check_network(name: str, network: nn.Module, inputs: int, outputs: int) -> None:
    """Refuse a network that does not map (n, inputs) to (n, outputs).

    >>> check_network("decoder", nn.Linear(2, 8), 2, 3)
    Traceback (most recent call last):
    ...
    ppl_gen.errors.DataError: decoder: expected a network from (n, 2) to (n, 3), got one to (2, 8)
    """
    weights = next(network.parameters(), torch.zeros(()))
    training = network.training
    try:
        with torch.no_grad():
            out = network.eval()(torch.zeros(2, inputs, dtype=weights.dtype, device=weights.device))
        came = f"one to {tuple(out.shape)}" if tuple(out.shape) != (2, outputs) else ""
    except RuntimeError as error:
        came = f"one that cannot take it: {str(error).splitlines()[0]}"
    finally:
        network.train(training)
    if came:
        raise DataError(f"{name}: expected a network from (n, {inputs}) to (n, {outputs}), got {came}")
