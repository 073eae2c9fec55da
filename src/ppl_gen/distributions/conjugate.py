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

from ppl_gen.distributions.moments import Moments


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

    def flat(self) -> "Dirichlet":
        """The limit of a prior worth no rows."""
        return Dirichlet(torch.zeros_like(self.concentration))

    def merged(self, other: "Dirichlet", prior: "Dirichlet") -> "Dirichlet":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return Dirichlet(self.concentration + other.concentration - prior.concentration)

    def point(self, smoothing: float = 0.0) -> Tensor:
        """The frequencies, each count raised by ``smoothing`` (Laplace, Lidstone), of a `flat` update."""
        counts = self.concentration + smoothing
        return counts / counts.sum(-1, keepdim=True)

    def mode(self) -> tuple[Tensor]:
        """The peak of the density; on the simplex' border where it has none inside."""
        counts = (self.concentration - 1).clamp(min=0)
        total = counts.sum(-1, keepdim=True)
        return (torch.where(total > 0, counts / total, 1 / counts.shape[-1]),)

    def expected(self) -> tuple[tuple[Tensor], Tensor]:
        """``pi`` such that E[log pi] is log pi and a constant, and that constant for each category."""
        logs = self.concentration.digamma() - self.concentration.sum(-1, keepdim=True).digamma()
        return (logs.softmax(-1),), logs.logsumexp(-1, keepdim=True).expand_as(logs)

    def log_normalizer(self) -> Tensor:
        """log B(concentration), a scalar."""
        a = self.concentration
        return (a.lgamma().sum(-1) - a.sum(-1).lgamma()).sum()

    def predictive(self, pi: Tensor | None = None) -> dist.Categorical:
        """The next category, pi integrated out unless it is given."""
        return dist.Categorical(
            self.concentration / self.concentration.sum(-1, keepdim=True) if pi is None else pi
        )


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

    def updated(self, belong: Tensor, rows: Tensor) -> "NormalGamma":
        """Bayes' rule on ``rows`` (n, features), each of a class (n,) or of all by weights (n, classes).

        Missing cells (NaN) are left out, each by itself.
        """
        classes = belong.shape[1] if belong.dim() == 2 else len(self.rate)
        return self.given(Moments.of(rows, belong, classes))

    def given(self, data: Moments) -> "NormalGamma":
        """Bayes' rule on rows of which the moments are known."""
        strength = self.strength + data.counts
        share = torch.where(data.counts > 0, data.counts / strength, 0.0)
        apart = torch.where(data.counts > 0, data.mean - self.loc, 0.0)
        return NormalGamma(
            self.loc + share * apart,
            strength,
            self.shape + data.counts / 2,
            self.rate + data.squares / 2 + self.strength * share * apart.square() / 2,
        )

    def flat(self) -> "NormalGamma":
        """The limit of a prior worth no rows; updated, it holds the moments of the data and nothing else."""
        return NormalGamma(self.loc, *(torch.zeros_like(field) for field in self[1:]))

    def moments(self, prior: "NormalGamma") -> Moments:
        """The moments of the rows that led here from ``prior``."""
        count = self.strength - prior.strength
        mean = self.loc + torch.where(count > 0, prior.strength / count * (self.loc - prior.loc), 0.0)
        share = torch.where(count > 0, count / self.strength, 0.0)
        squares = 2 * (self.rate - prior.rate) - prior.strength * share * (mean - prior.loc).square()
        return Moments(count, mean, squares.clamp(min=0))

    def merged(self, other: "NormalGamma", prior: "NormalGamma") -> "NormalGamma":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return self.given(other.moments(prior))

    def point(self, smoothing: float = 1e-9, ridge: float = 0.0) -> tuple[Tensor, Tensor]:
        """The mean and the precision of largest likelihood, of a `flat` prior's update.

        The largest variance of a feature over all rows, times ``smoothing``, is added to every variance, and
        so is ``ridge``.
        """
        rows = Moments(self.strength, self.loc, 2 * self.rate)
        centre, spread = rows.pooled()
        variance = torch.where(rows.counts > 0, rows.squares / rows.counts, spread)
        variance = variance + smoothing * spread.max() + ridge
        return torch.where(rows.counts > 0, rows.mean, centre), 1 / variance

    def mode(self) -> tuple[Tensor, Tensor]:
        """``tau`` and ``mu`` at the peak of their density, which needs a shape above 1/2."""
        return (self.shape - 0.5) / self.rate, self.loc

    def expected(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """``tau`` and ``mu`` whose log density of a cell is the expected one less a constant; these."""
        constant = self.shape.digamma() - self.shape.log() - 1 / self.strength
        return (self.shape / self.rate, self.loc), 0.5 * constant

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

    def flat(self) -> "SharedNormalGamma":
        """The limit of a prior worth no rows."""
        return SharedNormalGamma(self.loc, *(torch.zeros_like(field) for field in self[1:]))

    def merged(self, other: "SharedNormalGamma", prior: "SharedNormalGamma") -> "SharedNormalGamma":
        """What both say who learned from one ``prior``, each from rows of its own."""
        mine, theirs, before = (
            NormalGamma(p.loc, p.strength, *[0 * p.loc] * 2) for p in (self, other, prior)
        )
        rows = theirs.moments(before)  # less their squares, which are pooled
        each = mine.given(rows)
        apart = before.given(rows).rate - each.rate  # what the means' distances add to the rate
        shape = self.shape + other.shape - prior.shape
        return SharedNormalGamma(
            each.loc, each.strength, shape, self.rate + other.rate - prior.rate - apart.sum(0)
        )

    def point(self, smoothing: float = 1e-9) -> tuple[Tensor, Tensor]:
        """The means and the shared precision of largest likelihood, of a `flat` prior's update.

        The largest variance of a feature over all rows, times ``smoothing``, is added to every variance.
        """
        total = self.strength.sum(0)
        centre = (self.strength * self.loc).sum(0) / total
        mean = torch.where(self.strength > 0, self.loc, centre)
        spread = (2 * self.rate + (self.strength * (mean - centre).square()).sum(0)) / total
        return mean, 1 / (self.rate / self.shape + smoothing * spread.max())

    def mode(self) -> tuple[Tensor, Tensor]:
        """``tau`` and ``mu`` at the peak of their density."""
        return (self.shape - 1 + 0.5 * len(self.loc)) / self.rate, self.loc

    def expected(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """As for `NormalGamma`."""
        (tau, mu), constant = NormalGamma(*self).expected()
        return (tau, mu), constant

    def log_normalizer(self) -> Tensor:
        """As for `NormalGamma`, with one precision: a scalar."""
        means = -0.5 * self.strength.log() - 0.5 * math.log(2 * math.pi) * self.strength
        return means.sum() + (self.shape.lgamma() - self.shape * self.rate.log()).sum()

    def predictive(self) -> dist.StudentT:
        """The next row, mu and tau integrated out."""
        return NormalGamma(*self).predictive()
