"""When to stop: the ELBO's gain from one window of steps to the next, with its standard error."""

import math
from collections.abc import Sequence
from typing import NamedTuple

_BLOCKS = 10  # of a window: neighbouring steps are not independent, means of blocks nearly are


class Gain(NamedTuple):
    """How much higher the last window's mean ELBO is than that of the window before, in nats."""

    nats: float
    standard_error: float
    window: int

    def __str__(self) -> str:
        return f"{self.nats:.3g} ± {self.standard_error:.2g} nats in the last {self.window} steps"

    def below(self, tolerance: float) -> bool:
        """Whether even a gain of two standard errors more would be smaller than ``tolerance`` nats."""
        return self.nats + 2 * self.standard_error < tolerance


def gain(elbo: Sequence[float], window: int) -> Gain:
    """The gain of the last ``window`` values over as many before them; its error is from means of blocks.

    >>> g = gain([1.0] * 20 + [3.0] * 20, window=20)
    >>> g.nats, g.standard_error, g.below(1.0)
    (2.0, 0.0, False)
    """
    halves = elbo[-2 * window : -window], elbo[-window:]
    (a, var_a), (b, var_b) = (_mean_and_variance(half) for half in halves)
    return Gain(b - a, math.sqrt(var_a + var_b), window)


def _mean_and_variance(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the variance of that mean."""
    size = len(values) // _BLOCKS
    means = [sum(values[i * size : (i + 1) * size]) / size for i in range(_BLOCKS)]
    mean = sum(means) / _BLOCKS
    return mean, sum((m - mean) ** 2 for m in means) / (_BLOCKS - 1) / _BLOCKS
