"""Scoring many rows of independent cells under a few distributions, one for each class.

A density of an exponential family is linear in its statistics, so the scores of all rows under all classes
are one or two products of matrices; a Student-t needs one logarithm for a row and class instead of one for
each cell. Whatever these forms cannot do to the last digits goes to ``log_prob`` itself.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MultivariateNormal,
    Normal,
    Poisson,
    StudentT,
)

from ppl_gen.distributions.incomplete import log_prob_incomplete

_ROWS = 4096  # scored together: they stay in the processor's cache
_CELLS = 1 << 17  # numbers scored together, where each row is multiplied by the matrices of all classes


def score_rows(fn: Any, value: Tensor, seen: Tensor | None = None) -> Tensor | None:
    """``fn.log_prob(value)``, cells not ``seen`` left out; None if no form here fits.

    Args:
        fn: a distribution of batch shape (…, n) that is the same for all n rows.
        value: rows (n, features), or numbers without features that the batch shape broadcasts with.
        seen: which cells of the rows are there; all by default.
    """
    base, cells = fn, 0
    while isinstance(base, Independent):
        cells, base = cells + base.reinterpreted_batch_ndims, base.base_dist
    lean = (
        _without_rows(base, cells) if isinstance(base, (Categorical, MultivariateNormal, *_FORMS)) else None
    )
    if lean is None:
        return None
    if isinstance(lean, MultivariateNormal):
        return _multivariate(lean, value, seen) if value.dim() == 2 else None
    if cells == 0 and seen is None:
        scores: Tensor = lean.log_prob(value)
        return scores
    form = next((form for family, form in _FORMS.items() if isinstance(lean, family)), None)
    if cells != 1 or value.dim() != 2 or form is None:
        return None
    every = lean.expand((*lean.batch_shape[:-2], 1, value.shape[1]))
    score = form(every)
    parts = [_part(score, every, value, seen, first) for first in range(0, len(value), _ROWS)]
    return torch.cat(parts, 1).reshape(*every.batch_shape[:-2], len(value))


def _part(score: Any, every: Any, value: Tensor, seen: Tensor | None, first: int) -> Tensor:
    """The scores of _ROWS rows, by ``log_prob`` itself where the form is unable."""
    x = value[first : first + _ROWS]
    there = None if seen is None else seen[first : first + _ROWS]
    scores = score(x, there) if score else None
    if scores is not None:
        return scores
    cells = every.log_prob(x) if there is None else torch.where(there, every.log_prob(x), 0.0)
    return cells.sum(-1).reshape(-1, len(x))


def _without_rows(base: Any, cells: int) -> Any:
    """The distribution whose rows dimension is 1, if its rows are all the same."""
    parameters = {}
    for name, constraint in base.arg_constraints.items():
        value = vars(base).get(name)
        if value is None or vars(base).get("_param", value) is not value:  # probs made of logits, or so
            continue
        rows = value.dim() - cells - 1 - constraint.event_dim
        if rows >= 0:
            if value.shape[rows] != 1 and value.stride(rows) != 0:
                return None
            value = value.narrow(rows, 0, 1)
        parameters[name] = value
    return type(base)(**parameters, validate_args=False) if parameters else None


_Form = Callable[[Tensor, Tensor | None], Tensor | None]  # rows, seen -> (classes, n), or None: unable


def _flat(value: Tensor) -> Tensor:
    return value.reshape(-1, value.shape[-1])  # (classes, features)


def _constant(cells: Tensor, seen: Tensor | None) -> Tensor:
    return cells.sum(1, keepdim=True) if seen is None else cells @ seen.T.to(cells.dtype)


def _normal(d: Normal) -> _Form:
    """-u² / 2σ² + u (μ - c) / σ² + …, with u = x - c and a centre c near the data."""
    loc, precision = _flat(d.loc), _flat(d.scale).square().reciprocal()
    centre = loc.mean(0)
    away = loc - centre
    linear = away * precision
    cells = -0.5 * away.square() * precision - _flat(d.scale).log() - 0.5 * math.log(2 * math.pi)
    limit = torch.finfo(loc.dtype).eps ** -0.25  # squares as large as this may cancel to the last digits

    def score(x: Tensor, seen: Tensor | None) -> Tensor | None:
        u = x - centre
        u = u if seen is None else u.masked_fill_(~seen, 0.0)
        scores = _constant(cells, seen) + linear @ u.T
        squares = precision @ u.square_().T
        scores = torch.add(scores, squares, alpha=-0.5)
        far = squares.amax() > limit and bool((squares > limit * (1 + scores.abs())).any())
        return None if far or not torch.isfinite(scores.sum()) else scores

    return score


def _student_t(d: StudentT) -> _Form | None:
    """-(ν + 1) / 2 log Π (1 + z² / ν) + …, for one ν over the features: e = Π - 1 loses no digits."""
    df, loc, scale = _flat(d.df), _flat(d.loc), _flat(d.scale)
    if bool((df != df[:, :1]).any()):
        return None
    power = -0.5 * (df[:, :1] + 1)
    cells = _half_step(0.5 * df) - 0.5 * (math.pi * df).log() - scale.log()
    units = (scale * df.sqrt()).reciprocal()
    features = list(zip(loc.T[:, :, None], units.T[:, :, None], strict=True))

    def score(x: Tensor, seen: Tensor | None) -> Tensor | None:
        there = None if seen is None else seen.T.to(x.dtype)
        e = x.new_zeros(len(loc), len(x))
        z, step = torch.empty_like(e), torch.empty_like(e)
        for j, (column, (m, u)) in enumerate(zip(x.T.contiguous(), features, strict=True)):
            torch.sub(column, m, out=z).mul_(u)
            if there is not None:
                z.mul_(there[j])
            torch.addcmul(z, e, z, out=step)
            e.addcmul_(z, step)  # e + z² (1 + e)
        scores = e.log1p_().mul_(power).add_(_constant(cells, seen))
        return scores if torch.isfinite(scores.sum()) else None

    return score


def _half_step(a: Tensor) -> Tensor:
    """log Γ(a + 1/2) / Γ(a); for large a by its series, where the difference of lgammas loses digits."""
    series = 0.5 * a.log() - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5) + 17 / (14336 * a**7)
    return torch.where(a > 50, series, (a + 0.5).lgamma() - a.lgamma())


def _multivariate(d: MultivariateNormal, x: Tensor, seen: Tensor | None) -> Tensor:
    """-|L⁻¹ (x - μ)|² / 2 + …: one product of (x - c, 1), c near the data, with all (L⁻¹, L⁻¹ (c - μ))."""
    features = x.shape[1]
    root, loc = d.scale_tril.reshape(-1, features, features), _flat(d.loc)
    if seen is not None:
        return log_prob_incomplete(x, seen, loc, root).reshape(*d.batch_shape[:-1], len(x))
    centre, split = loc.mean(0), (len(loc), features)
    inverse = torch.linalg.solve_triangular(root, torch.eye(features, dtype=x.dtype), upper=False)
    maps = torch.cat([inverse, inverse @ (centre - loc)[..., None]], -1).reshape(-1, features + 1)
    scores, size = x.new_empty(len(loc), len(x)), max(64, _CELLS // len(maps))
    room, spare = x.new_ones(features + 1, size), x.new_empty(len(maps), size)
    for rows, found in zip(x.split(size), scores.split(size, 1), strict=True):
        n = rows.shape[0]
        here, u = (room, spare) if n == size else (room[:, :n], spare[:, :n])
        torch.sub(rows.mT, centre[:, None], out=here[:-1])
        torch.mm(maps, here, out=u).square_()
        torch.sum(u.unflatten(0, split), 1, out=found)
    constant = root.diagonal(dim1=-2, dim2=-1).log().sum(-1) + features / 2 * math.log(2 * math.pi)
    return scores.mul_(-0.5).sub_(constant[:, None]).reshape(*d.batch_shape[:-1], len(x))


def _bernoulli(d: Bernoulli) -> _Form | None:
    logits = _flat(d.logits)
    return _linear(logits, -torch.nn.functional.softplus(logits))


def _poisson(d: Poisson) -> _Form | None:
    rate = _flat(d.rate)
    linear = _linear(rate.log(), -rate)

    def score(x: Tensor, seen: Tensor | None) -> Tensor | None:
        own = -(x + 1).lgamma()
        scores = linear(x, seen) if linear else None
        own = own if seen is None else own.masked_fill(~seen, 0.0)
        return None if scores is None else scores + own.sum(1)

    return score if linear else None


def _linear(weights: Tensor, cells: Tensor) -> _Form | None:
    if not bool(torch.isfinite(weights).all()):
        return None  # a probability of zero or one

    def score(x: Tensor, seen: Tensor | None) -> Tensor | None:
        known = x if seen is None else x.masked_fill(~seen, 0.0)
        return _constant(cells, seen) + weights @ known.T

    return score


_FORMS: dict[Any, Callable[[Any], _Form | None]] = {
    Normal: _normal,
    StudentT: _student_t,
    Bernoulli: _bernoulli,
    Poisson: _poisson,
}
