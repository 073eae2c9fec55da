"""Where to start: units of the data, and rows far from one another."""

import torch
from torch import Tensor

_CELLS = 1 << 17  # numbers looked at together, which stay in the processor's cache


def in_blocks(x: Tensor) -> tuple[Tensor, ...]:
    """Rows (n, features) a few at a time, so that what is made of them is soon used and forgotten."""
    return x.split(max(1, _CELLS // max(1, x[:1].numel())))


def centre_and_spread(x: Tensor) -> tuple[Tensor, Tensor]:
    """The columns' means and standard deviations of ``x`` (n, features); 1 where a column is constant.

    Missing cells (NaN) are left out.
    """
    x = x if x.is_floating_point() else x.double()
    count, mean = torch.tensor(max(len(x), 1)), x.mean(0) if len(x) else x.new_zeros(x.shape[1:])
    if bool(mean.isnan().any()):
        seen = ~torch.isnan(x)
        count = seen.sum(0).clamp(min=1)
        mean = torch.where(seen, x, 0.0).sum(0) / count
        x = torch.where(seen, x, mean)
    squares = [(part - mean).square_().sum(0) for part in in_blocks(x)]
    sd = (torch.stack(squares).sum(0) / count).sqrt()
    if bool((sd == 0).any()) and len(x):  # constant, or so small that squares vanish
        apart = x - mean
        largest = apart.abs().amax(0)
        sd = largest * ((apart / torch.where(largest > 0, largest, 1.0)).square().sum(0) / count).sqrt()
    return mean, torch.where(sd > torch.finfo(x.dtype).eps * mean.abs(), sd, 1.0)


def filled(x: Tensor) -> Tensor:
    """``x`` (n, features) with the columns' means in its missing cells (NaN)."""
    return torch.where(torch.isnan(x), centre_and_spread(x)[0].to(x.dtype), x)


def kmeans_plus_plus(x: Tensor, k: int, trials: int = 10) -> Tensor:
    """The best of ``trials`` seedings: ``k`` rows, each drawn by its squared distance from those before.

    Reference: Arthur and Vassilvitskii 2007, k-means++. Uses torch's generator. Returns shape (k, features).
    """
    best, least = x[:1].expand(k, -1), torch.inf
    for _ in range(trials):
        chosen = x[torch.randint(len(x), (1,))]
        distance = (x - chosen).square().sum(1)
        while len(chosen) < k:
            weights = distance if distance.sum() > 0 else torch.ones_like(distance)
            row = x[torch.multinomial(weights, 1)]
            chosen = torch.cat([chosen, row])
            distance = torch.minimum(distance, (x - row).square().sum(1))
        if distance.sum() < least:
            best, least = chosen, distance.sum().item()
    return best
