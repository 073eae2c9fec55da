"""Variational autoencoder: a code of a known prior, decoded by a network; the guide is an encoder."""

from collections.abc import Sequence

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ppl_gen.checks import instance, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import Bernoulli, Likelihood, StandardNormal, filled
from ppl_gen.isolation import seeded
from ppl_gen.networks import check_network, decoder_of, encoder_of, output_bias


class VAE(ProbabilisticModel):
    """Variational autoencoder (Kingma and Welling 2014), with an amortized guide.

    ``z`` (n, latent) is the code and ``x`` (n, features) the row that it generates.

    Args:
        features, latent: sizes.
        likelihood: of ppl_gen.distributions, a real density on the data's support: `Bernoulli` (the default)
            for zeros and ones; `Categorical`, `Binomial`, `BetaBinomial` or `DiscretizedLogistic` for grey
            levels; `Gaussian` for real numbers, which the networks see and give in units of the data.
        prior: of the code, of ppl_gen.distributions: `StandardNormal` (the default), `LearnedNormal`,
            `NormalMixture` or `CouplingFlow`.
        network: "mlp", or "conv" for square images.
        hidden: sizes of the hidden layers of both networks, of "conv" the channels; dropout: of their units.
        encoder, decoder: any modules instead: (n, features) -> (n, 2 latent), the means and log scales of
            the code; (n, latent) -> (n, features likelihood.outputs).
        seed: decides the networks' initial weights.

    >>> print(VAE(features=64, latent=2))
    p(z) p(x | z)
    """

    joint = "p(z) p(x | z)"
    approximation = "q(z | x)"
    reads_gaps = True
    svi = {"steps": 5000, "learning_rate": 1e-3, "batch_size": 100}

    def __init__(
        self,
        features: int,
        latent: int,
        likelihood: Likelihood | None = None,
        *,
        prior: StandardNormal | None = None,
        network: str = "mlp",
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.features, self.latent = whole("features", features), whole("latent", latent)
        self.likelihood = instance("likelihood", likelihood, Bernoulli())
        self.units = self.likelihood.units(features)
        prior = instance("prior", prior, StandardNormal())
        outputs = self.likelihood.outputs
        with seeded(seed):
            self.encoder = encoder or encoder_of(network, features, hidden, 2 * latent, dropout)
            self.decoder = decoder or decoder_of(network, latent, hidden, features, outputs, dropout)
            self.prior = prior.module(latent)
        check_network("encoder", self.encoder, features, 2 * latent)
        check_network("decoder", self.decoder, latent, features * outputs)

    def model(self, n: int) -> Tensor:
        with pyro.plate("data", n):
            z = pyro.sample("z", self.prior())
            return pyro.sample("x", self.likelihood.row(self.decoder(z), self.units))

    def guide(self, n: int, x: Tensor) -> None:
        loc, log_scale = self.encoder(self.units(x)).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        """Take the units of real numbers from the rows; let the decoder start as independent features."""
        rows = filled(self.likelihood.measured(x, self.units))
        if (bias := output_bias(self.decoder)) is not None:
            with torch.no_grad():
                bias.copy_(self.likelihood.start(rows))

    def hint(self, name: str) -> str:
        """What to do when data do not fit the likelihood."""
        return self.likelihood.hint() if name == "x" else ""
