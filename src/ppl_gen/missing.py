"""Missing cells of a row whose features depend on one another: the density of those that are there."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.errors import DataError


def log_prob_seen(fn: Any, value: Tensor, seen: Tensor) -> Tensor:
    """log p of the ``seen`` cells of each row, exact; rows with the same cells missing go together.

    Args:
        fn: a MultivariateNormal, of low rank or not, or MultivariateStudentT; batch (…, n), (…, 1) or ().
        value: (…, n, features). seen: (n, features).

    Raises:
        DataError: the marginals of this density are not known.

    >>> fn = dist.MultivariateNormal(torch.zeros(2), scale_tril=torch.tensor([[1., 0.], [3., 4.]]))
    >>> gap = log_prob_seen(fn, torch.zeros(1, 2), torch.tensor([[False, True]]))
    >>> bool(torch.isclose(gap, dist.Normal(0., 5.).log_prob(torch.zeros(1))))
    True
    """
    known = dist.MultivariateNormal | dist.LowRankMultivariateNormal | dist.MultivariateStudentT
    if not isinstance(fn, known) or seen.dim() != 2:
        raise DataError(
            "missing cells (NaN) can be summed out of a density that factorises over its cells, of a "
            f"multivariate Normal or Student t; {type(fn).__name__} is none of these"
        )
    parts, places = [], []
    for pattern in seen.unique(dim=0):
        rows = (seen == pattern).all(-1).nonzero()[:, 0]
        cells = value.index_select(-2, rows)[..., pattern]
        parts.append(_marginal(fn, pattern, rows, cells))
        places.append(rows)
    return torch.cat(parts, -1)[..., torch.cat(places).argsort()]


def _marginal(fn: Any, pattern: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
    """log p of the cells of one pattern; ``cells`` (…, rows, number seen)."""

    def of_rows(tensor: Tensor, event_dim: int) -> Tensor:
        place = -1 - event_dim
        own = tensor.dim() > event_dim and tensor.shape[place] > 1
        return tensor.index_select(place, rows) if own else tensor

    if not bool(pattern.any()):  # nothing is seen, and nothing has probability one
        return torch.zeros(torch.broadcast_shapes((*fn.batch_shape[:-1], 1), cells.shape[:-1])).to(cells)
    loc = of_rows(fn.loc, 1)[..., pattern]
    if isinstance(fn, dist.LowRankMultivariateNormal):
        weights, noise = of_rows(fn.cov_factor, 2)[..., pattern, :], of_rows(fn.cov_diag, 1)[..., pattern]
        return dist.LowRankMultivariateNormal(loc, weights, noise, validate_args=False).log_prob(cells)
    factor = of_rows(fn.scale_tril, 2)
    if not bool(pattern.all()):
        factor = positive_triangle(factor[..., pattern, :].mT)
    if isinstance(fn, dist.MultivariateStudentT):
        t = dist.MultivariateStudentT(of_rows(fn.df, 0), loc, factor, validate_args=False)
        return t.log_prob(cells)
    return dist.MultivariateNormal(loc, scale_tril=factor, validate_args=False).log_prob(cells)


def positive_triangle(rows: Tensor) -> Tensor:
    """The lower triangle L with a positive diagonal and L Lᵀ = rowsᵀ rows, without squaring ``rows``.

    A QR decomposition keeps the digits that the Cholesky factor of a product of matrices loses.

    >>> positive_triangle(torch.tensor([[3.], [-4.]]))
    tensor([[5.]])
    """
    r = torch.linalg.qr(rows, mode="reduced" if rows.requires_grad else "r").R  # gradients need Q
    return (r * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0)[..., None]).mT


def triangle_without(triangle: Tensor, rows: Tensor) -> Tensor:
    """The lower triangle L with L Lᵀ = triangle triangleᵀ - rowsᵀ rows: rows once taken in are taken out.

    >>> round(triangle_without(torch.tensor([[5.0]]), torch.tensor([[-4.0]])).item(), 4)
    3.0
    """
    if not bool(rows.any()):
        return triangle
    share = torch.linalg.solve_triangular(triangle, rows.mT, upper=False)
    left = torch.eye(share.shape[-2], dtype=share.dtype, device=share.device) - share @ share.mT
    return triangle @ torch.linalg.cholesky(left)
