"""How what cannot be summed is integrated: by the average of draws, or bounded."""

from dataclasses import dataclass

from ppl_gen.checks import whole
from ppl_gen.errors import DataError


@dataclass(frozen=True)
class Importance:
    """Integrate what cannot be summed by averaging ``draws`` draws: of posterior, guide or prior."""

    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        whole("draws", self.draws, least=2)


@dataclass(frozen=True)
class LowerBound(Importance):
    """The mean of log weights instead of the log of their mean: never above the truth (Jensen), no k-hat.

    Args:
        draws, seed: as of `Importance`.
        k: how many draws are averaged inside the logarithm: 1 gives the ELBO, more the importance-weighted
            bound (Burda, Grosse and Salakhutdinov 2016), which rises with ``k`` to the truth.
    """

    draws: int = 100
    k: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws % whole("k", self.k) or self.draws < 2 * self.k:
            raise DataError(f"draws: expected a multiple of k={self.k}, twice it or more, got {self.draws}")
