"""Vectors of counts with a random total: a negative binomial times a Dirichlet-multinomial."""

from typing import Any, ClassVar

import torch
from pyro import distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import broadcast_all


class CountVector(TorchDistribution):
    """``x_j ~ Poisson(lam theta_j)``, ``theta ~ Dirichlet(pseudocount)``, ``lam ~ Gamma(shape, rate)``.

    The same as a total from Gamma-Poisson(shape, rate), shared out by a Dirichlet-multinomial.

    Args:
        pseudocount: (…, features).
        shape, rate: (…).

    >>> x = CountVector(torch.ones(2).double(), torch.tensor(1.).double(), torch.tensor(1.).double())
    >>> x.log_prob(torch.tensor([1., 0.]).double()).exp()  # a total of one has probability 1/4
    tensor(0.1250, dtype=torch.float64)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "pseudocount": constraints.independent(constraints.positive, 1),
        "shape_": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.independent(constraints.nonnegative_integer, 1)

    def __init__(self, pseudocount: Tensor, shape: Tensor, rate: Tensor, validate_args: Any = None):
        total, self.shape_, self.rate = broadcast_all(pseudocount.sum(-1), shape, rate)
        self.pseudocount = pseudocount.expand(*total.shape, -1)
        super().__init__(total.shape, pseudocount.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "CountVector":
        """The same for another batch shape."""
        features = self.event_shape[0]
        parts = (self.shape_.expand(batch_shape), self.rate.expand(batch_shape))
        return CountVector(
            self.pseudocount.expand(*batch_shape, features), *parts, validate_args=self._validate_args
        )

    @property
    def mean(self) -> Tensor:
        """Expected counts (…, features)."""
        share = self.pseudocount / self.pseudocount.sum(-1, keepdim=True)
        return (self.shape_ / self.rate)[..., None] * share

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw probabilities and length, then counts."""
        theta = dist.Dirichlet(self.pseudocount).sample(sample_shape)
        lam = dist.Gamma(self.shape_, self.rate).sample(sample_shape)
        return torch.poisson(lam[..., None] * theta)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(value), (…)."""
        if self._validate_args:
            self._validate_sample(value)
        return self.log_prob_of_seen(value, torch.ones_like(value, dtype=torch.bool))

    def log_prob_of_seen(self, value: Tensor, seen: Tensor) -> Tensor:
        """log p of the ``seen`` cells, the missing ones summed out.

        The seen share s of theta is Beta(seen, missing pseudo-counts); its integral with lam is Gauss'
        hypergeometric function, by Pfaff's transformation a series of positive terms.
        """
        c, a, b = self.pseudocount, self.shape_, self.rate
        x = torch.where(seen, value, 0.0)
        m, total = x.sum(-1), c.sum(-1)
        missing = torch.where(seen, 0.0, c).sum(-1)
        cells = (c + x).lgamma() - c.lgamma() - (x + 1).lgamma()
        shared_out = torch.where(seen, cells, 0.0).sum(-1) + total.lgamma() - (total + m).lgamma()
        length = (a + m).lgamma() - a.lgamma() - a * (1 / b).log1p() - m * b.log1p()
        if not bool(missing.any()):
            return shared_out + length
        return shared_out + length + log_hypergeometric(a + m, missing, total + m, 1 / (1 + b))


def log_hypergeometric(a: Tensor, b: Tensor, c: Tensor, z: Tensor) -> Tensor:
    """log of Gauss' 2F1(a, b; c; z) for a, c > 0, b >= 0 and 0 <= z < 1, where every term is positive.

    >>> one = torch.tensor(1.).double()
    >>> log_hypergeometric(one, one, 2 * one, one / 2).exp()  # -log(1 - z) / z
    tensor(1.3863, dtype=torch.float64)
    """
    a, b, c, z = broadcast_all(a, b, c, z)
    total, last = torch.zeros_like(a), torch.zeros_like(a)
    for first in range(0, 1 << 20, 32):
        k = torch.arange(first, first + 32, dtype=a.dtype)
        ratio = (a[..., None] + k) * (b[..., None] + k) * z[..., None] / ((c[..., None] + k) * (k + 1))
        terms = last[..., None] + ratio.log().cumsum(-1)
        total, last = total.logaddexp(terms.logsumexp(-1)), terms[..., -1]
        ratio = ratio[..., -1].maximum(z)  # the terms to come fall at least like a geometric series
        if bool(((ratio < 1) & (last - torch.log1p(-ratio.clamp(max=1 - 1e-12)) < total - 40)).all()):
            break
    return total
