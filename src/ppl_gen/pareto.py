"""Pareto-smoothed importance sampling: whether averages of weights can be trusted, and better weights."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


def pareto_k(log_weights: Tensor) -> Tensor:
    """The k-hat of importance weights, one for each column of ``log_weights`` (draws, n).

    The shape of a generalised Pareto distribution fitted to the largest weights. Below 0.7 the average can
    be trusted; equal weights (an exact proposal) give -inf. References: Vehtari et al. 2024, Pareto smoothed
    importance sampling; Zhang and Stephens 2009, the fit.

    >>> pareto_k(torch.zeros(100, 2))
    tensor([-inf, -inf])
    """
    fit = _tail(log_weights)
    if fit is None:
        return torch.full(log_weights.shape[1:], torch.nan)
    return torch.where(fit.equal, -torch.inf, fit.shape).to(log_weights.dtype)


def pareto_smoothed(log_weights: Tensor) -> Tensor:
    """Log weights (draws, …) whose largest are replaced by what the Pareto tail fitted to them expects.

    Sums of weights then scatter less, and none is above the largest that came (Vehtari et al. 2024). Where
    the draws are too few for a tail, or all weights equal, they stay as they are.

    >>> raw = torch.tensor([0.0] * 90 + [float(i) for i in range(1, 11)])
    >>> bool((pareto_smoothed(raw)[:70] == raw[:70]).all()), bool(pareto_smoothed(raw).max() <= 10)
    (True, True)
    """
    fit = _tail(log_weights)
    if fit is None:
        return log_weights
    top = log_weights.amax(0)
    kept, order = (log_weights - top).double().sort(0)
    p = ((torch.arange(fit.size, dtype=torch.float64) + 0.5) / fit.size).reshape(-1, *[1] * (kept.dim() - 1))
    excess = fit.scale * torch.expm1(-fit.shape * torch.log1p(-p)) / fit.shape
    tail = (fit.threshold + excess).log().clamp(max=0.0)
    smooth = torch.cat([kept[: -fit.size], torch.where(fit.equal, kept[-fit.size :], tail)])
    return torch.empty_like(kept).scatter_(0, order, smooth).to(log_weights.dtype) + top


class _Tail(NamedTuple):
    size: int
    shape: Tensor
    scale: Tensor
    threshold: Tensor
    equal: Tensor  # whether all weights are, up to rounding


def _tail(log_weights: Tensor) -> _Tail | None:
    """The generalised Pareto distribution of the largest weights; None of too few draws."""
    draws = len(log_weights)
    tail = min(draws // 5, math.ceil(3 * math.sqrt(draws)))
    if tail < 5:
        return None
    largest = (log_weights - log_weights.amax(0)).double().exp().sort(0).values[-tail - 1 :]
    digits = torch.finfo(log_weights.dtype).eps * log_weights.abs().amax(0).clamp(min=1.0).double()
    spread = (
        log_weights.amax(0) - log_weights.amin(0)
    ).double()  # of all: a wide proposal's largest are alike
    equal = spread <= 1e3 * digits  # up to rounding: weights are sums of large numbers
    excess = (largest[1:] - largest[0]).clamp(min=torch.finfo(torch.float64).tiny)
    grid = 30 + int(math.sqrt(tail))
    steps = torch.arange(1, grid + 1, dtype=torch.float64).reshape(-1, *[1] * (excess.dim() - 1))
    quartile = excess[int(tail / 4 + 0.5) - 1]
    b = 1 / excess[-1] + (1 - (grid / (steps - 0.5)).sqrt()) / (3 * quartile)
    k = torch.log1p(-b[:, None] * excess).mean(1)
    profile = tail * ((-b / k).log() - k - 1)
    weights = profile.softmax(0)
    best = (b * weights).sum(0)
    k = torch.log1p(-best * excess).mean(0)
    scale = -k / best
    k = (tail * k + 10 * 0.5) / (tail + 10)  # a weak prior, worth ten draws, that k is 0.5
    return _Tail(tail, k, scale, largest[0], equal)
