"""Conjugate families of discrete observations: zeros and ones, counts, categories, vectors of counts.

Every ``updated(weights, rows)`` takes rows (n, features) that belong to each class with ``weights``
(n, classes), hard or soft, and leaves missing cells (NaN) out, each by itself. ``log_normalizer`` and
``predictive`` are as in `ppl_gen.distributions.conjugate`. Reference: Bernardo and Smith 1994, appendix A.
"""

from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor

from ppl_gen.distributions.categories import ColumnCategorical
from ppl_gen.distributions.count_vector import CountVector
from ppl_gen.errors import DataError


def _seen(rows: Tensor) -> tuple[Tensor, Tensor]:
    """One where a cell is there, and the cells with zeros where they are not."""
    seen = ~torch.isnan(rows)
    return seen.to(rows.dtype), torch.where(seen, rows, 0.0)


class Beta(NamedTuple):
    """``theta ~ Beta(ones, zeros)`` for rows of zeros and ones; one cell for each (class, feature).

    >>> prior = Beta(*torch.ones(2, 1, 1).double())
    >>> rows = torch.tensor([[1.], [1.], [0.], [torch.nan]]).double()
    >>> after = prior.updated(torch.ones(4, 1).double(), rows)
    >>> [field.item() for field in after]
    [3.0, 2.0]
    >>> round((after.log_normalizer() - prior.log_normalizer()).exp().item(), 6)  # 2! 1! / 4!
    0.083333
    """

    ones: Tensor
    zeros: Tensor

    def updated(self, weights: Tensor, rows: Tensor) -> "Beta":
        """Count the ones and the zeros of each class."""
        seen, x = _seen(rows)
        ones = weights.T @ x
        return Beta(self.ones + ones, self.zeros + weights.T @ seen - ones)

    def flat(self) -> "Beta":
        """The limit of a prior worth no rows."""
        return Beta(*(torch.zeros_like(field) for field in self))

    def merged(self, other: "Beta", prior: "Beta") -> "Beta":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return Beta(*(a + b - c for a, b, c in zip(self, other, prior, strict=True)))

    def point(self, smoothing: float = 1.0) -> Tensor:
        """The frequency of ones, of a `flat` prior's update; both counts are raised by ``smoothing``."""
        ones, zeros = self.ones + smoothing, self.zeros + smoothing
        return torch.where(ones + zeros > 0, ones / (ones + zeros), 0.5)

    def mode(self) -> tuple[Tensor]:
        """The peak of the density; 1/2 where it has none."""
        ones, zeros = (self.ones - 1).clamp(min=0), (self.zeros - 1).clamp(min=0)
        return (torch.where(ones + zeros > 0, ones / (ones + zeros), 0.5),)

    def expected(self) -> tuple[tuple[Tensor], Tensor]:
        """``theta`` whose log density of a cell is the expected one less a constant; these."""
        total = (self.ones + self.zeros).digamma()
        one, zero = self.ones.digamma() - total, self.zeros.digamma() - total
        return ((one - zero).sigmoid(),), torch.logaddexp(one, zero)

    def log_normalizer(self) -> Tensor:
        """log B(ones, zeros), summed over the cells."""
        return (self.ones.lgamma() + self.zeros.lgamma() - (self.ones + self.zeros).lgamma()).sum()

    def predictive(self) -> dist.Bernoulli:
        """The next row, theta integrated out."""
        return dist.Bernoulli(self.ones / (self.ones + self.zeros))


