"""How many principal axes rows have, by the evidence of probabilistic PCA."""

import math

import torch
from torch import Tensor

_SMALL = 1e-15  # of the longest axis: shorter ones are none, and gaps below it are rounding


def log_evidence_of_axes(spectrum: Tensor, n: int) -> Tensor:
    """log p(x) of PPCA with k = 1, …, d - 1 axes, but for what all share: its Laplace approximation.

    Args:
        spectrum: the variances along all principal axes, longest first (d,).
        n: rows.

    Returns:
        nats (d - 1,); minus infinity where one of the k axes has no length.

    Reference: Minka (2000), Automatic choice of dimensionality for PCA, equations 30 and 31.

    >>> evidence = log_evidence_of_axes(torch.tensor([9.0, 4.0, 1.01, 1.0, 0.99]), n=1000)
    >>> 1 + int(evidence.argmax())
    2
    """
    lengths, d = spectrum.double() / spectrum.max(), len(spectrum)
    sphere = [math.lgamma((d - i) / 2) - (d - i) / 2 * math.log(math.pi) - math.log(2) for i in range(d)]
    found = torch.full((d - 1,), -math.inf, dtype=torch.float64)
    gaps = (lengths[:, None] - lengths).clamp_min(_SMALL)
    for k in range(1, d):
        if not lengths[k - 1] >= _SMALL:
            break
        model = lengths.clone()
        model[k:] = noise = lengths[k:].mean().clamp_min(_SMALL)
        bends = (gaps * (1 / model - 1 / model[:, None]).clamp_min(_SMALL) * n)[:k].log().triu(1).sum()
        free = d * k - k * (k + 1) / 2
        found[k - 1] = (
            sum(sphere[:k])
            - n / 2 * (lengths[:k].log().sum() + (d - k) * noise.log())
            + (free + k) / 2 * math.log(2 * math.pi)
            - bends / 2
            - k / 2 * math.log(n)
        )
    return found
