"""Weights broken off a stick: the truncated Dirichlet process, and its conjugate family."""

from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor


def stick_lengths(v: Tensor) -> Tensor:
    """The weights that sticks leave: ``v_k`` of what those before it left, and the last all the rest.

    Args:
        v: the share (…, components - 1) that each takes.

    Returns:
        pi (…, components), which add up to one (Sethuraman 1994, A constructive definition of Dirichlet
        priors).

    >>> stick_lengths(torch.tensor([0.5, 0.5]))
    tensor([0.5000, 0.2500, 0.2500])
    """
    one = torch.ones_like(v[..., :1])
    left = torch.log1p(-v).cumsum(-1).exp()
    return torch.cat([v, one], -1) * torch.cat([one, left], -1)


class StickBreaking(NamedTuple):
    """``v_k ~ Beta(concentration[k])``, sticks of categories drawn with probabilities ``stick_lengths(v)``.

    With ``concentration`` (components - 1, 2) of rows (1, alpha) it is the Dirichlet process truncated at so
    many components (Ishwaran and James 2001, Gibbs sampling methods for stick-breaking priors); updated, the
    generalised Dirichlet of Connor and Mosimann (1969). Components later on the stick are smaller, so their
    order matters.

    >>> prior = StickBreaking(torch.ones(2, 2, dtype=torch.float64))
    >>> after = prior.updated(torch.tensor([2., 0., 1.], dtype=torch.float64))
    >>> after.concentration.tolist()
    [[3.0, 2.0], [1.0, 2.0]]
    >>> round((after.log_normalizer() - prior.log_normalizer()).exp().item(), 6)  # 2! 1! / 4! and 0! 1! / 2!
    0.041667
    """

    concentration: Tensor

    def updated(self, counts: Tensor) -> "StickBreaking":
        """Add the (possibly fractional) ``counts`` (components,) of each category, and of those after it."""
        later = counts.flip(-1).cumsum(-1).flip(-1)
        return StickBreaking(self.concentration + torch.stack([counts[:-1], later[1:]], -1))

    def flat(self) -> "StickBreaking":
        """The limit of a prior worth no rows."""
        return StickBreaking(torch.zeros_like(self.concentration))

    def merged(self, other: "StickBreaking", prior: "StickBreaking") -> "StickBreaking":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return StickBreaking(self.concentration + other.concentration - prior.concentration)

    def point(self) -> Tensor:
        """The sticks whose lengths are the frequencies, of a `flat` update; 1/2 where none are left."""
        total = self.concentration.sum(-1)
        return torch.where(total > 0, self.concentration[:, 0] / total, 0.5)

    def mode(self) -> tuple[Tensor]:
        """The peak of the sticks' density; 1/2 where it is flat, nan where it has none."""
        take, leave = (self.concentration - 1).unbind(-1)
        peak = torch.where(take + leave > 0, take / (take + leave), 0.5)
        return (torch.where((take < 0) | (leave < 0), torch.nan, peak),)

    def expected(self) -> tuple[tuple[Tensor], Tensor]:
        """``v`` such that E[log pi] is the log of its lengths and a constant; that, for each category."""
        c = self.concentration
        take, leave = (c.digamma() - c.sum(-1, keepdim=True).digamma()).unbind(-1)
        zero = take.new_zeros(1)
        logs = torch.cat([take, zero]) + torch.cat([zero, leave.cumsum(-1)])
        rest = logs.flip(-1).logcumsumexp(-1).flip(-1)
        return ((logs - rest)[:-1].exp(),), rest[0].expand_as(logs)

    def log_normalizer(self) -> Tensor:
        """log B of every stick, summed, a scalar."""
        return (self.concentration.lgamma().sum(-1) - self.concentration.sum(-1).lgamma()).sum()

    def predictive(self, pi: Tensor | None = None) -> dist.Categorical:
        """The next category, the sticks integrated out unless ``pi`` is given."""
        mean = self.concentration[:, 0] / self.concentration.sum(-1)
        return dist.Categorical(stick_lengths(mean) if pi is None else pi)