class Gamma(NamedTuple):
    """``lam ~ Gamma(shape, rate)`` for rows of Poisson(lam) counts; one cell for each (class, feature).

    ``log_base`` gathers the counts' own constants, the sum of -log x!, which no pseudo-count can carry.

    >>> prior = Gamma(*torch.tensor([[[2.]], [[1.]], [[0.]]]).double())
    >>> after = prior.updated(torch.ones(2, 1).double(), torch.tensor([[3.], [torch.nan]]).double())
    >>> after.shape.item(), after.rate.item(), round(after.log_base.exp().item(), 6)  # 1 / 3!
    (5.0, 2.0, 0.166667)
    """

    shape: Tensor
    rate: Tensor
    log_base: Tensor

    def updated(self, weights: Tensor, rows: Tensor) -> "Gamma":
        """Add the counts to the shape, and the rows to the rate."""
        seen, x = _seen(rows)
        base = weights.T @ (x + 1).lgamma()
        return Gamma(self.shape + weights.T @ x, self.rate + weights.T @ seen, self.log_base - base)

    def flat(self) -> "Gamma":
        """The limit of a prior worth no rows."""
        return Gamma(*(torch.zeros_like(field) for field in self))

    def merged(self, other: "Gamma", prior: "Gamma") -> "Gamma":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return Gamma(*(a + b - c for a, b, c in zip(self, other, prior, strict=True)))

    def point(self, smoothing: float = 1.0) -> Tensor:
        """The mean count, of a `flat` prior's update; every total is raised by ``smoothing``.

        A class without rows gets the mean of all rows.
        """
        totals, rows = self.shape + smoothing, self.rate
        pooled = (self.shape.sum(0) + smoothing) / rows.sum(0)
        return torch.where(rows > 0, totals / rows, pooled)

    def mode(self) -> tuple[Tensor]:
        """The peak of the density; 0 where it has none."""
        return ((self.shape - 1).clamp(min=0) / self.rate,)

    def expected(self) -> tuple[tuple[Tensor], Tensor]:
        """``lam`` whose log density of a cell is the expected one less a constant; these."""
        lam = self.shape.digamma().exp() / self.rate
        return (lam,), lam - self.shape / self.rate

    def log_normalizer(self) -> Tensor:
        """log of Gamma(shape) / rate^shape with the counts' constants, summed over the cells."""
        return (self.shape.lgamma() - self.shape * self.rate.log() + self.log_base).sum()

    def predictive(self) -> dist.GammaPoisson:
        """The next row, lam integrated out: negative binomial."""
        return dist.GammaPoisson(self.shape, self.rate)


class Dirichlets(NamedTuple):
    """One Dirichlet ``theta`` for each (class, feature), laid end to end, for rows of category codes.

    ``pseudocount`` is (classes, sum of levels): feature j has ``levels[j]`` categories.

    >>> prior = Dirichlets(torch.ones(1, 5).double(), (3, 2))
    >>> rows = torch.tensor([[2., 0.], [2., torch.nan]]).double()
    >>> prior.updated(torch.ones(2, 1).double(), rows).pseudocount
    tensor([[1., 1., 3., 2., 1.]], dtype=torch.float64)
    """

    pseudocount: Tensor
    levels: tuple[int, ...]

    def updated(self, weights: Tensor, rows: Tensor) -> "Dirichlets":
        """Count every category of every feature."""
        seen, x = _seen(rows)
        counts = torch.zeros_like(self.pseudocount.T)
        first = 0
        for j, size in enumerate(self.levels):
            counts.index_add_(0, first + x[:, j].long(), weights * seen[:, j, None])
            first += size
        return Dirichlets(self.pseudocount + counts.T, self.levels)

    def flat(self) -> "Dirichlets":
        """The limit of a prior worth no rows."""
        return Dirichlets(torch.zeros_like(self.pseudocount), self.levels)

    def merged(self, other: "Dirichlets", prior: "Dirichlets") -> "Dirichlets":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return Dirichlets(self.pseudocount + other.pseudocount - prior.pseudocount, self.levels)

    def point(self, smoothing: float = 1.0) -> Tensor:
        """The frequencies, of a `flat` prior's update; every count is raised by ``smoothing``."""
        raised = self._replace(pseudocount=self.pseudocount + smoothing)
        return raised.predictive().probs

    def mode(self) -> tuple[Tensor]:
        """The peak of the density of each feature's probabilities; equal ones where it has none."""
        parts = (self.pseudocount - 1).clamp(min=0).split(self.levels, -1)
        even = [torch.where(part.sum(-1, keepdim=True) > 0, part, 1.0) for part in parts]
        return (torch.cat([part / part.sum(-1, keepdim=True) for part in even], -1),)

    def expected(self) -> tuple[tuple[Tensor], Tensor]:
        """``theta`` whose log density of a cell is the expected one less a constant; these."""
        parts = self.pseudocount.split(self.levels, -1)
        logs = [part.digamma() - part.sum(-1, keepdim=True).digamma() for part in parts]
        theta = torch.cat([each.softmax(-1) for each in logs], -1)
        return (theta,), torch.stack([each.logsumexp(-1) for each in logs], -1)

    def log_normalizer(self) -> Tensor:
        """The sum of every Dirichlet's log B."""
        a = self.pseudocount
        totals = torch.cat([part.sum(-1, keepdim=True) for part in a.split(self.levels, -1)], -1)
        return a.lgamma().sum() - totals.lgamma().sum()

    def predictive(self) -> ColumnCategorical:
        """The next row, theta integrated out; a category never seen keeps its prior mass."""
        parts = self.pseudocount.split(self.levels, -1)
        probs = torch.cat([part / part.sum(-1, keepdim=True) for part in parts], -1)
        return ColumnCategorical(probs, self.levels)


