"""Means and scatter matrices of rows that belong to classes by weights: products of matrices over blocks."""

import torch
from torch import Tensor

_CELLS = 1 << 16  # numbers looked at together: rows times classes stay in the processor's cache
_LOSS = 1e4  # as in `moments`


def soft_scatter(rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Means (classes, features) of the weighted rows, and square roots of their scatters about them.

    One pass about the centre of all rows; where a class lies so far away that this loses digits, a second
    about its own mean.
    """
    count = weights.sum(0)[:, None].clamp(min=torch.finfo(rows.dtype).tiny)
    middle = rows.mean(0)
    total, scatter = _products(rows, weights, middle)
    lost = total[:, :, None] * total[:, None] / count[:, None]
    mean, scatter = middle + total / count, scatter - lost
    kept, gone = (matrix.diagonal(dim1=-2, dim2=-1) for matrix in (scatter, lost))
    if bool((kept * _LOSS < gone).any()):
        scatter = _products(rows, weights, middle, mean - middle)[1]
    return mean, scatter_root(scatter)


def scatter_root(scatter: Tensor) -> Tensor:
    """Matrices A for which Aᵀ A is the scatter, singular or not."""
    values, vectors = torch.linalg.eigh((scatter + scatter.mT) / 2)
    return values.clamp(min=0).sqrt()[..., None] * vectors.mT


def _products(
    rows: Tensor, weights: Tensor, middle: Tensor, centres: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Of every class: the sum of its rows (classes, features), and of their products, about the ``middle``.

    Of the two distances in a product one is from the class's own of the ``centres``, if there are any, so
    that one product of matrices serves all classes. Where most weights are zero each class takes
    its own rows.
    """
    classes, d = weights.shape[1], rows.shape[1]
    if classes > 1 and 2 * int(weights.count_nonzero()) < weights.numel():
        found = []
        for k, w in enumerate(weights.mT):
            own = w.nonzero()[:, 0]
            centre = None if centres is None else centres[k : k + 1]
            found.append(_products(rows.index_select(0, own), w[own, None], middle, centre))
        total, scatter = (torch.cat(part) for part in zip(*found, strict=True))
        return total, scatter
    size = max(64, _CELLS // (classes * d))
    sums = rows.new_zeros(d + 1, classes * d)
    room, spare = rows.new_ones(d + 1, size), rows.new_empty(classes * d * size)
    for w, x in zip(weights.mT[:, None].split(size, 2), rows.split(size), strict=True):
        n = x.shape[0]
        away, each = room[:, :n], spare[: classes * d * n].view(classes, d, n)
        torch.sub(x.mT, middle[:, None], out=away[:-1])
        if centres is None:
            torch.mul(away[:-1], w, out=each)
        else:
            torch.sub(away[:-1], centres[..., None], out=each).mul_(w)
        sums.addmm_(away, each.view(-1, n).mT)
    *products, total = sums.view(d + 1, classes, d)
    return total, torch.stack(products, 1)


def is_soft(weights: Tensor) -> bool:
    """Whether some of the first rows belong to more than one class."""
    few = weights[:1024]
    return bool(((few > 0) & (few < 1)).any())
