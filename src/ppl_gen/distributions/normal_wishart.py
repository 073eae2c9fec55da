"""Normal inverse-Wishart: the conjugate family of rows with a full covariance, one a class or one for all."""

import math
from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor

from ppl_gen.distributions.inverse_wishart import InverseWishartCholesky
from ppl_gen.errors import DataError
from ppl_gen.missing import positive_triangle


class NormalInverseWishart(NamedTuple):
    """``Σ ~ InverseWishart(df, factor factorᵀ)``, ``mu | Σ ~ Normal(loc, Σ / strength)``; rows Normal(mu, Σ).

    One Σ for each class if ``df`` is (classes,) and ``factor`` (classes, features, features); one for all
    classes (tied) if they are () and (features, features). ``loc`` is (classes, features), ``strength``
    (classes,). Reference: Gelman et al. 2013, section 3.6; Murphy 2007, section 9.

    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> prior = NormalInverseWishart(0 * one, one[0], 2 * one[0], one[None] * 2**0.5)
    >>> after = prior.updated(torch.ones(3, 1).double(), torch.tensor([[1.], [2.], [3.]]).double())
    >>> [round(field.item(), 6) for field in after._replace(factor=after.factor**2)]  # see NormalGamma
    [1.5, 4.0, 5.0, 7.0]
    """

    loc: Tensor
    strength: Tensor
    df: Tensor
    factor: Tensor

    def covariances(self) -> InverseWishartCholesky:
        """The Cholesky factors ``sigma`` of Σ."""
        return InverseWishartCholesky(self.df, self.factor)

    def means(self, sigma: Tensor) -> dist.MultivariateNormal:
        """``mu`` given the Cholesky factors."""
        return dist.MultivariateNormal(self.loc, scale_tril=sigma * self.strength.rsqrt()[:, None, None])

    def updated(self, weights: Tensor, rows: Tensor) -> "NormalInverseWishart":
        """Bayes' rule on ``rows`` (n, features) that belong to each class with ``weights`` (n, classes).

        Rows are taken about their class's own mean and enter the factor itself, so offsets, scales and
        fewer rows than features cost no digits.

        Raises:
            DataError: a cell is missing; the posterior then leaves the family.
        """
        if bool(rows.isnan().any()):
            raise DataError(
                "missing cells (NaN) of rows with a full covariance have no conjugate update: fill them, "
                "leave those rows out, use a model whose features are independent given the class, or SVI(), "
                "which sums them out"
            )
        count = weights.sum(0)
        strength = self.strength + count
        locs, news = [], []
        for loc, k0, k, n, w in zip(self.loc, self.strength, strength, count, weights.T, strict=True):
            x, w = rows[w > 0], w[w > 0, None]
            centre = x.mean(0) if len(x) else loc  # near the data, so that sums lose nothing
            shift = (w * (x - centre)).sum(0) / n if len(x) else torch.zeros_like(loc)
            away = centre - loc + shift
            locs.append(loc + n / k * away)
            news.append(torch.cat([w.sqrt() * (x - centre - shift), (k0 * n / k).sqrt() * away[None]]))
        tied = self.factor.dim() == 2
        if tied:
            factor = positive_triangle(torch.cat([self.factor.mT, *news]))
        else:
            both = zip(self.factor, news, strict=True)
            factor = torch.stack([positive_triangle(torch.cat([old.mT, new])) for old, new in both])
        df = self.df + (count.sum() if tied else count)
        return NormalInverseWishart(torch.stack(locs), strength, df, factor)

    def log_normalizer(self) -> Tensor:
        """log of the integral of (2 pi)^(-strength d / 2) times the unnormalised density, a scalar."""
        d = self.loc.shape[-1]
        halves = (self.df[..., None] - torch.arange(d, dtype=self.df.dtype)) / 2
        diagonal = self.factor.diagonal(dim1=-2, dim2=-1)
        covariances = halves.lgamma().sum(-1) - self.df * (diagonal.log().sum(-1) - d / 2 * math.log(2))
        means = self.strength.log() + math.log(2 * math.pi) * self.strength
        return covariances.sum() - d / 2 * means.sum()

    def predictive(self) -> dist.MultivariateStudentT:
        """The next row of each class, mu and Σ integrated out: batch shape (classes,)."""
        df = (self.df - self.loc.shape[-1] + 1).expand_as(self.strength)
        scale = ((self.strength + 1) / (self.strength * df)).sqrt()
        return dist.MultivariateStudentT(df, self.loc, self.factor * scale[:, None, None])
