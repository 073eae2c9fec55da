"""What modules remember from step to step beside their parameters, such as the means of a batch norm."""

from operator import is_
from typing import Any

import torch
from torch import nn


class Buffers:
    """The buffers of modules as they were after the last good step.

    Of those that the first step left as they were, copies are made only when they are written to (torch
    counts that, but not what its batch norms write).

    >>> norm = nn.BatchNorm1d(1)
    >>> buffers = Buffers(norm)
    >>> _ = norm(torch.tensor([[torch.nan], [1.0]]))
    >>> buffers.back()
    >>> norm.running_mean, norm.num_batches_tracked
    (tensor([0.]), tensor(0))
    """

    def __init__(self, modules: nn.Module):
        owners = [module._buffers for module in modules.modules()]
        self.places = [(owner, name) for owner in owners for name, held in owner.items() if held is not None]
        self.values = self._now()
        self.versions = [value._version for value in self.values]
        self.held = [value.detach().clone() for value in self.values]
        self.moving: set[int] | None = None

    def keep(self) -> None:
        """After a good step: hold what it has left."""
        now = self._now()
        versions = [value._version for value in now]
        if self.moving is None:
            self.moving = {i for i, value in enumerate(now) if not torch.equal(value, self.held[i])}
        if not self.moving and versions == self.versions and all(map(is_, now, self.values)):
            return
        for i, value in enumerate(now):
            if i in self.moving or value is not self.values[i] or versions[i] != self.versions[i]:
                self.held[i] = value.detach().clone()
        self.values, self.versions = now, versions

    def back(self) -> None:
        """To what was held last."""
        for (owner, name), held, value in zip(self.places, self.held, self.values, strict=True):
            owner[name] = value
            if not torch.equal(value, held):
                value.detach().copy_(held)
        self.versions = [value._version for value in self.values]

    def _now(self) -> list[Any]:
        return [owner[name] for owner, name in self.places]
