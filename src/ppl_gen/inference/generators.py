"""Random numbers apart from those of the steps."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


class Generators:
    """Random generators of its own, in the place of the process's while it calls a function."""

    def __init__(self, seed: int):
        self.states: Any = None
        self.seed = seed

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        before = _states()
        if self.states is None:
            _seed(self.seed)
        else:
            _restore(self.states)
        try:
            return function(*args)
        finally:
            self.states = _states()
            _restore(before)

    def used_by(self, function: Callable[..., Any], *args: Any) -> bool:
        """Whether the function draws random numbers."""
        self(lambda: None)
        before = self.states
        self(function, *args)
        torch_, numpy, python = zip(before, self.states, strict=True)
        same = numpy[0][2] == numpy[1][2] and bool((numpy[0][1] == numpy[1][1]).all())
        return not (torch.equal(*torch_) and same and python[0] == python[1])


def _states() -> Any:
    return torch.get_rng_state(), np.random.get_state(), random.getstate()


def _restore(states: Any) -> None:
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


def _seed(seed: int) -> None:
    torch.default_generator.manual_seed(seed % 2**63)
    np.random.seed(seed % 2**32)
    random.seed(seed)
