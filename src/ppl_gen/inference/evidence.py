"""Averages of weights: log evidence, its standard error, and the diagnostic that says whether to trust it."""

import math

import torch
from torch import Tensor


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log of the mean over the first dimension, the draws."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


def log_mean_exp_error(log_weights: Tensor, log_base: Tensor | None = None) -> Tensor:
    """Standard error of `log_mean_exp` (of a ratio of two, if ``log_base`` shares the draws), in nats.

    By the delta method: the spread of each draw's relative weight over the square root of their number.
    """
    relative = (log_weights - log_mean_exp(log_weights)).exp()
    if log_base is not None:
        relative = relative - (log_base - log_mean_exp(log_base)).exp() + 1
    return ((relative - 1) ** 2).mean(0).sqrt() / math.sqrt(len(log_weights))


def multi_sample_bound(log_weights: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The mean of the log of the mean of ``k`` weights, and its standard error: a bound on the log evidence.

    ``k`` = 1 is the ELBO; more draws inside the logarithm bring the bound nearer (Burda, Grosse and
    Salakhutdinov 2016, Importance weighted autoencoders).

    Args:
        log_weights: (draws, …); draws beyond a multiple of ``k`` are left out.

    >>> weights = torch.tensor([[1.0], [3.0], [1.0], [3.0]])
    >>> [round(multi_sample_bound(weights.log(), k)[0].exp().item(), 3) for k in (1, 2)]
    [1.732, 2.0]
    """
    blocks = log_weights[: len(log_weights) // k * k].unflatten(0, (-1, k))
    each = blocks.logsumexp(1) - math.log(k)
    error = each.std(0) if len(each) > 1 else torch.full_like(each[0], torch.nan)
    return each.mean(0), error / len(each) ** 0.5


def pareto_k(log_weights: Tensor) -> Tensor:
    """The k-hat of importance weights, one for each column of ``log_weights`` (draws, n).

    The shape of a generalised Pareto distribution fitted to the largest weights. Below 0.7 the average can
    be trusted; equal weights (an exact proposal) give -inf. References: Vehtari et al. 2024, Pareto smoothed
    importance sampling; Zhang and Stephens 2009, the fit.

    >>> pareto_k(torch.zeros(100, 2))
    tensor([-inf, -inf])
    """
    draws = len(log_weights)
    tail = min(draws // 5, math.ceil(3 * math.sqrt(draws)))
    if tail < 5:
        return torch.full(log_weights.shape[1:], torch.nan)
    largest = (log_weights - log_weights.amax(0)).double().exp().sort(0).values[-tail - 1 :]
    digits = torch.finfo(log_weights.dtype).eps * log_weights.abs().amax(0).clamp(min=1.0).double()
    equal = largest[-1] - largest[0] <= 1e3 * digits  # up to rounding: weights are sums of large numbers
    excess = (largest[1:] - largest[0]).clamp(min=torch.finfo(torch.float64).tiny)
    grid = 30 + int(math.sqrt(tail))
    steps = torch.arange(1, grid + 1, dtype=torch.float64).reshape(-1, *[1] * (excess.dim() - 1))
    quartile = excess[int(tail / 4 + 0.5) - 1]
    b = 1 / excess[-1] + (1 - (grid / (steps - 0.5)).sqrt()) / (3 * quartile)
    k = torch.log1p(-b[:, None] * excess).mean(1)
    profile = tail * ((-b / k).log() - k - 1)
    weights = profile.softmax(0)
    k = torch.log1p(-(b * weights).sum(0) * excess).mean(0)
    k = (tail * k + 10 * 0.5) / (tail + 10)  # a weak prior, worth ten draws, that k is 0.5
    return torch.where(equal, -torch.inf, k).to(log_weights.dtype)
