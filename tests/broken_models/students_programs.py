"""Programs as students hand them in: names, draws, plates and shapes that go wrong."""

import pyro
import pyro.distributions as dist
import torch

from ppl_gen.core import ProbabilisticModel
from ppl_gen.models import LogisticRegression
from tests.broken_models.base import Centre, X, broken


@broken("sampled twice|'mu' twice")
class DrawsTwice(Centre):
    """One name for two draws."""

    def model(self, n):
        tau, mu = self.shared()
        mu = pyro.sample("mu", dist.Normal(mu, 1.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))


@broken("capital P|expected p")
class CapitalP(Centre):
    """Probabilities with a capital letter."""

    joint = "P(tau) P(mu) P(x | mu, tau)"


@broken("generated twice")
class TwoFactorsOfOne(Centre):
    """A variable left of two bars."""

    joint = "p(tau) p(mu) p(x | mu) p(x | tau)"


@broken("cannot be read")
class TwoBars(Centre):
    """Two bars in one factor."""

    joint = "p(tau) p(mu) p(x | mu | tau)"


@broken("'Mu'.*misspelt")
class MisspeltParent(Centre):
    """A parent with a capital letter is another variable, given from outside."""

    joint = "p(tau) p(mu) p(x | Mu, tau)"


@broken("one by one|loop")
class LoopsOverRows(Centre):
    """Every row is a variable of its own."""

    def model(self, n):
        tau, mu = self.shared()
        for i in pyro.plate("data", n):
            pyro.sample(f"x_{i}", dist.Normal(mu, tau.rsqrt()))


@broken("loop")
class LoopsOneName(Centre):
    """A loop that draws one name again and again."""

    def model(self, n):
        tau, mu = self.shared()
        for _ in range(n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))


@broken("no variable lies in a plate")
class Expanded(Centre):
    """Rows by expand, without a plate."""

    def model(self, n):
        tau, mu = self.shared()
        pyro.sample("x", dist.Normal(mu, tau.rsqrt()).expand([n]))


@broken("'x', which the joint is given", X, classes=2, features=2)
class GeneratesItsInput(LogisticRegression):
    """A discriminative model that draws the input it is given."""

    def model(self, x):
        with pyro.plate("data", len(x)):
            x = pyro.sample("x", dist.Normal(torch.zeros_like(x), 1.0).to_event(1))
        super().model(x)


@broken("observes|observed|obs=")
class KeepsItsData(Centre):
    """The data are an attribute, and observed in the program."""

    def __init__(self):
        super().__init__()
        self.register_buffer("x", torch.linspace(-1, 1, 8))

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()), obs=self.x[:n])


@broken("super")
class ForgetsSuper(ProbabilisticModel):
    """The constructor does not start Module."""

    joint = "p(mu) p(x | mu)"

    def __init__(self):
        self.width = 2.0

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(0.0, self.width))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0))


@broken("torch.distributions")
class TorchDistributions(Centre):
    """A distribution of torch instead of Pyro's."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", torch.distributions.Normal(mu, tau.rsqrt()))


@broken("return")
class ForgetsReturn(Centre):
    """A helper that returns nothing."""

    def shared(self):
        pyro.sample("tau", dist.Gamma(2.0, 1.0))
        pyro.sample("mu", dist.Normal(0.0, 1.0))


@broken("self")
class ForgetsSelf(Centre):
    """model without self."""

    def model(n):
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0))


@broken("shape|number of")
class RandomShape(Centre):
    """The number of components is drawn, and with it the shape of the means."""

    joint = "p(k) p(mu | k) p(x | mu)"
    approximation = ""
    guide = ProbabilisticModel.guide

    def model(self, n):
        k = pyro.sample("k", dist.Poisson(3.0))
        mu = pyro.sample("mu", dist.Normal(torch.zeros(int(k) + 1), 1.0).to_event(1))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu.sum(), 1.0))


@broken("one row")
class SqueezesRows(Centre):
    """A single row loses its dimension."""

    joint = "p(tau) p(mu) p(z) p(x | mu, tau, z)"
    approximation = "q(tau) q(mu) q(z | x)"

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(mu + z.squeeze()[:, :1], tau.rsqrt()).to_event(1))

    def guide(self, n, x):
        super().guide()
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(x.expand(n, 2), 1.0).to_event(1))


@broken("in place")
class ChangesDraws(Centre):
    """A draw is changed in place after it was scored."""

    def model(self, n):
        tau, mu = self.shared()
        mu += 1.0
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))


@broken("changes.*'x'.*in place|in place", X, classes=2, features=2)
class ChangesItsInput(LogisticRegression):
    """The caller's rows are centred in place."""

    def model(self, x):
        x -= 0.25
        super().model(x)


@broken("index")
class FloatIndex(Centre):
    """A Bernoulli draw, which is a float, as an index."""

    joint = "p(tau) p(mu) p(z) p(x | z, mu, tau)"

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Bernoulli(0.5))
            pyro.sample("x", dist.Normal(torch.stack([mu, -mu])[z], tau.rsqrt()))


CALLS = []


@broken("beside its variables|global")
class CountsCalls(Centre):
    """A list outside the model decides."""

    def model(self, n):
        CALLS.append(1)
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + len(CALLS), tau.rsqrt()))


@broken("hyperparameters|sizes by name")
class StarConstructor(Centre):
    """Sizes that have no names."""

    def __init__(self, *sizes):
        super().__init__()
        self.sizes = sizes


@broken("infinite|not finite|NaN|nan")
class NanInARow(Centre):
    """The last row's mean is not a number."""

    def model(self, n):
        tau, mu = self.shared()
        gap = torch.zeros(n)
        gap[-1] = float("nan")
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + gap, tau.rsqrt()))


@broken("float32")
class SinglePrecision(Centre):
    """Constants of single precision in a model of double."""

    def __init__(self):
        super().__init__()
        self.double()

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu.float(), tau.float().rsqrt()))


decoder = torch.nn.Linear(2, 3)


@broken("outside the module|no parameter of the model")
class NetworkOutside(ProbabilisticModel):
    """A network that is a global variable."""

    joint = "p(z) p(x | z)"

    def model(self, n):
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1))
