"""Guides, potentials and closed forms as students hand them in."""

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ppl_gen.core import ProbabilisticModel
from ppl_gen.models import BernoulliNaiveBayes
from tests.broken_models.base import Centre, Code, broken


@broken("guide.. draws 'z' depending on 'y', which is not a declared parent|is not what the approximation")
class LooksAtTheLabel(Code):
    """The guide's line is q(z | x), and its program asks for y too."""

    joint = "p(y) p(z) p(x | z, y)"

    def model(self, n):
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Bernoulli(0.5))
            pyro.sample("x", self.likelihood(self.decoder(self.code() + y[:, None])))

    def guide(self, n, x, y):
        self.encode(n, x + y[:, None])


@broken("guide.. draws 'mu' depending on 'tau', which is not a declared parent")
class HiddenDependence(Centre):
    """The guide's mean is scaled by tau, and its line says that they are independent."""

    def guide(self):
        tau = pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", dist.Normal(self.loc, self.scale * tau))


@broken("guide.. gives a distribution a parameter.*scale of Normal")
class NetworkAsScale(Code):
    """The network's output is a scale without exp or softplus."""

    def guide(self, n, x):
        loc, scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))


@broken("'z' as NaN where a cell of 'x' is missing")
class CannotReadGaps(Code):
    """It says that its encoder takes missing cells, and it does not."""

    reads_gaps = True

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


@broken("initialize.. keeps 'centre' in a plain attribute")
class ForgetsItsStart(Centre):
    """What the data tell the start is lost by save."""

    def initialize(self, x, **_):
        self.centre = x.mean()


@broken("multiplies in the term 'energy' .pyro.factor.*no line says so")
class UnmarkedFactor(Centre):
    """A penalty that makes the joint unnormalised, undeclared."""

    def model(self, n):
        tau, mu = self.shared()
        pyro.factor("energy", -(mu**2))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))


class Energy(ProbabilisticModel):
    """An energy-based model; good."""

    joint = "p(x)"
    potentials = "energy(x)"

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def flat(self):
        return pyro.sample("x", dist.ImproperUniform(dist.constraints.real_vector, (), (3,)))

    def model(self, n):
        with pyro.plate("data", n):
            x = self.flat()
            pyro.factor("energy", -self.network(x)[:, 0] - x.square().sum(-1))


@broken("not known to be normalisable: .* as x goes to infinity")
class Rises(Energy):
    """The energy rises faster than the density falls."""

    def flat(self):
        return pyro.sample("x", dist.Normal(torch.zeros(3), 0.5).to_event(1))

    def model(self, n):
        with pyro.plate("data", n):
            x = self.flat()
            pyro.factor("energy", 3 * x.square().sum(-1))


@broken("never multiplies in the potential 'bond'")
class MissingPotential(Energy):
    """A declared term that the program lacks."""

    potentials = "energy(x) bond(x)"


@broken("multiplies in 'energy' depending on 'y', which is not named in its parentheses")
class PotentialOfMore(Energy):
    """The term looks at a variable that its line does not name."""

    joint = "p(y) p(x)"

    def model(self, n):
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Normal(0.0, 1.0))
            x = self.flat()
            pyro.factor("energy", -self.network(x)[:, 0] - x.square().sum(-1) * y**2)


@broken("multiplies in 'energy' without looking at 'x'")
class PotentialOfLess(Energy):
    """The term looks at nothing."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.factor("energy", -self.flat().square().sum(-1) * 0.0)


@broken("in model.. rows depend on one another.*'energy'|density of a row")
class PotentialAcrossRows(Energy):
    """The term of a row looks at the mean over the rows."""

    def model(self, n):
        with pyro.plate("data", n):
            x = self.flat()
            pyro.factor("energy", -(x - x.mean(0)).square().sum(-1))


@broken("cannot read the potentials")
class UnreadablePotential(Energy):
    """A bracket is missing."""

    potentials = "energy(x"


@broken("looks at 'z', which p.x. does not have")
class PotentialOfNothing(Energy):
    """The term names a variable that is not there."""

    potentials = "energy(x, z)"


@broken("'x' is improper")
class ImproperPrior(Energy):
    """A flat variable without a term that makes it a density."""

    potentials = ""

    def model(self, n):
        with pyro.plate("data", n):
            self.flat()


class Network(dist.TorchDistribution):
    """Draws through a network, and claims a density."""

    support = dist.constraints.real_vector
    has_rsample = True
    arg_constraints = {}  # noqa: RUF012

    def __init__(self, of, batch=()):
        self.of = of
        super().__init__(torch.Size(batch), torch.Size([2]))

    def expand(self, batch, _instance=None):
        return Network(self.of, batch)

    def rsample(self, sample_shape=()):
        return torch.tanh(torch.randn(*sample_shape, *self.batch_shape, 2)) * 3

    def log_prob(self, value):
        return -0.5 * (value - self.of).square().sum(-1)


@broken("sampler and density of 'x' disagree")
class ClaimsADensity(Centre):
    """An implicit model whose log_prob is made up."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", Network(mu + tau.log()))


@broken(r"p\(theta\).*updated|not Bayes' rule.*breaks  p\(theta\)", classes=2, features=3)
class UpdateOffByAFactor(BernoulliNaiveBayes):
    """Counts enter twice."""

    def updated(self, x, y):
        after = super().updated(x, y)
        after.ones = self.ones + 2 * (after.ones - self.ones)
        return after
