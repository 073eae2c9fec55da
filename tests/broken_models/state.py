"""Mistakes of parameters, and traces left in the process."""

import random

import pyro
import pyro.distributions as dist
import torch
from torch import nn
from torch.distributions import constraints

from tests.broken_models.base import Centre, Code, broken


@broken("pyro.param.*global store")
class GlobalParameter(Code):
    """A parameter in Pyro's global store."""

    def guide(self, n, x):
        loc, _ = self.encoder(x).chunk(2, -1)
        scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))


@broken("no gradient reaches the parameter 'unused'")
class IdleParameter(Code):
    """A parameter that nothing uses."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(3))


@broken("no gradient reaches the parameter 'encoder")
class DetachedEncoder(Code):
    """No gradient gets into the encoder."""

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).detach().chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


@broken("changes the model's own 'one'")
class CountsItsRuns(Centre):
    """A buffer that grows with every run."""

    def model(self, n):
        self.one += 1
        super().model(n)


@broken("changes the default dtype")
class ChangesDtype(Centre):
    """The program changes the precision of the whole process."""

    def model(self, n):
        torch.set_default_dtype(torch.float64)
        super().model(n)


@broken("changes the validation")
class DisablesValidation(Centre):
    """The program switches off validation for the whole process."""

    def model(self, n):
        pyro.enable_validation(False)
        super().model(n)


@broken("sets the random seed")
class Reseeds(Centre):
    """The program chooses the seed."""

    def model(self, n):
        torch.manual_seed(0)
        super().model(n)


@broken("random beside its variables")
class HiddenNoise(Centre):
    """Noise that has no name."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + 0.1 * torch.randn(()), tau.rsqrt()))


@broken("random numbers")
class PythonNoise(Centre):
    """Noise from Python's own generator."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + 0.1 * random.random(), tau.rsqrt()))


@broken("cannot be copied")
class KeepsGraph(Centre):
    """An attribute computed from a parameter, which no copy can have."""

    def __init__(self):
        super().__init__()
        self.twice = 2 * self.loc


@broken("self.shift is a tensor that asks for gradients but is no parameter.*torch.nn.Parameter")
class RawTensor(Centre):
    """A tensor that looks like a parameter and is none."""

    def __init__(self):
        super().__init__()
        self.shift = torch.zeros((), requires_grad=True)

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", dist.Normal(self.loc + self.shift, self.scale))


@broken("self.heads holds a module in a plain list.*torch.nn.ModuleList")
class PlainList(Code):
    """A network in a Python list, whose weights are not the model's."""

    def __init__(self):
        super().__init__()
        self.heads = [nn.Linear(5, 5)]

    def encode(self, n, x, name="z"):
        return super().encode(n, self.heads[0](x), name)
