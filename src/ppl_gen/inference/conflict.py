"""Prior-data conflict: whether a prior that rows contradict decides the answers all the same."""

import inspect
import warnings
from typing import Any

import torch
from torch import Tensor

from ppl_gen.core import Conjugate, ProbabilisticModel
from ppl_gen.distributions import NormalGammaRegression, NormalInverseWishart, SphericalNormalGamma
from ppl_gen.errors import Unreliable
from ppl_gen.inputs import Data

_ROWS = 4096  # looked at, spread over all
_RARE = 1e-6  # rows as unlikely as this under the prior contradict it
_ARGUMENTS = ("loc", "strength", "precision", "rate", "scatter", "priors")


def warn_of_conflict(p: ProbabilisticModel, data: Data, stacklevel: int) -> None:
    """Warn (`Unreliable`) of columns whose location or scale the prior of ``p`` overrules.

    Rows as improbable as one in a million under the prior (Box 1980; Evans and Moshonov 2006) contradict it.
    It overrules them where it alone gives a class a larger standard deviation than any rows of this range
    can have, which is half the range (Popoviciu 1935): what classes differ by then vanishes in their spread.
    Both are closed forms of a column's count, mean, variance and range, rows shared evenly between classes.
    """
    if not isinstance(p, Conjugate) or not p.scaled:
        return
    rows = data.take(slice(None, None, -(-data.n // _ROWS))).gaps
    for name, families in p.scaled.items():
        for family in families:
            if name in rows and family in p.families:
                place = getattr(getattr(p, "columns", None), "places", {}).get(family)
                x = rows[name].double().reshape(len(rows[name]), -1)
                columns = range(x.shape[1]) if place is None else place
                _warn(p, data, name, p.family(family), x, list(columns), stacklevel + 1)


def _warn(
    p: Conjugate, data: Data, name: str, prior: Any, x: Tensor, columns: list[int], stacklevel: int
) -> None:
    cells = [torch.atleast_2d(cell) for cell in _cells(prior)]
    classes = len(cells[0])
    widths, spread = _overruled(cells, x[:, columns], data.n / len(x) / classes)
    if not len(found := torch.nonzero(widths > 0).flatten()):
        return
    j = int(found[0])
    called = data.columns.get(name, range(x.shape[1]))[columns[j]]
    seen = x[:, columns[j]]
    where = f"column {called!r} " if x.shape[1] > 1 else ""
    more = f", and {len(found) - 1} more like it" if len(found) > 1 else ""
    known = inspect.signature(type(p)).parameters
    arguments = ", ".join(f"{argument}=" for argument in _ARGUMENTS if argument in known)
    units = f"({name} - {name}.mean(0)) / {name}.std(0)"
    if x.isnan().any():  # with which these are no numbers
        units = f"({name} - numpy.nanmean({name}, 0)) / numpy.nanstd({name}, 0)"
    size = f"about {seen.nanmean():.6g} within a range of {widths[j]:.3g}"
    warnings.warn(
        f"{name}: expected numbers of the size that the prior of {type(p).__name__} stands for (by default "
        f"standardised ones, of order 1), got {where}{size}{more}. The prior decides the answers, not the "
        f"data: it alone gives {'each class' if classes > 1 else 'them'} a standard deviation of "
        f"{spread[j]:.3g}. Standardise them (Dataset.standardized(), or {units}), or pass a prior of their "
        f"size ({arguments})",
        Unreliable,
        stacklevel=stacklevel + 1,
    )


def _cells(prior: Any) -> tuple[Tensor, ...]:
    """loc, strength, shape and rate as of `NormalGamma`, of every class and feature by itself."""
    if isinstance(prior, NormalInverseWishart):
        shape = (prior.df - prior.loc.shape[-1] + 1) / 2
        rate = prior.factor.square().sum(-1) / 2
        return prior.loc, prior.strength[:, None], shape[..., None], rate
    if isinstance(prior, NormalGammaRegression):  # the first term is the constant one
        return prior.loc[..., 0], prior.root[..., 0].square().sum(-1), prior.shape, prior.rate
    if isinstance(prior, SphericalNormalGamma):
        return prior.loc, prior.strength, prior.shape[:, None], prior.rate[:, None]
    return tuple(prior)


def _overruled(cells: list[Tensor], x: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The range of each column that the prior overrules (else 0), and the deviation that it alone gives.

    Args:
        cells: loc, strength, shape, rate (classes, features). x: rows (n, features).
        share: how many rows of each class a row stands for.
    """
    loc, strength, shape, rate = cells
    there = ~x.isnan()
    high, low = torch.where(there, x, -torch.inf).amax(0), torch.where(there, x, torch.inf).amin(0)
    n, mean = there.sum(0) * share, x.nanmean(0)
    apart = (mean - loc).square()
    squares = 2 * rate + apart * strength * n / (strength + n)
    spread = (squares / (2 * shape + n)).sqrt().amin(0)
    width = torch.where(n > 1, high - low, 0.0).clamp(min=0)
    wide = spread > width / 2
    if not bool((wide & (width > 0)).any()):
        return torch.zeros_like(width), spread
    from scipy.special import fdtr, stdtr

    inside = n * (x - mean).square().nanmean(0)
    free = 2 * shape + n - 1
    t = (apart * free / ((2 * rate + inside) * (1 / strength + 1 / n))).sqrt()
    ratio = inside * shape / (rate * (n - 1).clamp(min=1e-9))
    far = torch.as_tensor(2 * stdtr(free.numpy(), -t.numpy()))
    narrow = torch.as_tensor(fdtr((n - 1).clamp(min=1e-9).numpy(), (2 * shape).numpy(), ratio.numpy()))
    rare = (torch.minimum(far, narrow) < _RARE).all(0)
    return torch.where(wide & rare, width, 0.0), spread
