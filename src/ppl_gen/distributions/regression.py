"""Bayesian linear regression: the conjugate family of Normal rows whose mean is linear in what is given."""

import math
from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor

from ppl_gen.missing import positive_triangle


class NormalGammaRegression(NamedTuple):
    """``tau ~ Gamma(shape, rate)``, ``w | tau ~ Normal(loc, (tau rootᵀ root)⁻¹)``; Normal(w · row, 1 / tau).

    One regression for each target: ``loc`` is (..., terms), ``root`` (..., terms, terms), a lower triangle,
    ``shape`` and ``rate`` (...). Reference: Murphy 2012, section 7.6.3; Bierman 1977, the square-root
    information filter: updating the root instead of the precision keeps all digits.

    >>> one = torch.ones(1, dtype=torch.float64)  # w is a mean: see NormalGamma
    >>> prior = NormalGammaRegression(0 * one, one[None], one[0], one[0])
    >>> after = prior.updated(torch.ones(3, 1).double(), torch.tensor([1., 2., 3.]).double())
    >>> [round(field.item(), 6) for field in after._replace(root=after.root**2)]
    [1.5, 4.0, 2.5, 3.5]
    """

    loc: Tensor
    root: Tensor
    shape: Tensor
    rate: Tensor

    def weights(self, tau: Tensor) -> dist.MultivariateNormal:
        """``w`` given the precision of the noise."""
        eye = torch.eye(self.root.shape[-1], dtype=self.root.dtype, device=self.root.device)
        inverse = torch.linalg.solve_triangular(self.root, eye.expand_as(self.root), upper=False)
        return dist.MultivariateNormal(self.loc, scale_tril=inverse * tau.rsqrt()[..., None, None])

    def updated(self, design: Tensor, targets: Tensor) -> "NormalGammaRegression":
        """Bayes' rule on rows of the ``design`` (n, terms) and their ``targets`` (..., n).

        A missing target (NaN) is left out. Targets are taken about what the prior's mean predicts. The
        lower triangle below the prior's root and the rows holds the residuals' length, and the new root and
        its product with the step of the mean.
        """
        seen = ~targets.isnan()
        residuals = torch.where(seen, targets - self.loc @ design.T, 0.0)[..., None]
        rows = torch.cat([residuals, torch.where(seen[..., None], design, 0.0)], -1)
        above = torch.cat([torch.zeros_like(self.root[..., :1]), self.root], -1)
        triangle = positive_triangle(torch.cat([above, rows], -2).flip(-1)).mT.flip(-1, -2)
        length, step, root = triangle[..., 0, 0], triangle[..., 1:, :1], triangle[..., 1:, 1:]
        step = torch.linalg.solve_triangular(root, step, upper=False)[..., 0]
        return NormalGammaRegression(
            self.loc + step, root, self.shape + seen.sum(-1) / 2, self.rate + length.square() / 2
        )

    def log_normalizer(self) -> Tensor:
        """log of the integral of (2 pi)^(-shape) times the unnormalised density, a scalar."""
        roots = self.root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        cells = self.shape.lgamma() - self.shape * (2 * math.pi * self.rate).log() - roots
        return cells.sum()

    def predictive(self, design: Tensor) -> dist.StudentT:
        """The targets of new rows, w and tau integrated out: batch shape (..., n)."""
        columns = design.mT.expand(*self.root.shape[:-1], len(design))
        leverage = torch.linalg.solve_triangular(self.root.mT, columns, upper=True).square().sum(-2)
        scale = ((self.rate / self.shape)[..., None] * (1 + leverage)).sqrt()
        return dist.StudentT(2 * self.shape[..., None], self.loc @ design.T, scale)
