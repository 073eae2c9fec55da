"""A real number known by its bin: uniform between the bin's edges."""

from typing import Any, ClassVar, NamedTuple

import torch
from pyro import distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.distributions.conjugate import Dirichlet


def bin_of(value: Tensor, edges: Tensor) -> Tensor:
    """The code of each value's bin: from an edge up to, not including, the next; the last holds its end too.

    >>> bin_of(torch.tensor([0.0, 0.5, 1.0, 3.0]), torch.tensor([0.0, 1.0, 3.0]))
    tensor([0, 0, 1, 1])
    """
    return torch.bucketize(value.contiguous(), edges[1:-1], right=True)


class UniformBin(TorchDistribution):
    """Uniform between edge ``code`` and the next.

    Args:
        code: (...), from 0.
        edges: (bins + 1,), rising.

    >>> fn = UniformBin(torch.tensor([0, 1]), torch.tensor([0.0, 1.0, 3.0]))
    >>> fn.log_prob(torch.tensor(2.0)).exp()
    tensor([0.0000, 0.5000])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, code: Tensor, edges: Tensor, validate_args: bool | None = None):
        self.code, self.edges = code, edges
        super().__init__(code.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """From the first edge to the last, whatever the bin: elsewhere in there the density is zero."""
        return constraints.interval(self.edges[0], self.edges[-1])

    def expand(self, batch_shape: Any, _instance: Any = None) -> "UniformBin":
        """The same for another batch shape."""
        return UniformBin(self.code.expand(batch_shape), self.edges, self._validate_args)

    @property
    def mean(self) -> Tensor:
        """The bin's middle."""
        return (self.edges[self.code] + self.edges[self.code + 1]) / 2

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw within the bin."""
        share = torch.rand(self._extended_shape(sample_shape), dtype=self.edges.dtype)
        low, high = self.edges[self.code], self.edges[self.code + 1]
        return low + share * (high - low)

    def log_prob(self, value: Tensor) -> Tensor:
        """Minus log of the bin's width where the value lies in it, else -inf."""
        if self._validate_args:
            self._validate_sample(value)
        width = self.edges[self.code + 1] - self.edges[self.code]
        outside = (
            (value < self.edges[0]) | (value > self.edges[-1]) | (bin_of(value, self.edges) != self.code)
        )
        return -width.log().masked_fill(outside, torch.inf)


class Histogram(NamedTuple):
    """``pi ~ Dirichlet(concentration)`` over bins, for real numbers that are uniform in their bins.

    ``concentration`` is (bins,), ``edges`` (bins + 1,). The log of a density in a bin is charged to
    the bin's count, as in `ppl_gen.distributions.conjugate`.

    >>> prior = Histogram(torch.ones(2).double(), torch.tensor([0.0, 1.0, 3.0]).double())
    >>> after = prior.updated(torch.tensor([2.0]).double())
    >>> round((after.log_normalizer() - prior.log_normalizer()).exp().item(), 6)  # 1 / 2, and 1 / 2 in it
    0.25
    """

    concentration: Tensor
    edges: Tensor

    def updated(self, values: Tensor) -> "Histogram":
        """Count the ``values`` (n,) of each bin."""
        counts = torch.bincount(bin_of(values, self.edges), minlength=len(self.concentration))
        return self._replace(concentration=self.concentration + counts)

    def flat(self) -> "Histogram":
        """The limit of a prior worth no rows."""
        return self._replace(concentration=torch.zeros_like(self.concentration))

    def merged(self, other: "Histogram", prior: "Histogram") -> "Histogram":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return self._replace(concentration=self.concentration + other.concentration - prior.concentration)

    def point(self, smoothing: float = 0.0) -> Tensor:
        """The frequencies, each count raised by ``smoothing``, of a `flat` prior's update."""
        return Dirichlet(self.concentration).point(smoothing)

    def log_normalizer(self) -> Tensor:
        """log B(concentration) and the densities in the bins, a scalar."""
        inside = (self.concentration * self.edges.diff().log()).sum()
        return Dirichlet(self.concentration).log_normalizer() - inside

    def predictive(self) -> dist.Categorical:
        """The bin of the next number, pi integrated out."""
        return Dirichlet(self.concentration).predictive()
