"""Multilayer perceptrons."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ppl_gen.arrays import refuse_codes
from ppl_gen.checks import visible
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


def beside(x: Tensor, y: Tensor, classes: int) -> Tensor:
    """``x`` (…, features) and beside it the class ``y`` (…) as a vector of zeros and one 1.

    Leading dimensions broadcast: a class for each row, or every class for all rows.

    >>> beside(torch.zeros(2, 1), torch.tensor([1, 0]), classes=2)
    tensor([[0., 0., 1.],
            [0., 1., 0.]])
    """
    marks = (y.unsqueeze(-1) == torch.arange(classes, device=y.device)).to(x.dtype)
    known = marks.sum(-1, keepdim=True) == 1
    if not visible():
        marks = torch.where(known, marks, torch.nan)  # so that no step of a graph takes it for a class
    elif not bool(known.all()):
        refuse_codes("y", y, classes)
    rows = torch.broadcast_shapes(x.shape[:-1], marks.shape[:-1])
    return torch.cat([x.expand(*rows, -1), marks.expand(*rows, -1)], -1)
