"""Units of the data, in which networks see and give rows."""

import torch
from torch import Tensor, nn

from ppl_gen.distributions.starts import centre_and_spread


class Units(nn.Module):
    """Units for rows of ``features`` numbers: a row is centre + spread u, and networks know u alone.

    Buffers, so that they are saved: ``centre`` (features,), at first 0, and ``spread`` (features,), at first
    ``span``. Densities stay those of the rows themselves.

    >>> units = Units(2)
    >>> units.measure(torch.tensor([[1000.0, 2.0], [3000.0, 6.0]]))
    >>> units(torch.tensor([3000.0, 2.0])).tolist(), units.back(torch.zeros(2)).tolist()
    ([1.0, -1.0], [2000.0, 4.0])
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, features: int, span: float = 1.0):
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("spread", torch.full((features,), float(span)))

    def forward(self, x: Tensor) -> Tensor:
        """Rows (…, features) in these units, with 0 in missing cells (NaN)."""
        return ((x - self.centre) / self.spread).nan_to_num(nan=0.0)

    def back(self, u: Tensor) -> Tensor:
        """Rows in their own units."""
        return self.centre + self.spread * u

    def measure(self, x: Tensor) -> None:
        """Take the columns' means and standard deviations of ``x`` (n, features); NaN is left out."""
        centre, spread = centre_and_spread(x)
        self.centre.copy_(centre)
        self.spread.copy_(spread)
