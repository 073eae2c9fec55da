"""Two good models to break, and the list of the broken ones."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import nn
from torch.distributions import constraints

from ppl_gen.core import ProbabilisticModel
from ppl_gen.models import VAE

ROWS = {"n": 8}
X = {"x": torch.linspace(-1, 1, 18).reshape(9, 2) ** 2}
BROKEN = []  # (the broken model, what it is given, a regular expression that names its mistake)


def broken(words, given=ROWS, **sizes):
    def keep(cls):
        BROKEN.append((cls, sizes, given, words))
        return cls

    return keep


class Code(VAE):
    """A VAE of five features; good."""

    def __init__(self):
        super().__init__(features=5, latent=2, hidden=(4,))

    def code(self):
        return pyro.sample("z", self.prior())

    def encode(self, n, x, name="z"):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            return pyro.sample(name, dist.Normal(loc, log_scale.exp()).to_event(1))


class Centre(ProbabilisticModel):
    """Normal rows around a mean, with a precision; good."""

    joint = "p(tau) p(mu) p(x | mu, tau)"
    approximation = "q(tau) q(mu)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.tensor(0.5))
        self.scale = PyroParam(torch.tensor(0.5), constraints.positive)
        self.shape = PyroParam(torch.tensor(2.0), constraints.positive)
        self.register_buffer("one", torch.tensor(1.0))

    def shared(self):
        tau = pyro.sample("tau", dist.Gamma(2 * self.one, self.one))
        return tau, pyro.sample("mu", dist.Normal(0.0, self.one))

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", dist.Normal(self.loc, self.scale))