class DirichletGamma(NamedTuple):
    """``theta ~ Dirichlet(pseudocount)`` of each class, ``lam ~ Gamma(shape, rate)`` of all of them.

    For rows that are vectors of counts: the total is Poisson(lam), and each of its items falls into feature j
    with probability theta_j. ``pseudocount`` is (classes, features), the others are scalars; ``log_base`` is
    as for `Gamma`.
    """

    pseudocount: Tensor
    shape: Tensor
    rate: Tensor
    log_base: Tensor

    def updated(self, weights: Tensor, rows: Tensor) -> "DirichletGamma":
        """Add the counts to the class, and their totals to the common length.

        Raises:
            DataError: some cells of a row are missing, so that its total is unknown, and with it the
                posterior no longer a Dirichlet. A row of missing cells only says nothing.
        """
        seen, x = _seen(rows)
        whole = seen.amin(1)
        if not torch.equal(whole, seen.amax(1)):
            row = int((whole != seen.amax(1)).nonzero()[0])
            raise DataError(
                f"row {row} misses some of its counts, so its total is unknown and the update has no "
                f"closed form. Leave the row out, or take independent counts (PoissonNaiveBayes)"
            )
        w = weights.sum(1) * whole
        return DirichletGamma(
            self.pseudocount + weights.T @ x,
            self.shape + w @ x.sum(1),
            self.rate + w.sum(),
            self.log_base - w @ (x + 1).lgamma().sum(1),
        )

    def flat(self) -> "DirichletGamma":
        """The limit of a prior worth no rows."""
        return DirichletGamma(*(torch.zeros_like(field) for field in self))

    def merged(self, other: "DirichletGamma", prior: "DirichletGamma") -> "DirichletGamma":
        """What both say who learned from one ``prior``, each from rows of its own."""
        return DirichletGamma(*(a + b - c for a, b, c in zip(self, other, prior, strict=True)))

    def log_normalizer(self) -> Tensor:
        """The normalizers of theta and lam with the counts' constants, a scalar."""
        a = self.pseudocount
        theta = (a.lgamma().sum(-1) - a.sum(-1).lgamma()).sum()
        return theta + self.shape.lgamma() - self.shape * self.rate.log() + self.log_base

    def predictive(self) -> CountVector:
        """The next row: a negative binomial total, shared out by a Dirichlet-multinomial."""
        return CountVector(self.pseudocount, self.shape, self.rate)
