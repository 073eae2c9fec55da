"""Programs whose scales and probabilities may leave their range, though at the first draws none does."""

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ppl_gen.core import ProbabilisticModel
from tests.broken_models.base import Centre, Code, broken

SIGNS = {"x": torch.linspace(-1, 1, 18).reshape(9, 2)}


@broken("'x' with a parameter that may be out of its range: scale of Normal.*values of w\n.*p.x . mu, w.  of")
class RealScale(ProbabilisticModel):
    """A standard deviation that is Normal itself, five of its own above zero."""

    joint = "p(mu) p(w) p(x | mu, w)"

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 1.0))
        w = pyro.sample("w", dist.Normal(torch.tensor(5.0), 1.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, w))


@broken("may be out of its range: scale of Normal.*values of x\n", SIGNS)
class ScaleAlongX(ProbabilisticModel):
    """A standard deviation that is a linear function of the input."""

    joint = "p(w) p(y | x, w)"

    def model(self, x):
        w = pyro.sample("w", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(x @ w, 1.5 + x[:, 0]))


@broken("may be out of its range: probs of Bernoulli.*values of r\n.*sigmoid")
class RealProbability(ProbabilisticModel):
    """A probability that is Normal."""

    joint = "p(r) p(x | r)"

    def model(self, n):
        r = pyro.sample("r", dist.Normal(torch.tensor(0.5), 0.05))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Bernoulli(r))


@broken("may be out of its range: scale of Normal.*the model's parameters.*PyroParam")
class FreeScale(Centre):
    """A scale that training may take below zero."""

    def __init__(self):
        super().__init__()
        self.spread = nn.Parameter(torch.tensor(1.0))

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + 0 * tau, self.spread * tau.rsqrt()))


@broken("guide.. draws 'z' with a parameter that may be out of its range.*q.z . x.")
class ScaleOfTheGuide(Code):
    """The guide's scale is what the network says, and at its start that is one."""

    def __init__(self):
        super().__init__()
        nn.init.zeros_(self.encoder[-1].weight)

    def guide(self, n, x):
        loc, scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, 1 + scale).to_event(1))
