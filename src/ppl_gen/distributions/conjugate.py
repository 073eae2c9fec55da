"""Conjugate families: hyperparameters, their update by weighted rows, evidence, predictive.

``log_normalizer`` is log Z with the observations' own constants charged to the pseudo-counts, so the log
evidence of an update is the log normalizer after minus the one before. Reference: Murphy 2007, Conjugate
Bayesian analysis of the Gaussian distribution; Bernardo and Smith 1994, appendix A.
"""

import math
from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor


class Dirichlet(NamedTuple):
    """``pi ~ Dirichlet(concentration)`` over categories drawn with probabilities pi.

    >>> prior = Dirichlet(torch.ones(2, dtype=torch.float64))
    >>> after = prior.updated(torch.tensor([3., 1.], dtype=torch.float64))
    >>> round((after.log_normalizer() - prior.log_normalizer()).exp().item(), 6)  # 3! 1! / 5!
    0.05
    """

    concentration: Tensor

    def updated(self, counts: Tensor) -> "Dirichlet":
        """Add the (possibly fractional) ``counts`` of each category."""
        return Dirichlet(self.concentration + counts)

    def log_normalizer(self) -> Tensor:
        """log B(concentration), a scalar."""
        a = self.concentration
        return (a.lgamma().sum(-1) - a.sum(-1).lgamma()).sum()

    def predictive(self) -> dist.Categorical:
        """The next category, pi integrated out."""
        return dist.Categorical(self.concentration / self.concentration.sum(-1, keepdim=True))


class NormalGamma(NamedTuple):
    """``tau ~ Gamma(shape, rate)``, ``mu | tau ~ Normal(loc, 1 / (strength tau))``; rows Normal(mu, 1 / tau).

    Every field is broadcast to the same shape, one cell for each (class, feature).

    >>> prior = NormalGamma(*torch.tensor([[0.], [1.], [1.], [1.]], dtype=torch.float64))
    >>> weights, rows = torch.ones(3, 1, dtype=torch.float64), torch.tensor([[1.], [2.], [3.]]).double()
    >>> [field.item() for field in prior.updated(weights, rows)]
    [1.5, 4.0, 2.5, 3.5]
    """

    loc: Tensor
    strength: Tensor
    shape: Tensor
    rate: Tensor

    def updated(self, weights: Tensor, rows: Tensor) -> "NormalGamma":
        """Bayes' rule on ``rows`` (n, features) that belong to each class with ``weights`` (n, classes).

        Missing cells (NaN) are left out, each by itself. Second moments are taken about the classes' own
        means, so offsets and scales of any size cost no digits.
        """
        seen = ~torch.isnan(rows)
        complete = bool(seen.all())
        x = rows if complete else torch.where(seen, rows, 0.0)
        count = weights.sum(0)[:, None] if complete else weights.T @ seen.to(x.dtype)
        safe = count.clamp(min=torch.finfo(x.dtype).tiny)
        centre = x.sum(0) / seen.sum(0).clamp(min=1)  # near the data, so that sums lose nothing
        y = torch.where(seen, x - centre, 0.0)
        shift = (weights.T @ y) / safe
        about = zip(weights.T, shift, strict=True)
        squares = torch.stack([w @ torch.where(seen, (y - m) ** 2, 0.0) for w, m in about])
        mean = torch.where(count > 0, centre + shift, self.loc)
        strength = self.strength + count
        return NormalGamma(
            self.loc + count / strength * (mean - self.loc),
            strength.expand_as(squares),
            (self.shape + count / 2).expand_as(squares),
            self.rate + squares / 2 + self.strength * count * (mean - self.loc) ** 2 / (2 * strength),
        )

    def log_normalizer(self) -> Tensor:
        """log of the integral of (2 pi)^(-strength / 2) times the unnormalised density, a scalar."""
        cells = (
            self.shape.lgamma()
            - self.shape * self.rate.log()
            - 0.5 * self.strength.log()
            - 0.5 * math.log(2 * math.pi) * self.strength
        )
        return cells.sum()

    def predictive(self) -> dist.StudentT:
        """The next row, mu and tau integrated out (Murphy 2007, equation 110)."""
        spread = (self.rate * (self.strength + 1) / (self.shape * self.strength)).sqrt()
        return dist.StudentT(2 * self.shape, self.loc, spread)


class SharedNormalGamma(NamedTuple):
    """`NormalGamma` with one precision for each feature, which the classes share.

    ``tau ~ Gamma(shape, rate)``, shape (features,), and ``mu | tau ~ Normal(loc, 1 / (strength tau))``, shape
    (classes, features).

    >>> prior = SharedNormalGamma(*torch.tensor([[[0.]], [[1.]]]).double(), *torch.ones(2, 1).double())
    >>> weights, rows = torch.ones(3, 1).double(), torch.tensor([[1.], [2.], [3.]]).double()
    >>> [field.item() for field in prior.updated(weights, rows)]
    [1.5, 4.0, 2.5, 3.5]
    """

    loc: Tensor
    strength: Tensor
    shape: Tensor
    rate: Tensor

    def updated(self, weights: Tensor, rows: Tensor) -> "SharedNormalGamma":
        """Bayes' rule as for `NormalGamma`; what the classes say about the precision is pooled."""
        zero = torch.zeros_like(self.loc)
        each = NormalGamma(self.loc, self.strength, zero, zero).updated(weights, rows)
        shape, rate = self.shape + each.shape.sum(0), self.rate + each.rate.sum(0)
        return SharedNormalGamma(each.loc, each.strength, shape, rate)

    def log_normalizer(self) -> Tensor:
        """As for `NormalGamma`, with one precision: a scalar."""
        means = -0.5 * self.strength.log() - 0.5 * math.log(2 * math.pi) * self.strength
        return means.sum() + (self.shape.lgamma() - self.shape * self.rate.log()).sum()

    def predictive(self) -> dist.StudentT:
        """The next row, mu and tau integrated out."""
        return NormalGamma(*self).predictive()
