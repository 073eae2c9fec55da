"""The conjugate family of rows whose features share one precision."""

import math
from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor

from ppl_gen.distributions.conjugate import NormalGamma


class SphericalNormalGamma(NamedTuple):
    """`NormalGamma` with one precision for each class, which its features share.

    ``tau ~ Gamma(shape, rate)``, shape (classes,), and ``mu | tau ~ Normal(loc, 1 / (strength tau))``, shape
    (classes, features).

    >>> prior = SphericalNormalGamma(*torch.tensor([[[0.]], [[1.]]]).double(), *torch.ones(2, 1).double())
    >>> weights, rows = torch.ones(3, 1).double(), torch.tensor([[1.], [2.], [3.]]).double()
    >>> [field.item() for field in prior.updated(weights, rows)]
    [1.5, 4.0, 2.5, 3.5]
    """

    loc: Tensor
    strength: Tensor
    shape: Tensor
    rate: Tensor

    def updated(self, weights: Tensor, rows: Tensor) -> "SphericalNormalGamma":
        """Bayes' rule as for `NormalGamma`; what the features say about the precision is pooled."""
        zero = torch.zeros_like(self.loc)
        each = NormalGamma(self.loc, self.strength, zero, zero).updated(weights, rows)
        return SphericalNormalGamma(
            each.loc, each.strength, self.shape + each.shape.sum(1), self.rate + each.rate.sum(1)
        )

    def flat(self) -> "SphericalNormalGamma":
        """The limit of a prior worth no rows."""
        return SphericalNormalGamma(self.loc, *(torch.zeros_like(field) for field in self[1:]))

    def merged(self, other: "SphericalNormalGamma", prior: "SphericalNormalGamma") -> "SphericalNormalGamma":
        """What both say who learned from one ``prior``, each from rows of its own."""
        mine, theirs, before = (
            NormalGamma(p.loc, p.strength, *[0 * p.loc] * 2) for p in (self, other, prior)
        )
        rows = theirs.moments(before)  # less their squares, which are pooled
        each = mine.given(rows)
        apart = before.given(rows).rate - each.rate  # what the means' distances add to the rate
        shape, rate = (a + b - c for a, b, c in zip(self[2:], other[2:], prior[2:], strict=True))
        return SphericalNormalGamma(each.loc, each.strength, shape, rate - apart.sum(1))

    def point(self, smoothing: float = 1e-9, ridge: float = 0.0) -> tuple[Tensor, Tensor]:
        """The means and the precisions of largest likelihood, of a `flat` prior's update.

        The mean variance of a feature over all rows, times ``smoothing``, is added to every variance, and so
        is ``ridge``; a class without rows has that variance, and the mean of all rows.
        """
        total = self.strength.sum(0)
        centre = (self.strength * self.loc).sum(0) / total
        mean = torch.where(self.strength > 0, self.loc, centre)
        apart = (self.strength * (mean - centre).square()).sum()
        spread = (2 * self.rate.sum() + apart) / total.sum()
        variance = torch.where(self.shape > 0, self.rate / self.shape, spread)
        return mean, 1 / (variance + smoothing * spread + ridge)

    def mode(self) -> tuple[Tensor, Tensor]:
        """``tau`` and ``mu`` at the peak of their density."""
        return (self.shape - 1 + 0.5 * self.loc.shape[1]) / self.rate, self.loc

    def expected(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """``tau`` and ``mu`` whose log density of a cell is the expected one less a constant; these."""
        constant = (self.shape.digamma() - self.shape.log())[:, None] - 1 / self.strength
        return (self.shape / self.rate, self.loc), 0.5 * constant

    def log_normalizer(self) -> Tensor:
        """As for `NormalGamma`, with one precision a class: a scalar."""
        means = -0.5 * self.strength.log() - 0.5 * math.log(2 * math.pi) * self.strength
        return means.sum() + (self.shape.lgamma() - self.shape * self.rate.log()).sum()

    def predictive(self) -> dist.MultivariateStudentT:
        """The next row of each class, mu and tau integrated out: batch shape (classes,)."""
        spread = (self.rate[:, None] * (1 + 1 / self.strength) / self.shape[:, None]).sqrt()
        return dist.MultivariateStudentT(2 * self.shape, self.loc, torch.diag_embed(spread))
