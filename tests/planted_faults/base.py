"""What a planted fault is: a program that makes a posterior, and the name under which it must be found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ppl_gen.inference.method import Fitted
from ppl_gen.posterior import Posterior

REAL = torch.float64


@dataclass(frozen=True)
class Planted:
    """``make(seed)`` gives the posterior; ``expected`` is one of FAULTS, or empty for a sound fit."""

    name: str
    expected: str
    make: Callable[[int], Posterior]
    slow: bool = False
    options: dict[str, Any] = field(default_factory=dict)


PLANTED: list[Planted] = []
SOUND: list[Planted] = []
HELD_OUT: list[Planted] = []  # of both kinds
HELD_OUT_AGAIN: list[Planted] = []  # likewise, written when the first had been seen


def planted(expected: str, slow: bool = False, **options: Any) -> Callable[..., Any]:
    """Register a function of the seed as a fault to be found."""

    def register(make: Callable[[int], Posterior]) -> Callable[[int], Posterior]:
        PLANTED.append(Planted(make.__name__, expected, make, slow, options))
        return make

    return register


def sound(slow: bool = False, **options: Any) -> Callable[..., Any]:
    """Register a function of the seed as a fit in which nothing must be found."""

    def register(make: Callable[[int], Posterior]) -> Callable[[int], Posterior]:
        SOUND.append(Planted(make.__name__, "", make, slow, options))
        return make

    return register


def normal(seed: int, *shape: int) -> Tensor:
    """Standard normal numbers of float64, by a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=REAL)


def uniform(seed: int, *shape: int) -> Tensor:
    """Numbers between 0 and 1."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=REAL)


def real(value: float) -> Tensor:
    """A scalar of float64."""
    return torch.tensor(value, dtype=REAL)


@dataclass(frozen=True)
class Found:
    """Inference by hand: a guide that somebody found somehow, whatever they minimised.

    Attributes:
        guide: from the model and the data to a guide. batch_size: that they say they used.
    """

    guide: Callable[..., Any]
    batch_size: int = 0
    seed: int = 0

    def fit(self, start: Any, guide: Any, data: Any, prior: Any = None) -> Fitted:
        """The guide as it is."""
        return Fitted(start, self.guide, torch.zeros(0, dtype=REAL))
