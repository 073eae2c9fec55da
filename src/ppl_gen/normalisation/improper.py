"""Improper variables, which have neither a sampler nor a constant."""

from typing import Any

import pyro
import torch
from pyro.poutine.messenger import Messenger
from torch.distributions import biject_to


class Proper(Messenger):
    """Stand-ins for draws of improper distributions."""

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        fn = msg["fn"]
        if is_improper(fn) and msg["value"] is None:
            msg["value"] = biject_to(fn.support)(torch.randn(fn.shape()))
            msg["done"] = True


def is_improper(fn: Any) -> bool:
    """Whether a distribution is flat over its support, up to a constant that does not exist."""
    while isinstance(fn, torch.distributions.Independent):
        fn = fn.base_dist
    return isinstance(fn, pyro.distributions.ImproperUniform)
