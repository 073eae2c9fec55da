"""Sound models of students' kinds, which check_model leaves in peace: name -> (model, given)."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import nn
from torch.distributions import constraints

from ppl_gen.core import ProbabilisticModel
from tests.broken_models.students_guides import Energy


class Markov(ProbabilisticModel):
    """A hidden Markov chain of three steps in every row, summed out."""

    joint = "p(a) p(z_0) p(z_1 | z_0, a) p(z_2 | z_1, a) p(x_0 | z_0) p(x_1 | z_1) p(x_2 | z_2)"
    approximation = "q(a)"

    def __init__(self, states=2):
        super().__init__()
        self.states = states
        self.counts = nn.Parameter(torch.zeros(states, states))

    def model(self, n):
        a = pyro.sample("a", dist.Dirichlet(torch.ones(self.states, self.states)).to_event(1))
        loc = torch.arange(float(self.states))
        with pyro.plate("data", n):
            z = None
            for t in range(3):
                probs = torch.ones(self.states) if z is None else a[z]
                z = pyro.sample(f"z_{t}", dist.Categorical(probs))
                pyro.sample(f"x_{t}", dist.Normal(loc[z], 1.0))

    def guide(self):
        pyro.sample("a", dist.Dirichlet(self.counts.exp()).to_event(1))


class TwoComponents(ProbabilisticModel):
    """A mixture without a guide, its weights learned as a parameter."""

    joint = "p(mu) p(z) p(x | z, mu)"

    def __init__(self):
        super().__init__()
        self.weights = PyroParam(torch.tensor([0.4, 0.6]), constraints.simplex)

    def model(self, n):
        with pyro.plate("components", 2):
            mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(self.weights))
            pyro.sample("x", dist.Normal(mu[z], 1.0))


class Schools(ProbabilisticModel):
    """Eight schools, not centred, each a row with its own standard error."""

    joint = "p(mu) p(tau) p(eta) p(y | eta, mu, tau, sigma)"
    approximation = "q(mu) q(tau) q(eta | sigma)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(2))
        self.slope = nn.Parameter(torch.tensor(0.1))

    def model(self, sigma):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(5.0))
        with pyro.plate("data", len(sigma)):
            eta = pyro.sample("eta", dist.Normal(0.0, 1.0))
            pyro.sample("y", dist.Normal(mu + tau * eta, sigma))

    def guide(self, sigma):
        pyro.sample("mu", dist.Normal(self.loc[0], 1.0))
        pyro.sample("tau", dist.LogNormal(self.loc[1], 1.0))
        with pyro.plate("data", len(sigma)):
            pyro.sample("eta", dist.Normal(self.slope * sigma, 1.0))


class Poissons(ProbabilisticModel):
    """A regression of counts."""

    joint = "p(w) p(y | x, w)"

    def model(self, x):
        w = pyro.sample("w", dist.Normal(torch.zeros(2), 0.5).to_event(1))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Poisson((x @ w).exp()))


class Generator(ProbabilisticModel):
    """An implicit model, as a GAN's: x is a function of z, and has no density."""

    joint = "p(z) p(x | z)"

    def __init__(self, features=3):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, features))

    def model(self, n):
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.deterministic("x", self.network(z), event_dim=1)


class Tilted(Energy):
    """An energy over a proper base."""

    def flat(self):
        return pyro.sample("x", dist.Normal(torch.zeros(3), 1.0).to_event(1))


class Constrained(ProbabilisticModel):
    """A term that ties two shared latents; the rows' factors are densities."""

    joint = "p(a) p(b) p(x | a, b)"
    potentials = "bond(a, b)"
    approximation = "q(a) q(b)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(2))

    def model(self, n):
        a, b = (pyro.sample(name, dist.Normal(0.0, 1.0)) for name in "ab")
        pyro.factor("bond", -10 * (a - b) ** 2)
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(a + b, 1.0))

    def guide(self):
        pyro.sample("a", dist.Normal(self.loc[0], 1.0))
        pyro.sample("b", dist.Normal(self.loc[1], 1.0))


class Enumerated(ProbabilisticModel):
    """A guide that samples the class, with labels summed out where they are hidden."""

    joint = "p(y) p(x | y)"
    approximation = "q(y | x)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.tensor([-1.0, 1.0]))
        self.slope = nn.Parameter(torch.tensor(1.0))

    def model(self, n):
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(torch.ones(2)))
            pyro.sample("x", dist.Normal(self.loc[y], 1.0))

    def guide(self, n, x):
        with pyro.plate("data", n):
            logits = torch.stack([-self.slope * x, self.slope * x], -1)
            pyro.sample("y", dist.Categorical(logits=logits), infer={"enumerate": "parallel"})


class WhichCoin(ProbabilisticModel):
    """A finite variable that all rows share, summed out."""

    joint = "p(k) p(mu) p(x | k, mu)"
    approximation = "q(mu)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(()))

    def model(self, n):
        k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])))
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + torch.tensor([-1.0, 1.0])[k], 1.0))

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, 1.0))


class Flow(ProbabilisticModel):
    """A density by change of variables, in double precision."""

    joint = "p(x)"

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def model(self, n):
        base = dist.Normal(self.shift, torch.ones_like(self.shift))
        with pyro.plate("data", n):
            pyro.sample("x", dist.TransformedDistribution(base, [dist.transforms.ExpTransform()]))


class Accidents(ProbabilisticModel):
    """Counts in proportion to a time that is positive by nature, at a clipped rate."""

    joint = "p(w) p(count | hours, w)"

    def model(self, hours):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(hours)):
            pyro.sample("count", dist.Poisson(hours * (0.5 + w).clamp(0.01, 0.99)))


SOUND = {
    "hidden Markov chain": (Markov(), {}),
    "mixture": (TwoComponents(), {}),
    "hierarchy": (Schools(), {"sigma": [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]}),
    "regression of counts": (
        Poissons(),
        {"x": torch.randn(8, 2, generator=torch.Generator().manual_seed(0))},
    ),
    "implicit": (Generator(), {}),
    "implicit, of nine rows": (Generator(features=3), {"n": 9}),  # whose products of matrices round otherwise
    "energy": (Energy(), {}),
    "tilted base": (Tilted(), {}),
    "constrained latents": (Constrained(), {}),
    "enumerated guide": (Enumerated(), {}),
    "shared finite variable": (WhichCoin(), {}),
    "flow": (Flow(), {}),
    "positive input": (Accidents(), {"hours": [1.0, 4.0, 2.0, 8.0, 3.0]}),
}
