"""Variational autoencoder: a Normal code, decoded by a network; the guide is an encoder."""

from collections.abc import Sequence

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import Bernoulli, Likelihood, filled
from ppl_gen.errors import DataError
from ppl_gen.networks import check_network, mlp


class VAE(ProbabilisticModel):
    """Variational autoencoder (Kingma and Welling 2014), with an amortized guide.

    ``z`` (n, latent) is the code and ``x`` (n, features) the row that it generates.

    Args:
        features, latent: sizes.
        likelihood: of ppl_gen.distributions, a real density on the data's support: `Bernoulli` (the default)
            for zeros and ones; `Categorical`, `Binomial` or `BetaBinomial` for grey levels; `Gaussian` for
            (standardised) real numbers.
        hidden: sizes of the hidden layers of both networks; dropout: of their units.
        encoder, decoder: any modules instead: (n, features) -> (n, 2 latent), the means and log scales of
            the code; (n, latent) -> (n, features likelihood.outputs).
        seed: decides the networks' initial weights.

    >>> print(VAE(features=64, latent=2))
    p(z) p(x | z)
    """

    joint = "p(z) p(x | z)"
    approximation = "q(z | x)"
    svi = {"steps": 5000, "learning_rate": 1e-3, "batch_size": 100}

    def __init__(
        self,
        features: int,
        latent: int,
        likelihood: Likelihood | None = None,
        *,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.features, self.latent = whole("features", features), whole("latent", latent)
        self.likelihood = Bernoulli() if likelihood is None else likelihood
        if not isinstance(self.likelihood, Likelihood):
            raise DataError(f"likelihood: expected Bernoulli(), Categorical(levels), …, got {likelihood!r}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            outputs = features * self.likelihood.outputs
            self.encoder = encoder or mlp(features, hidden, 2 * latent, dropout=dropout)
            self.decoder = decoder or mlp(latent, list(hidden)[::-1], outputs, dropout=dropout)
        check_network("encoder", self.encoder, features, 2 * latent)
        check_network("decoder", self.decoder, latent, outputs)
        self.register_buffer("zero", torch.zeros(latent))

    def model(self, n: int) -> Tensor:
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(self.zero, 1.0).to_event(1))
            return pyro.sample("x", self.likelihood(self.decoder(z)))

    def guide(self, n: int, x: Tensor) -> None:
        loc, log_scale = self.encoder(x / self.likelihood.span).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        last = self.decoder[-1] if isinstance(self.decoder, nn.Sequential) else None
        if isinstance(last, nn.Linear) and last.bias is not None:
            with torch.no_grad():
                last.bias.copy_(
                    self.likelihood.start(filled(x))
                )  # the decoder starts as independent features

    def hint(self, name: str) -> str:
        """What to do when data do not fit the likelihood."""
        return self.likelihood.hint() if name == "x" else ""
