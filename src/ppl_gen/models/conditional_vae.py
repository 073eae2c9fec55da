"""Conditional variational autoencoder: what a row of a given class looks like."""

from collections.abc import Sequence

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ppl_gen.checks import instance, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import Bernoulli, Likelihood, StandardNormal, filled
from ppl_gen.isolation import seeded
from ppl_gen.networks import beside, check_network, mlp, output_bias


class ConditionalVAE(ProbabilisticModel):
    """Conditional variational autoencoder (Sohn, Lee and Yan 2015): the class is given, the code is not.

    ``y`` (n,) is the class, ``z`` (n, latent) what the class leaves open, a code independent of it, and ``x``
    (n, features) the row that both generate. The model has no p(y): `SemiSupervisedVAE` has.

    Args:
        classes, features, latent: sizes.
        likelihood: of ppl_gen.distributions, as in `VAE`.
        prior: of the code, as in `VAE`.
        hidden: sizes of the hidden layers of both networks; dropout: of their units.
        encoder, decoder: any modules instead: (n, features + classes) -> (n, 2 latent), the means and log
            scales of the code; (n, latent + classes) -> (n, features likelihood.outputs).
        seed: decides the networks' initial weights.

    >>> print(ConditionalVAE(classes=10, features=64, latent=2))
    p(z) p(x | z, y)
    """

    joint = "p(z) p(x | z, y)"
    approximation = "q(z | x, y)"
    reads_gaps = True
    svi = {"steps": 5000, "learning_rate": 1e-3, "batch_size": 100}

    def __init__(
        self,
        classes: int,
        features: int,
        latent: int,
        likelihood: Likelihood | None = None,
        *,
        prior: StandardNormal | None = None,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.classes = whole("classes", classes)
        self.features, self.latent = whole("features", features), whole("latent", latent)
        self.likelihood = instance("likelihood", likelihood, Bernoulli())
        self.units = self.likelihood.units(features)
        prior = instance("prior", prior, StandardNormal())
        reads = features + classes, latent + classes
        writes = 2 * latent, features * self.likelihood.outputs
        with seeded(seed):
            self.encoder = encoder or mlp(reads[0], hidden, writes[0], dropout=dropout)
            self.decoder = decoder or mlp(reads[1], list(hidden)[::-1], writes[1], dropout=dropout)
            self.prior = prior.module(latent)
        check_network("encoder", self.encoder, reads[0], writes[0])
        check_network("decoder", self.decoder, reads[1], writes[1])

    def model(self, y: Tensor) -> Tensor:
        with pyro.plate("data", len(y)):
            z = pyro.sample("z", self.prior())
            return pyro.sample("x", self.likelihood.row(self.decoder(beside(z, y, self.classes)), self.units))

    def guide(self, x: Tensor, y: Tensor) -> None:
        seen = beside(self.units(x), y, self.classes)
        loc, log_scale = self.encoder(seen).chunk(2, -1)
        with pyro.plate("data", len(y)):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        """Take the units of real numbers from the rows; let the decoder start as independent features."""
        rows = filled(self.likelihood.measured(x, self.units))
        if (bias := output_bias(self.decoder)) is not None:
            with torch.no_grad():
                bias.copy_(self.likelihood.start(rows))

    def given_shape(self, name: str) -> tuple[int, ...]:
        """One class code a row."""
        return ()

    def given_levels(self, name: str) -> int:
        """As many codes as classes."""
        return self.classes

    def hint(self, name: str) -> str:
        """What to do when data do not fit the likelihood."""
        return self.likelihood.hint() if name == "x" else ""
