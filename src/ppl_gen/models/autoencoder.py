"""The autoencoder: a code that reconstructs the row, and no distribution over codes."""

from collections.abc import Sequence
from typing import Any

import pyro
import pyro.distributions as dist
from torch import Tensor, nn

from ppl_gen.arrays import rows_of
from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel, dtype_of
from ppl_gen.distributions import Units
from ppl_gen.isolation import seeded
from ppl_gen.networks import check_network, mlp


class Autoencoder(ProbabilisticModel):
    """Autoencoder (Hinton and Salakhutdinov 2006): what a VAE is without its p(z).

    ``x`` (n, features) is the row, and ``noisy`` (n, features) what is encoded: x itself, or, in a
    `DenoisingAutoencoder`, x with noise. Its ELBO is minus half the squared reconstruction error, in units of
    each feature's standard deviation, up to a constant. It cannot be asked p(x): no p(z) says which codes
    are likely, so nothing can be drawn or scored.

    Args:
        features, latent: sizes. hidden: sizes of the encoder's hidden layers; the decoder has them reversed.
        encoder, decoder: any modules instead: (n, features) -> (n, latent) and back, in units of the data.
        seed: decides the networks' initial weights.

    >>> import torch
    >>> from ppl_gen import SVI, ask, fit
    >>> x = torch.randn(20, 3)
    >>> posterior = fit(Autoencoder(features=3, latent=2), SVI(steps=5), x=x, noisy=x)
    >>> ask(posterior, "p(x | noisy)", noisy=x).mean.shape, posterior.model.encode(x).shape
    (torch.Size([20, 3]), torch.Size([20, 2]))
    """

    joint = "p(x | noisy)"
    svi = {"steps": 2000, "learning_rate": 1e-3, "batch_size": 100}
    instead = (
        "It has no p(z), so that no code is more likely than another: ask a VAE, which has one, for p(x)."
    )

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        hidden: Sequence[int] = (64,),
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.features, self.latent = whole("features", features), whole("latent", latent)
        self.units = Units(features)
        with seeded(seed):
            self.encoder = encoder or mlp(features, hidden, latent)
            self.decoder = decoder or mlp(latent, list(hidden)[::-1], features)
        check_network("encoder", self.encoder, features, latent)
        check_network("decoder", self.decoder, latent, features)

    def model(self, noisy: Tensor) -> Tensor:
        with pyro.plate("data", len(noisy)):
            again = self.units.back(self.decoder(self.encoder(self.units(noisy))))
            return pyro.sample("x", dist.Normal(again, self.units.spread).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        """Take the units from the rows."""
        self.units.measure(x)

    def encode(self, x: Any) -> Tensor:
        """The codes (n, latent) of rows, an array or a tensor."""
        code: Tensor = self.encoder(self.units(self.rows(x)))
        return code

    def decode(self, z: Any) -> Tensor:
        """The rows (n, features) of codes, an array or a tensor."""
        return self.units.back(self.decoder(rows_of("z", z, self.latent, dtype_of(self))))

    def rows(self, x: Any) -> Tensor:
        """An array or a tensor (…, features) of any type, as the networks take it."""
        return rows_of("x", x, self.features, dtype_of(self))
