"""Mistakes in what depends on what."""

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ppl_gen.core import ProbabilisticModel
from ppl_gen.models import VAE, GaussianMixture, LogisticRegression
from tests.broken_models.base import Centre, Code, X, broken


@broken("without looking at 'z'")
class IgnoresParent(Code):
    """x does not look at z."""

    def model(self, n):
        with pyro.plate("data", n):
            self.code()
            pyro.sample("x", self.likelihood(self.decoder(torch.ones(n, 2))))


@broken("without looking at 'z'")
class CollapsedParent(Code):
    """z enters x multiplied by zero: the program touches it, the density does not."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", self.likelihood(self.decoder(0 * self.code())))


@broken("depending on 'mu', which is not a declared parent")
class HiddenParent(Centre):
    """x depends on mu, and the line does not say so."""

    joint = "p(tau) p(mu) p(x | tau)"


@broken("without looking at 'x'", X, classes=2, features=2)
class IgnoresInput(LogisticRegression):
    """The classifier does not look at its input."""

    def basis(self, x):
        return torch.ones(len(x), 3, dtype=x.dtype)


@broken("depending on 'tau', which is not a declared parent")
class BranchesOnParent(Centre):
    """A parent read by .item(), which tracing through tensors would not see."""

    joint = "p(tau) p(mu) p(x | mu)"

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0 + tau.item()))


# Rows


@broken("rows depend on one another")
class CentresRows(Code):
    """The guide subtracts the mean over the rows."""

    def guide(self, n, x):
        self.encode(n, x - x.mean(0))


@broken("rows depend on one another", X, classes=2, features=2)
class StandardisesRows(LogisticRegression):
    """The model subtracts the mean over the rows."""

    def basis(self, x):
        return super().basis(x - x.mean(0))


@broken("normalises over the batch")
class BatchNorm(VAE):
    """Batch normalisation in the encoder."""

    def __init__(self):
        super().__init__(5, 2, encoder=nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4)))


@broken("rows depend on one another or on their number")
class TemperedPrior(Centre):
    """The prior's width follows the number of rows."""

    def model(self, n):
        tau = pyro.sample("tau", dist.Gamma(2.0, 1.0))
        mu = pyro.sample("mu", dist.Normal(0.0, torch.tensor(1.0 / n)))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))


@broken("ELBO is", components=2, features=2)
class BadStart(GaussianMixture):
    """The guide starts where no density is finite."""

    def initialize(self, x, **_):
        self.centre = torch.full_like(self.centre, 1e200)


@broken("initialize.* fails", components=2, features=2)
class StartWithoutData(GaussianMixture):
    """initialize does not take the data by name."""

    def initialize(self, rows):
        pass


@broken(r"'x' depends on 'mu' in model\(\), and the gradient .* misses that.*where   dependencies.py:\d+")
class Detached(Centre):
    """The gradient is cut between mu and x."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu.detach(), tau.rsqrt()))


@broken("'x' depends on 'w' in .*, and the gradient .* misses that")
class HalfDetached(ProbabilisticModel):
    """Half of the gradient passes by the nameless detour through NumPy."""

    joint = "p(w) p(x | w)"

    def model(self, n):
        w = pyro.sample("w", dist.Normal(torch.tensor(0.0), 1.0))
        rest = torch.as_tensor(w.detach().numpy())
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(w + rest, 1.0))


class Generator(ProbabilisticModel):
    """An implicit model; good."""

    joint = "p(z) p(x | z)"

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), self.between(), nn.Linear(4, 3))

    def between(self):
        return nn.Identity()

    def noise(self, n):
        return 0.0

    def model(self, n):
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.deterministic("x", self.network(z) + self.noise(n), event_dim=1)


@broken(r"random beside its variables: 'x' is a function.*still changes.*\(network.2 drops units")
class DropsUnits(Generator):
    """Dropout is noise that the joint does not know."""

    def between(self):
        return nn.Dropout(0.5)


@broken(r"random beside its variables: 'x' is a function .* still changes from run to run\n")
class NoisyFunction(Generator):
    """A function of z with noise of its own is none."""

    def noise(self, n):
        return torch.randn(n, 3)
