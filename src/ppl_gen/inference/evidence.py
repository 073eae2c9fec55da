"""Averages of weights: log evidence, its standard error, and the diagnostic that says whether to trust it."""

import math

import torch
from torch import Tensor

from ppl_gen.pareto import pareto_k as pareto_k
from ppl_gen.pareto import pareto_smoothed as pareto_smoothed


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
