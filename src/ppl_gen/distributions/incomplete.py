"""Rows of dependent features with missing cells, under several Normals: what is there, and what to expect."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ppl_gen.missing import positive_triangle

_CELLS = 1 << 18  # numbers held at once


class Incomplete(NamedTuple):
    """Blocks of rows that lack the same cells, their features in an ``order`` with the missing ones last.

    With the features so ordered a Normal's triangle T holds all that is asked of it: its first part T_oo is
    the triangle of the cells that are there, T_mo T_oo⁻¹ regresses the missing ones on them, and T_mm is the
    triangle of what then stays uncertain (Ghahramani and Jordan 1994). No matrix is squared or inverted.

    Attributes:
        rows: the places of the rows (blocks, size). real: which of them count: a block may not be full.
        order: (blocks, features). seen: which are there, in that order.
        triangle: T (blocks, classes, features, features).
        units: T_oo⁻¹ (x_o - mu_o), and 0 for what is missing, (blocks, classes, features, size).
    """

    rows: Tensor
    real: Tensor
    order: Tensor
    seen: Tensor
    triangle: Tensor
    units: Tensor

    @property
    def squares(self) -> Tensor:
        """Mahalanobis distances of what is there, squared, (blocks, classes, size)."""
        return self.units.square().sum(-2)

    def log_spread(self, seen: bool = True) -> Tensor:
        """Half the log determinant of the covariance of what is there, or else missing, (blocks, classes)."""
        logs = self.triangle.diagonal(dim1=-2, dim2=-1).log()
        return torch.where(self.seen[:, None] == seen, logs, 0.0).sum(-1)

    def reordered(self, cells: Tensor) -> Tensor:
        """``cells`` (blocks, classes, features, any) with the features as the data have them."""
        back = self.order.argsort(-1)[:, None, :, None]
        return cells.gather(-2, back.expand(cells.shape))

    def put(self, values: Tensor, into: Tensor) -> None:
        """Write ``values`` (blocks, classes, size, …) of the rows ``into`` their places (classes, n, …)."""
        into[:, self.rows[self.real]] = values.transpose(1, 2)[self.real].transpose(0, 1)


def incomplete(x: Tensor, seen: Tensor, loc: Tensor, root: Tensor) -> Iterator[Incomplete]:
    """Rows in blocks with the same cells missing, some blocks at a time.

    Args:
        x: rows (n, features), finite in missing cells too. seen: which are there (n, features).
        loc: means (classes, features). root: lower Cholesky factors of the covariances (classes, features,
            features).

    >>> loc, root = torch.zeros(1, 2), torch.tensor([[[1.0, 0.0], [3.0, 4.0]]])
    >>> (part,) = incomplete(torch.tensor([[2.0, 0.0]]), torch.tensor([[True, False]]), loc, root)
    >>> part.reordered(part.triangle @ part.units).flatten()  # E[x - mu | x_1 = 2]
    tensor([2., 6.])
    """
    rows, real, patterns = _blocks(seen)
    (classes, d), eye = loc.shape, torch.eye(x.shape[1], dtype=x.dtype)
    many = max(1, _CELLS // (classes * d * (d + rows.shape[1])))
    for places, count, there in zip(rows.split(many), real.split(many), patterns.split(many), strict=True):
        order = (~there).int().argsort(dim=-1, stable=True)
        here = there.gather(-1, order)
        triangle = positive_triangle(root[:, order].transpose(0, 1).mT)
        known = here[:, None, :, None]
        own = torch.where(known & known.mT, triangle, eye)
        away = x[places].mT.gather(1, order[..., None].expand(-1, -1, places.shape[1]))[:, None]
        away = torch.where(known, away - loc[:, order].transpose(0, 1)[..., None], 0.0)
        units = torch.linalg.solve_triangular(own, away, upper=False)
        yield Incomplete(places, count, order, here, triangle, units)


def log_prob_incomplete(x: Tensor, seen: Tensor, loc: Tensor, root: Tensor) -> Tensor:
    """log density of the cells that are there under each Normal, (classes, n); arguments of `incomplete`."""
    scores = x.new_empty(len(loc), len(x))
    for part in incomplete(x, seen, loc, root):
        cells = 0.5 * math.log(2 * math.pi) * part.seen.sum(-1, dtype=x.dtype)[:, None, None]
        part.put(-0.5 * part.squares - part.log_spread()[..., None] - cells, scores)
    return scores


def expected_rows(x: Tensor, seen: Tensor, loc: Tensor, root: Tensor) -> Tensor:
    """The rows with E[x_m | x_o] in their missing cells, (classes, n, features); see `incomplete`."""
    found = x.new_empty(len(loc), *x.shape)
    for part in incomplete(x, seen, loc, root):
        part.put(part.reordered(part.triangle @ part.units).mT, found)
    return torch.where(seen, x, found + loc[:, None])


def drawn_rows(x: Tensor, seen: Tensor, loc: Tensor, root: Tensor, df: Tensor | None = None) -> Tensor:
    """The rows with draws of x_m given x_o in their missing cells, (classes, n, features); see `incomplete`.

    With ``df`` (classes,) of Student t's whose scale matrices have the Cholesky factors ``root``.
    """
    found = x.new_empty(len(loc), *x.shape)
    for part in incomplete(x, seen, loc, root):
        noise = torch.randn_like(part.units)
        if df is not None:  # given what is there they are Student t's, too, of more degrees of freedom
            freedom = df[None, :, None] + part.seen.sum(-1)[:, None, None]
            chi2 = 2 * torch.distributions.Gamma(freedom.expand_as(part.squares) / 2, 1.0).sample()
            noise *= ((df[None, :, None] + part.squares) / chi2).sqrt()[:, :, None]
        units = torch.where(part.seen[:, None, :, None], part.units, noise)
        part.put(part.reordered(part.triangle @ units).mT, found)
    return torch.where(seen, x, found + loc[:, None])


def _blocks(seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows with the same cells there, in blocks of the mean number of such rows, and each block's pattern."""
    n, which = len(seen), torch.zeros(len(seen), dtype=torch.long)
    for bits in seen.split(32, 1):  # patterns are numbered word by word: sorting numbers is fast
        word = (bits.long() << torch.arange(bits.shape[1])).sum(1)
        _, which, count = ((which << 32) + word).unique(return_inverse=True, return_counts=True)
    size, order = -(-n // len(count)), which.argsort(stable=True)
    each = (count + size - 1) // size  # blocks of each pattern
    rank = torch.arange(n) - (count.cumsum(0) - count)[which[order]]
    block = (each.cumsum(0) - each)[which[order]] + rank // size
    rows = torch.full((int(each.sum()), size), -1)
    rows[block, rank % size] = order
    return rows.clamp(min=0), rows >= 0, seen[rows[:, 0]]
