"""Draws of one distribution in increasing order: the names of components that a prior tells apart."""

import math
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.errors import DataError


class Ordered(dist.TorchDistribution):
    """``size`` independent draws of ``base``, sorted: the density is size! times theirs, where they ascend.

    A prior that orders components, so that no labels can switch (David and Nagaraja 2003, Order Statistics,
    section 2.2). ``event_shape`` is (size,).

    Args:
        base: a continuous distribution of one real number. size: how many.

    Raises:
        DataError: ``base`` is of more than one number, or of no real one.

    >>> fn = Ordered(dist.Normal(0.0, 2.0), 3)
    >>> bool((fn.sample([100]).diff() > 0).all())
    True
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 (torch reads it off the class)
    support = constraints.ordered_vector
    has_rsample = True

    def __init__(self, base: Any, size: int, validate_args: bool | None = None):
        shape = (*base.batch_shape, *base.event_shape)
        if shape or base.support is not constraints.real:
            raise DataError(
                f"base: expected a distribution of one real number, got {type(base).__name__} of shape "
                f"{tuple(shape)}"
            )
        self.base, self.size = base, whole("size", size)
        super().__init__(torch.Size(), torch.Size([size]), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Ordered":
        new = self._get_checked_instance(Ordered, _instance)
        new.base, new.size = self.base, self.size
        super(Ordered, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size([*sample_shape, *self.batch_shape, self.size])
        drawn: Tensor = self.base.expand(shape).rsample()
        return drawn.sort(-1).values

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        total: Tensor = self.base.log_prob(value).sum(-1) + math.lgamma(self.size + 1)
        return torch.where((value.diff() > 0).all(-1), total, -torch.inf)
