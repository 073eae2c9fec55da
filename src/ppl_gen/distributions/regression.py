"""Bayesian linear regression: the conjugate family of Normal rows whose mean is linear in what is given."""

import math
from typing import NamedTuple

import torch
from pyro import distributions as dist
from torch import Tensor

from ppl_gen.missing import positive_triangle, triangle_without


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

    def updated(
        self, design: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> "NormalGammaRegression":
        """Bayes' rule on rows of the ``design`` (n, terms) and their ``targets`` (..., n).

        A missing target (NaN) is left out; with ``weights`` (n,) a row counts so often. Targets are taken
        about what the prior's mean predicts. The lower triangle below the prior's root and the rows holds the
        residuals' length, and the new root and its product with the step of the mean.
        """
        seen = ~targets.isnan()
        residuals = torch.where(seen, targets - self.loc @ design.T, 0.0)[..., None]
        rows = torch.cat([residuals, torch.where(seen[..., None], design, 0.0)], -1)
        if weights is not None:
            rows = weights.sqrt()[:, None] * rows
            seen = seen * weights
        triangle = positive_triangle(torch.cat([self._about(self.loc), rows], -2).flip(-1))
        return self._read(triangle, self.shape + seen.sum(-1) / 2)

    def _about(self, centre: Tensor) -> Tensor:
        """Rows, of a residual about ``centre`` and terms, that say what is known."""
        step = (self.root @ (self.loc - centre)[..., None])[..., 0]
        left = torch.cat([(2 * self.rate).sqrt()[..., None], step], -1)[..., None]
        return torch.cat([left, torch.nn.functional.pad(self.root, (0, 0, 1, 0))], -1)

    def _read(self, triangle: Tensor, shape: Tensor) -> "NormalGammaRegression":
        """The reverse of `_about` this one's mean: the ``triangle`` holds rows about it, flipped."""
        triangle = triangle.mT.flip(-1, -2)
        length, step, root = triangle[..., 0, 0], triangle[..., 1:, 0], triangle[..., 1:, 1:]
        move = _solved(root, step)
        left = step - (root @ move[..., None])[..., 0]  # zero where the rows determine w
        rate = (length.square() + left.square().sum(-1)) / 2
        return NormalGammaRegression(self.loc + move, root, shape, rate)

    def flat(self) -> "NormalGammaRegression":
        """The limit of a prior worth no rows."""
        return NormalGammaRegression(self.loc, *(torch.zeros_like(field) for field in self[1:]))

    def merged(
        self, other: "NormalGammaRegression", prior: "NormalGammaRegression"
    ) -> "NormalGammaRegression":
        """What both say who learned from one ``prior``, each from rows of its own."""
        mine, theirs, before = (p._about(self.loc).flip(-1) for p in (self, other, prior))
        both = triangle_without(positive_triangle(torch.cat([mine, theirs], -2)), before)
        return self._read(both, self.shape + other.shape - prior.shape)

    def point(self, smoothing: float = 1e-9) -> tuple[Tensor, Tensor]:
        """The weights, by least squares, and the precision of largest likelihood, of a `flat` prior's update.

        The first term must be the constant one. The variance of the targets times ``smoothing`` is added to
        that of the noise. Where the terms depend on one another, the weights are one solution of many.
        """
        fitted = (self.root @ self.loc[..., None])[..., 0]
        constant = torch.nn.functional.normalize(self.root[..., 0], dim=-1)
        spread = fitted.square().sum(-1) - (constant * fitted).sum(-1).square()  # about their mean
        noise = (self.rate + smoothing * (spread / 2 + self.rate)) / self.shape
        return self.loc.clone(), 1 / noise

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


def _solved(root: Tensor, step: Tensor) -> Tensor:
    """``move`` with root move = step; if the triangle is singular, the shortest in units of its columns."""
    size = root.norm(dim=-2)
    diagonal = root.diagonal(dim1=-2, dim2=-1)
    if bool((diagonal > 1e-14 * size).all()):
        return torch.linalg.solve_triangular(root, step[..., None], upper=False)[..., 0]
    unit = torch.where(size > 0, size, 1.0)
    return (torch.linalg.pinv(root / unit[..., None, :], rtol=1e-13) @ step[..., None])[..., 0] / unit
