"""What modules remember from step to step beside their parameters, such as the means of a batch norm."""

import torch
from torch import Tensor, nn


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
        self.held = [value.detach().clone() for value in self._now()]
        self.moving: list[bool] = []
        self.seen = [(value, value._version) for value in self._now()]

    def keep(self) -> None:
        """After a good step: hold what it has left."""
        now = self._now()
        self.moving = self.moving or [not torch.equal(a, b) for a, b in zip(now, self.held, strict=True)]
        for i, value in enumerate(now):
            before, version = self.seen[i]
            if self.moving[i] or value is not before or value._version != version:
                self.held[i], self.seen[i] = value.detach().clone(), (value, value._version)

    def back(self) -> None:
        """To what was held last."""
        for (owner, name), held, (value, _) in zip(self.places, self.held, self.seen, strict=True):
            owner[name] = value
            if not torch.equal(value, held):
                value.detach().copy_(held)
        self.seen = [(value, value._version) for value in self._now()]

    def _now(self) -> list[Tensor]:
        found = (owner[name] for owner, name in self.places)
        return [value for value in found if value is not None]
