"""The denoising autoencoder: the row from a noisy copy of it, and with that the slope of log p."""

from typing import Any

import torch
from torch import Tensor

from ppl_gen.checks import positive
from ppl_gen.models.autoencoder import Autoencoder


class DenoisingAutoencoder(Autoencoder):
    """Denoising autoencoder (Vincent et al. 2008), for Normal noise of standard deviation ``noise``.

    Fit it to rows and their corrupted copies, ``fit(model, x=x, noisy=model.corrupted(x))``. It has no p(x)
    either, but it knows where log p rises: the way from a noisy row to its reconstruction (`slope`).

    >>> model = DenoisingAutoencoder(features=3, latent=2, noise=0.5)
    >>> model.corrupted(torch.zeros(4, 3)).shape, model.slope(torch.zeros(4, 3)).shape
    (torch.Size([4, 3]), torch.Size([4, 3]))
    """

    def __init__(self, features: int, latent: int, *, noise: float = 0.5, **networks: Any):
        super().__init__(features, latent, **networks)
        self.noise = positive("noise", noise)

    def corrupted(self, x: Any, seed: int = 0) -> Tensor:
        """The rows, an array or a tensor, with noise."""
        rows, generator = self.rows(x), torch.Generator().manual_seed(seed)
        return rows + self.noise * torch.randn(rows.shape, generator=generator, dtype=rows.dtype)

    def slope(self, x: Any) -> Tensor:
        """The gradient of log p at rows, p the density of noisy rows: Alain and Bengio 2014.

        Tweedie's formula: (E[x | noisy] - noisy) / noise², with the reconstruction for the expectation.
        """
        rows = self.rows(x)
        return (self.decode(self.encode(rows)) - rows) / self.noise**2
