"""Normal inverse-Wishart: the conjugate family of rows with a full covariance, one a class or one for all."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor

from ppl_gen.distributions.incomplete import incomplete
from ppl_gen.distributions.inverse_wishart import InverseWishartCholesky
from ppl_gen.distributions.scatter import is_soft, scatter_root, soft_scatter
from ppl_gen.distributions.starts import centre_and_spread
from ppl_gen.errors import DataError
from ppl_gen.missing import positive_triangle, triangle_without


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
        if bool(rows.sum().isnan()):
            raise DataError(
                "missing cells (NaN) of rows with a full covariance have no conjugate update: use EM() or "
                "VariationalBayes(), which expect them, or SVI(), which sums them out; or fill them, leave "
                "those rows out, or use a model whose features are independent given the class"
            )
        if len(rows) > 8 * rows.shape[1] and is_soft(weights):
            mean, roots = soft_scatter(rows, weights)
            return self.given(weights.sum(0), mean, list(roots))
        means, away = [], []
        for loc, w in zip(self.loc, weights.T, strict=True):
            x, w = rows[w > 0], w[w > 0, None]
            centre = x.mean(0) if len(x) else loc  # near the data, so that sums lose nothing
            shift = (w * (x - centre)).sum(0) / w.sum() if len(x) else torch.zeros_like(loc)
            means.append(centre + shift)
            away.append(w.sqrt() * (x - centre - shift))
        return self.given(weights.sum(0), torch.stack(means), away)

    def completed(
        self, weights: Tensor, rows: Tensor, loc: Tensor | None = None, root: Tensor | None = None
    ) -> tuple["NormalInverseWishart", Tensor]:
        """Bayes' rule on rows whose missing cells (NaN) are expected under Normals with known parameters.

        Missing cells count with their conditional mean and covariance given the others (Ghahramani and Jordan
        1994); a row of which nothing is there tells nothing, and is left out.

        Args:
            weights, rows: as of `updated`.
            loc, root: means and Cholesky factors of the covariances; by default those of independent features
                with the moments of all rows, a start.

        Returns:
            The posterior, and the expected entropy of the missing cells, in nats.
        """
        seen = ~rows.isnan()
        if loc is None or root is None:
            centre, spread = centre_and_spread(rows)
            loc, root = centre.expand_as(self.loc), spread.diag()
        root = root.expand(len(loc), *root.shape[-2:])
        weights = torch.where(seen.any(1, keepdim=True), weights, 0.0)
        total, scatter = torch.zeros_like(root[..., :1]), torch.zeros_like(root)  # in units of the root
        entropy = rows.new_zeros(())
        for part in incomplete(rows.nan_to_num(), seen, loc, root):
            w = torch.where(part.real[..., None], weights[part.rows], 0.0).mT[:, :, None]
            count, units = w.sum(-1), part.units * w
            turn = torch.linalg.solve_triangular(root, part.reordered(part.triangle), upper=False)
            unknown = ~part.seen[:, None]
            inner = units @ part.units.mT + torch.diag_embed(count * unknown)
            total += (turn @ units.sum(-1, keepdim=True)).sum(0)
            scatter += (turn @ inner @ turn.mT).sum(0)
            each = part.log_spread(seen=False) + 0.5 * (1 + math.log(2 * math.pi)) * unknown.sum(
                -1, dtype=rows.dtype
            )
            entropy = entropy + (count[..., 0] * each).sum()
        count = weights.sum(0)
        shift = total / count.clamp(min=torch.finfo(rows.dtype).tiny)[:, None, None]
        away = scatter_root(scatter - total * shift.mT) @ root.mT
        return self.given(count, loc + (root @ shift)[..., 0], list(away)), entropy

    def given(self, count: Tensor, mean: Tensor, away: Sequence[Tensor]) -> "NormalInverseWishart":
        """Bayes' rule on classes of which only these are known.

        Args:
            count: rows of each class (classes,). mean: their means (classes, features).
            away: for each class a matrix A, for which Aᵀ A is the scatter about its mean.
        """
        apart = torch.where(count[:, None] > 0, mean - self.loc, 0.0)
        share = torch.where(count > 0, count / (self.strength + count), 0.0)[:, None]
        between = (self.strength[:, None] * share).sqrt() * apart
        if self.tied:
            factor = positive_triangle(torch.cat([self.factor.mT, *away, between]))
        else:
            each = [torch.cat(rows) for rows in zip(self.factor.mT, away, between[:, None], strict=True)]
            factor = torch.stack([positive_triangle(rows) for rows in each])
        df = self.df + (count.sum() if self.tied else count)
        return NormalInverseWishart(self.loc + share * apart, self.strength + count, df, factor)

    @property
    def tied(self) -> bool:
        """Whether all classes share one covariance."""
        return self.factor.dim() == 2

    def flat(self) -> "NormalInverseWishart":
        """The limit of a prior worth no rows."""
        return NormalInverseWishart(self.loc, *(torch.zeros_like(field) for field in self[1:]))

    def merged(self, other: "NormalInverseWishart", prior: "NormalInverseWishart") -> "NormalInverseWishart":
        """What both say who learned from one ``prior``, each from rows of its own.

        The ``other`` scatter holds the prior's, and the way from its mean to the rows': both are taken out.
        """
        count = other.strength - prior.strength
        back = torch.where(count > 0, prior.strength / count, 0.0)[:, None] * (other.loc - prior.loc)
        mean = other.loc + back
        own = other.factor.mT  # of all classes at once, if tied
        away = [own, *[own[:0]] * (len(count) - 1)] if self.tied else list(own)
        both = self.given(count, mean, away)
        share = torch.where(count > 0, prior.strength * count / other.strength, 0.0)[:, None]
        between = share.sqrt() * (mean - prior.loc)
        twice = torch.cat([prior.factor.mT, between if self.tied else between[:, None]], -2)
        return both._replace(factor=triangle_without(both.factor, twice))

    def point(self, smoothing: float = 1e-12, ridge: float = 0.0) -> tuple[Tensor, Tensor]:
        """The means and Cholesky factors of largest likelihood, of a `flat` prior's update.

        ``smoothing`` times its variance over all rows is added to each feature's variance, and so is
        ``ridge``. A class without rows has the mean, and the covariance, of all rows.

        Raises:
            DataError: a covariance is singular.
        """
        rows = self.strength[:, None]
        centre = (rows * self.loc).sum(0) / rows.sum()
        mean = torch.where(rows > 0, self.loc, centre)
        within = self.factor.mT if self.tied else self.factor.mT.flatten(0, 1)
        total = torch.cat([within, rows.sqrt() * (mean - centre)]) / rows.sum().sqrt()
        spread = total.square().sum(0)
        added = (smoothing * spread + ridge).sqrt().diag()
        if self.tied:
            sigma = positive_triangle(torch.cat([within / rows.sum().sqrt(), added]))
        else:
            each = zip(self.factor.mT, self.strength, strict=True)
            own = [scatter / n.sqrt() if n > 0 else total for scatter, n in each]
            sigma = torch.stack([positive_triangle(torch.cat([root, added])) for root in own])
        lost = sigma.diagonal(dim1=-2, dim2=-1) <= 1e-14 * spread.sqrt()
        if bool(lost.any()):
            raise DataError(
                "x: expected rows that determine the covariances; one is singular at feature "
                f"{int(lost.nonzero()[0, -1])}: a class has too few rows, or the feature is constant or "
                f"follows from others. MaximumLikelihood(smoothing=…) above {smoothing:g} mends all but a "
                f"constant feature, and Exact() needs none of this"
            )
        return mean, sigma

    def mode(self) -> tuple[Tensor, Tensor]:
        """``sigma`` and ``mu`` at the peak of the density of the factor's cells and the means."""
        d = self.loc.shape[-1]
        powers = self.df[..., None] + torch.arange(1, d + 1, dtype=self.df.dtype)
        powers = powers + (len(self.loc) if self.tied else 1)
        return self.factor * powers.rsqrt()[..., None, :], self.loc

    def expected(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """``sigma`` and ``mu`` whose log density of a row is the expected one less a constant; (classes,)."""
        d = self.loc.shape[-1]
        halves = (self.df[..., None] - torch.arange(d, dtype=self.df.dtype)) / 2
        spread = (halves.digamma() - (self.df[..., None] / 2).log()).sum(-1)
        return (self.factor * self.df.rsqrt()[..., None, None], self.loc), 0.5 * (spread - d / self.strength)

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
