"""Semi-supervised variational autoencoder: the class is a latent variable that some rows show."""

from collections.abc import Sequence

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.checks import instance, positive, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import Bernoulli, Likelihood, filled
from ppl_gen.isolation import seeded
from ppl_gen.networks import beside, mlp, output_bias


class SemiSupervisedVAE(ProbabilisticModel):
    """Semi-supervised variational autoencoder (Kingma et al. 2014, Semi-supervised learning, model M2).

    ``y`` (n,) is the class, ``z`` (n, latent) a code independent of it, and ``x`` (n, features) the row that
    both generate. Classes are equally likely. Rows whose ``y`` is NaN have no label: the ELBO averages over
    their classes exactly, by q(y | x). A labelled row's ELBO does not contain q(y | x), so a classification
    term, ``alpha`` log q(y | x), is climbed beside it. It is no part of the bound: ``posterior.elbo`` leaves
    it out.

    Args:
        classes, features, latent: sizes.
        likelihood: of ppl_gen.distributions, as in `VAE`.
        hidden: sizes of the hidden layers of all networks; dropout: of their units.
        alpha: nats that a labelled row's log q(y | x) counts for.
        seed: decides the networks' initial weights.

    >>> print(SemiSupervisedVAE(classes=10, features=64, latent=2))
    p(y) p(z) p(x | y, z)
    """

    joint = "p(y) p(z) p(x | y, z)"
    approximation = "q(y | x) q(z | x, y)"
    reads_gaps = True
    svi = {"steps": 5000, "learning_rate": 1e-3, "batch_size": 100}

    def __init__(
        self,
        classes: int,
        features: int,
        latent: int,
        likelihood: Likelihood | None = None,
        *,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        alpha: float = 10.0,
        seed: int = 0,
    ):
        super().__init__()
        self.classes = whole("classes", classes, least=2)
        self.features, self.latent = whole("features", features), whole("latent", latent)
        self.likelihood = instance("likelihood", likelihood, Bernoulli())
        self.alpha = positive("alpha", alpha)
        self.units = self.likelihood.units(features)
        with seeded(seed):
            outputs = features * self.likelihood.outputs
            self.classifier = mlp(features, hidden, classes, dropout=dropout)
            self.encoder = mlp(features + classes, hidden, 2 * latent, dropout=dropout)
            self.decoder = mlp(latent + classes, list(hidden)[::-1], outputs, dropout=dropout)
        self.register_buffer("zero", torch.zeros(latent))
        self.register_buffer("logits", torch.zeros(classes))

    def model(self, n: int) -> Tensor:
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(logits=self.logits))
            z = pyro.sample("z", dist.Normal(self.zero, 1.0).to_event(1))
            return pyro.sample("x", self.likelihood.row(self.decoder(beside(z, y, self.classes)), self.units))

    def guide(self, n: int, x: Tensor) -> None:
        x = self.units(x)
        with pyro.plate("data", n):
            q = dist.Categorical(logits=self.classifier(x))
            y = pyro.sample("y", q, infer={"enumerate": "parallel"})
            loc, log_scale = self.encoder(beside(x, y, self.classes)).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        """Take the units of real numbers from the rows; let the decoder start as independent features."""
        rows = filled(self.likelihood.measured(x, self.units))
        if (bias := output_bias(self.decoder)) is not None:
            with torch.no_grad():
                bias.copy_(self.likelihood.start(rows))

    def auxiliary(self, x: Tensor, y: Tensor | None = None, **_: Tensor) -> Tensor | None:
        """The classification term of the labelled rows, in nats."""
        if y is None:
            return None
        labelled = ~torch.isnan(y)
        q = dist.Categorical(logits=self.classifier(self.units(x)))
        return self.alpha * (labelled * q.log_prob(torch.where(labelled, y, 0.0))).sum()

    def hint(self, name: str) -> str:
        """What to do when data do not fit the likelihood."""
        return self.likelihood.hint() if name == "x" else ""
