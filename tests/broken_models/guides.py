"""Mistakes of the guide."""

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine

from tests.broken_models.base import Centre, Code, broken


@broken("guide.* never draws 'z'.*'Z'")
class MisspeltGuide(Code):
    """The guide's site has a capital letter."""

    def guide(self, n, x):
        self.encode(n, x, "Z")


@broken("speaks of 'u'")
class GuideOfAnother(Code):
    """The guide's line names a variable that the joint does not have."""

    approximation = "q(u | x)"


@broken("draws 'mu', which the approximation line does not name")
class GuideLineTooShort(Centre):
    """The guide draws more than its line says."""

    approximation = "q(tau)"


@broken("never draws 'tau'")
class GuideLineTooLong(Centre):
    """The guide draws less than its line says."""

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, self.scale * self.shape))


@broken("draws 'mu' without looking at 'tau'")
class GuideLineUntrue(Centre):
    """The line declares a dependence that the guide lacks."""

    approximation = "q(tau) q(mu | tau)"


@broken("draws 'x', which the approximation line does not name: an observed")
class GuideDrawsData(Centre):
    """The guide draws the data too."""

    def guide(self):
        super().guide()
        pyro.sample("x", dist.Normal(0.0, 1.0))


@broken("draws 'extra', which the approximation line does not have")
class GuideDrawsMore(Centre):
    """The guide draws a variable that the joint does not have."""

    def guide(self):
        super().guide()
        pyro.sample("extra", dist.Normal(0.0, 1.0))


@broken("outside the plate")
class GuideOutsidePlate(Code):
    """The guide draws the codes of the rows outside the plate."""

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(2))


@broken("to_event is forgotten")
class GuideNoToEvent(Code):
    """The guide's codes have a batch dimension of their own."""

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()))


@broken("KL-breaking guide site 'tau'.*wider")
class NormalForGamma(Centre):
    """A Normal guide for a positive precision."""

    def guide(self):
        pyro.sample("tau", dist.Normal(1.0 + self.shape, 0.01))
        pyro.sample("mu", dist.Normal(self.loc, self.scale))


@broken("KL-breaking guide site 'mu'.*Delta")
class DeltaForNormal(Centre):
    """A point for a continuous latent."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.scale))
        pyro.sample("mu", dist.Delta(self.loc))


@broken("KL-breaking guide site 'mu'.*discrete")
class CountsForNormal(Centre):
    """A discrete guide for a continuous latent."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.scale))
        pyro.sample("mu", dist.Poisson(self.loc.exp()))


@broken("unexplained")
class Unexplained(Code):
    """A second code that nobody explains."""

    joint = "p(z) p(w | z) p(x | w)"

    def model(self, n):
        with pyro.plate("data", n):
            w = pyro.sample("w", dist.Normal(self.code(), 1.0).to_event(1))
            pyro.sample("x", self.likelihood(self.decoder(w)))


@broken("unexplained")
class UnexplainedParameter(Centre):
    """A parameter that the guide forgot."""

    approximation = "q(mu)"

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, self.scale * self.shape))


@broken(r"guide\(\) weighs or masks 'tau'.*no bound")
class WeighedGuide(Centre):
    """The guide's density counts a tenth: the ELBO lies above the evidence."""

    def guide(self):
        with poutine.scale(scale=0.1):
            super().guide()


@broken(r"guide\(\) weighs or masks 'tau'.*no bound")
class MaskedGuide(Centre):
    """The guide's density does not count."""

    def guide(self):
        with poutine.mask(mask=False):
            super().guide()


@broken(r"guide\(\) weighs or masks 'mu'.*no bound")
class MaskedDistributionInGuide(Centre):
    """The density of one factor does not count."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", dist.Normal(self.loc, self.scale).mask(False))


@broken("narrower than that of the prior Normal.*'mu' can be .*never reach the posterior")
class LogNormalForNormal(Centre):
    """A positive guide for a real mean."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", dist.LogNormal(self.loc, self.scale))


@broken("narrower than that of the prior Normal.*'z' can be .*never reach the posterior")
class UniformForNormal(Code):
    """A guide in a box for codes without bounds."""

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Uniform(loc - log_scale.exp(), loc + log_scale.exp()).to_event(1))


class HalfScale(dist.Normal):
    """Draws with half the scale that it scores with, when gradients are asked for."""

    def rsample(self, sample_shape=()):
        return self.loc + (super().rsample(torch.Size(sample_shape)) - self.loc) / 2


@broken(r"sampler and density of 'mu' disagree in guide\(\)")
class GuideSamplerDisagrees(Centre):
    """The guide's draws and density have different scales."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", HalfScale(self.loc, self.scale))


class Lowered(dist.Normal):
    """Scores too little by a constant."""

    def log_prob(self, value):
        return super().log_prob(value) - 0.3


@broken(r"density of 'mu' in guide\(\) does not sum to one: 0.741")
class GuideDoesNotSumToOne(Centre):
    """The guide's density is too low: the ELBO lies above the evidence."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", Lowered(self.loc, self.scale))
