"""Mistakes of distributions."""

import math

import pyro
import pyro.distributions as dist
import torch

from ppl_gen.core import ProbabilisticModel
from ppl_gen.models import GaussianMixture
from tests.broken_models.base import Centre, Code, broken


class Grey(dist.Bernoulli):
    """Draws grey levels and scores them as if they were bits."""

    def sample(self, sample_shape=()):
        return self.mean.expand(self.shape(sample_shape)).clone()


@broken("drawn outside the support")
class GreyPixels(Code):
    """Grey pixels under a Bernoulli."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", Grey(logits=self.decoder(self.code()), validate_args=False).to_event(1))


@broken("scored outside its support")
class UncheckedPixels(Code):
    """The likelihood takes any numbers for bits."""

    def model(self, n):
        with pyro.plate("data", n):
            bits = dist.Bernoulli(logits=self.decoder(self.code()), validate_args=False)
            pyro.sample("x", bits.to_event(1))


class Infinite(dist.Normal):
    """A density that is infinite everywhere."""

    def log_prob(self, value):
        return super().log_prob(value) / 0.0


@broken("not finite at the model's own draw")
class InfiniteDensity(Centre):
    """log p(x) is infinite."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", Infinite(mu, tau.rsqrt()))


class Narrow(dist.Normal):
    """Draws with half the scale that it scores with."""

    def rsample(self, sample_shape=()):
        return self.loc + (super().rsample(torch.Size(sample_shape)) - self.loc) / 2

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


@broken("sampler and density of 'x' disagree")
class SamplerDisagrees(Centre):
    """Draws and density have different scales."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", Narrow(mu, tau.rsqrt()))


class Unnormalised(dist.Categorical):
    """Scores twice the probability."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.7


@broken("does not sum to one", components=2, features=2)
class DoesNotSumToOne(GaussianMixture):
    """The components' probabilities sum to two."""

    def model(self, n):
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("components", self.components):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            z = pyro.sample("z", Unnormalised(pi))
            pyro.sample("x", dist.Normal(mu[z], tau[z].rsqrt()).to_event(1))


@broken("cannot take all values of 'z' at once", components=2, features=2)
class NotEnumerable(GaussianMixture):
    """The component is looked up row by row: summing it out gets the wrong rows."""

    def model(self, n):
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("components", self.components):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(pi))
            rows = z.flatten()[torch.arange(n) % z.numel()]
            pyro.sample("x", dist.Normal(mu[rows], tau[rows].rsqrt()).to_event(1))


class Halves(ProbabilisticModel):
    """A mixture without a guide, to be broken; good."""

    joint = "p(z) p(x | z)"

    def model(self, n):
        loc = torch.tensor([-2.0, 2.0])
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(torch.tensor([0.3, 0.7])))
            pyro.sample("x", dist.Normal(self.chosen(loc, z), 1.0))

    def chosen(self, loc, z):
        return loc[z]


@broken(r"cannot take all values of 'z' at once.*where   densities.py:\d+.*chosen")
class Flattened(Halves):
    """The values of z, with its dimensions flattened, pass for rows."""

    def chosen(self, loc, z):
        return loc[z.reshape(-1)]


@broken(r"cannot take all values of 'z' at once.*where   densities.py:\d+.*chosen")
class OneByOne(Halves):
    """Python numbers, one by one, forget in which dimension they lay."""

    def chosen(self, loc, z):
        return torch.stack([loc[int(k)] for k in z.reshape(-1)])


@broken(r"cannot take all values of 'c' at once.*converted to Scalar.*q\(c\)")
class Switch(ProbabilisticModel):
    """A Python if decides on a variable that is to be summed out."""

    joint = "p(c) p(x | c)"

    def model(self, n):
        c = pyro.sample("c", dist.Bernoulli(torch.tensor(0.5)))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(5.0 if c.item() == 1 else 0.0, 1.0))


class OneTooMany(dist.Normal):
    """Scores too much by a constant."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.3


@broken(r"density of 'x' in model\(\) does not sum to one: 1.35")
class NormalPlusConstant(Centre):
    """A constant of the data's density is wrong."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", OneTooMany(mu, tau.rsqrt()))


@broken(r"density of 'z' in model\(\) does not sum to one: 1.35")
class CellsPlusConstant(Code):
    """A constant of every cell of a code is wrong."""

    def model(self, n):
        with pyro.plate("data", n):
            z = pyro.sample("z", OneTooMany(torch.zeros(self.latent), 1.0).to_event(1))
            pyro.sample("x", self.likelihood(self.decoder(z)))


class Half(dist.HalfNormal):
    """Forgets the factor 2 of the folded half."""

    def log_prob(self, value):
        return super().log_prob(value) - math.log(2.0)


@broken(r"density of 'tau' in model\(\) does not sum to one: 0.5")
class HalfNormalWithoutTwo(Centre):
    """The prior's density sums to one half."""

    def shared(self):
        tau = pyro.sample("tau", Half(self.one))
        return tau, pyro.sample("mu", dist.Normal(0.0, self.one))


class Undensified(dist.Normal):
    """Draws, but has no density."""

    def log_prob(self, value):
        raise NotImplementedError("an implicit model")


@broken("'x' in model.* cannot be computed at a given value: Undensified.log_prob says.*an implicit model")
class NoDensity(Centre):
    """Rows that can be drawn only."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", Undensified(mu, tau.rsqrt()))


class Energy(dist.Normal):
    """Scores, but cannot be drawn."""

    def rsample(self, sample_shape=()):
        raise NotImplementedError("no sampler")


@broken("stopped after drawing 'mu'.*no sampler")
class NoSampler(Centre):
    """Rows that can be scored only."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", Energy(mu, tau.rsqrt()))


@broken("hides its arguments in .*leave out decorators", components=2, features=2)
class Decorated(GaussianMixture):
    """Pyro's decorator for summing out hides the signature."""

    @pyro.infer.config_enumerate
    def model(self, n):
        return super().model(n)


@broken("multiplies in the term 'energy'.*known only up to a constant")
class ExtraTerm(Centre):
    """A joint up to a constant: a term without a name of the joint."""

    def model(self, n):
        super().model(n)
        pyro.factor("energy", self.one)
