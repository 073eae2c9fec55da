"""The inverse Wishart distribution of a covariance matrix, by its Cholesky factor."""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Chi2, Transform, biject_to, constraints, transform_to


class _CholeskyFactor(type(constraints.lower_cholesky)):  # type: ignore[misc]
    """Lower triangles with a positive diagonal, which `biject_to` knows with its Jacobian."""


cholesky_factor = _CholeskyFactor()


class InverseWishartCholesky(TorchDistribution):
    """The lower Cholesky factor L of a covariance ``L Lᵀ ~ InverseWishart(df, scale_tril scale_trilᵀ)``.

    Sampling (Bartlett's decomposition) and scoring solve triangular systems only, so that neither inverts a
    matrix nor finds a factor. Reference: Gelman et al. 2013, appendix A; Muirhead 1982, theorem 3.2.14.

    Args:
        df: degrees of freedom, above features - 1; shape (...).
        scale_tril: (..., features, features), lower triangles with positive diagonals.

    >>> one = InverseWishartCholesky(torch.tensor(4.0), torch.tensor([[2.0]]))  # 4 / variance is chi-squared
    >>> variance = torch.tensor(1.5)
    >>> expected = torch.distributions.InverseGamma(2.0, 2.0).log_prob(variance) + (2 * variance.sqrt()).log()
    >>> bool(torch.isclose(one.log_prob(variance.sqrt().reshape(1, 1)), expected))
    True
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "df": constraints.positive,
        "scale_tril": constraints.lower_cholesky,
    }
    support = cholesky_factor
    has_rsample = True

    def __init__(self, df: Tensor, scale_tril: Tensor, validate_args: bool | None = None):
        batch = torch.broadcast_shapes(df.shape, scale_tril.shape[:-2])
        self.df, self.scale_tril = df.expand(batch), scale_tril.expand(*batch, *scale_tril.shape[-2:])
        super().__init__(batch, scale_tril.shape[-2:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "InverseWishartCholesky":
        """The same distribution with its parameters repeated over ``batch_shape``."""
        matrix = self.scale_tril.expand(*batch_shape, *self.event_shape)
        return InverseWishartCholesky(self.df.expand(batch_shape), matrix, self._validate_args)

    @property
    def _dfs(self) -> Tensor:
        """Degrees of freedom of the squares on the diagonal of Bartlett's triangle: (..., features)."""
        d = self.event_shape[-1]
        return self.df[..., None] - d + torch.arange(1, d + 1, dtype=self.df.dtype, device=self.df.device)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Reparameterised draws of L."""
        shape = self._extended_shape(sample_shape)
        diagonal = Chi2(self._dfs, validate_args=False).rsample(sample_shape).sqrt()
        triangle = torch.randn(shape, dtype=self.df.dtype, device=self.df.device).tril(-1)
        triangle = triangle + torch.diag_embed(diagonal)
        scale = self.scale_tril.expand(shape)
        drawn: Tensor = torch.linalg.solve_triangular(triangle, scale, upper=False, left=False)
        return drawn

    def log_prob(self, value: Tensor) -> Tensor:
        """log density of L with respect to the cells of the triangle."""
        if self._validate_args:
            self._validate_sample(value)
        d, df = self.event_shape[-1], self.df
        shape = torch.broadcast_shapes(value.shape, self.scale_tril.shape)
        ratio = torch.linalg.solve_triangular(value.expand(shape), self.scale_tril.expand(shape), upper=False)
        powers = df[..., None] + torch.arange(1, d + 1, dtype=df.dtype, device=df.device)
        constant = (
            df * _log_diagonal(self.scale_tril).sum(-1)
            - (self._dfs / 2).lgamma().sum(-1)
            - d * (df / 2 - 1) * math.log(2)
            - d * (d - 1) / 4 * math.log(math.pi)
        )
        return constant - (powers * _log_diagonal(value)).sum(-1) - ratio.square().sum((-2, -1)) / 2

    @property
    def mean(self) -> Tensor:
        """E[L]: off the diagonal Bartlett's triangle is symmetric about zero, on it stand 1 / chi."""
        inverse = (((self._dfs - 1) / 2).lgamma() - (self._dfs / 2).lgamma()).exp() / math.sqrt(2)
        return self.scale_tril * torch.where(self._dfs > 1, inverse, torch.inf)[..., None, :]


class CholeskyFactorTransform(Transform):
    """From a vector to a lower triangle with a positive diagonal: exp on the diagonal, row by row.

    >>> transform = CholeskyFactorTransform()
    >>> transform(torch.tensor([0.0, 3.0, 0.0]))
    tensor([[1., 0.],
            [3., 1.]])
    """

    domain = constraints.real_vector
    codomain = cholesky_factor
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CholeskyFactorTransform)

    def _call(self, x: Tensor) -> Tensor:
        d = self.forward_shape(x.shape)[-1]
        row, column = torch.tril_indices(d, d)
        where = torch.zeros(d, d, dtype=torch.long)
        where[row, column] = torch.arange(len(row))
        square = x[..., where]  # a gather, which vmap and double gradients take; above the diagonal it is cut
        return square.tril(-1) + torch.diag_embed(square.diagonal(dim1=-2, dim2=-1).exp())

    def _inverse(self, y: Tensor) -> Tensor:
        row, column = torch.tril_indices(y.shape[-1], y.shape[-1])
        logged = y.tril(-1) + torch.diag_embed(_log_diagonal(y))
        return logged[..., row, column]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Between the vector and the cells of the triangle."""
        return _log_diagonal(y).sum(-1)

    def forward_shape(self, shape: Any) -> torch.Size:
        """(..., d (d + 1) / 2) -> (..., d, d)."""
        d = round((0.25 + 2 * shape[-1]) ** 0.5 - 0.5)
        return torch.Size([*shape[:-1], d, d])

    def inverse_shape(self, shape: Any) -> torch.Size:
        """(..., d, d) -> (..., d (d + 1) / 2)."""
        return torch.Size([*shape[:-2], shape[-1] * (shape[-1] + 1) // 2])


@biject_to.register(_CholeskyFactor)
@transform_to.register(_CholeskyFactor)
def _to_cholesky_factor(constraint: Any) -> CholeskyFactorTransform:
    return CholeskyFactorTransform()


def _log_diagonal(triangle: Tensor) -> Tensor:
    return triangle.diagonal(dim1=-2, dim2=-1).log()
