"""Sound pairs of many kinds, which lint leaves in peace: ``SOUND`` maps a name to (model, guide, *args)."""

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer import SVI, TraceEnum_ELBO, config_enumerate
from pyro.infer.autoguide import (
    AutoDelta,
    AutoDiagonalNormal,
    AutoGuideList,
    AutoLaplaceApproximation,
    AutoMultivariateNormal,
    AutoNormal,
)
from pyro.infer.reparam import LocScaleReparam
from pyro.nn import PyroModule, PyroSample
from pyro.ops.indexing import Vindex
from pyro.optim import Adam
from torch import nn
from torch.distributions import constraints

from tests.linting.cases.base import about_centre, centre, data, normal
from tests.linting.cases.enumeration import PARALLEL, components, mixture


def schools(y, sigma):
    """Eight schools, centred."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("schools", len(y)):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, sigma), obs=y)


def schools_apart(y, sigma):
    """Eight schools, not centred."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("schools", len(y)):
        eta = pyro.sample("eta", dist.Normal(0.0, 1.0))
        theta = pyro.deterministic("theta", mu + tau * eta)
        pyro.sample("y", dist.Normal(theta, sigma), obs=y)


EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


@config_enumerate
def gaussians(x):
    """A mixture of Gaussians with weights and a common scale."""
    weights = pyro.sample("weights", dist.Dirichlet(0.5 * torch.ones(2)))
    scale = pyro.sample("scale", dist.LogNormal(0.0, 2.0))
    with pyro.plate("components", 2):
        locs = pyro.sample("locs", dist.Normal(0.0, 10.0))
    with pyro.plate("data", len(x)):
        label = pyro.sample("label", dist.Categorical(weights))
        pyro.sample("x", dist.Normal(locs[label], scale), obs=x)


class Autoencoder(nn.Module):
    """A VAE of binary pixels."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 8), nn.Softplus(), nn.Linear(8, 4))
        self.decoder = nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Dropout(0.1), nn.Linear(8, 16))

    def model(self, x):
        pyro.module("decoder", self.decoder)
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(1), obs=x)

    def guide(self, x):
        pyro.module("encoder", self.encoder)
        with pyro.plate("images", len(x)):
            loc, scale = self.encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, scale.exp()).to_event(1))


class Regression(PyroModule):
    """A network with random weights."""

    def __init__(self):
        super().__init__()
        self.linear = PyroModule[nn.Linear](3, 1)
        self.linear.weight = PyroSample(dist.Normal(0.0, 1.0).expand([1, 3]).to_event(2))
        self.linear.bias = PyroSample(dist.Normal(0.0, 10.0).expand([1]).to_event(1))

    def forward(self, x, y):
        sigma = pyro.sample("sigma", dist.Uniform(0.0, 10.0))
        mean = self.linear(x).squeeze(-1)
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(mean, sigma), obs=y)


def hidden_markov(x):
    """Two states, summed out step by step."""
    with pyro.plate("states", 2):
        rows = pyro.sample("rows", dist.Dirichlet(torch.ones(2)))
        loc = pyro.sample("loc", dist.Normal(0.0, 3.0))
    z = torch.tensor(0)
    for t in pyro.markov(range(len(x))):
        z = pyro.sample(f"z_{t}", dist.Categorical(Vindex(rows)[..., z, :]), infer=PARALLEL)
        pyro.sample(f"x_{t}", dist.Normal(Vindex(loc)[..., z], 1.0), obs=x[t])


def subsampled(x, y):
    """Local latents in minibatches that Pyro draws."""
    w = pyro.sample("w", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x), subsample_size=6) as index:
        z = pyro.sample("z", dist.Normal(w * x[index], 1.0))
        pyro.sample("y", dist.Normal(z, 0.1), obs=y[index])


def subsampled_guide(x, y):
    """Its guide."""
    normal("w")
    loc = pyro.param("loc", lambda: torch.zeros(len(x)))
    with pyro.plate("rows", len(x), subsample_size=6) as index:
        pyro.sample("z", dist.Normal(loc[index], 0.5))


def imputed(x, seen):
    """Missing values, drawn by the guide."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x, obs_mask=seen)


def gaps(x):
    """NaN cells that the density leaves out."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.NanMaskedNormal(mu, 1.0), obs=x)


def crossed(x):
    """Two plates that cross."""
    columns = pyro.plate("columns", x.shape[1], dim=-1)
    rows = pyro.plate("rows", len(x), dim=-2)
    with columns:
        b = pyro.sample("b", dist.Normal(0.0, 1.0))
    with rows:
        a = pyro.sample("a", dist.Normal(0.0, 1.0))
    with rows, columns:
        pyro.sample("x", dist.Normal(a + b, 1.0), obs=x)


def annealed(x):
    """A tempered prior, on both sides."""
    with poutine.scale(scale=0.5):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def annealed_guide(x):
    """Its guide."""
    with poutine.scale(scale=0.5):
        normal("mu")


def counts(x):
    """Topics of counts, with a rectified latent."""
    rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
    shift = pyro.sample("shift", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Poisson(rate + shift.relu() + 0.1), obs=x)


def counts_guide(x):
    """Its guide, a flow beside a Gamma."""
    a = pyro.param("a", torch.tensor(2.0), constraint=constraints.positive)
    b = pyro.param("b", torch.tensor(2.0), constraint=constraints.positive)
    pyro.sample("rate", dist.Gamma(a, b))
    normal("shift", start=-0.3)


def beside(y, grid):
    """Rows, and a longer argument that is none of their business."""
    mu = pyro.sample("mu", dist.Normal(grid.mean(), 5.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def of_parts(model):
    """Point estimates of some latents, Normals of the others."""
    guide = AutoGuideList(model)
    guide.append(AutoDelta(poutine.block(model, expose=["weights", "scale"])))
    guide.append(AutoNormal(poutine.block(model, expose=["locs"])))
    return guide


def _pairs():
    x, y, several = data(), data(seed=1), data(20, 3)
    images = (data(12, 16) > 0).float()
    vae, regression = Autoencoder(), Regression()
    gappy = data()
    gappy[::4] = float("nan")
    unlabelled = poutine.block(gaussians, hide=["label"])
    relaxed = poutine.reparam(schools, config={"theta": LocScaleReparam(0.0)})
    drawn = pyro.condition(lambda n: _rows(n), data={"x": x})
    return {
        "eight schools, mean-field": (schools, AutoNormal(schools), EFFECTS, ERRORS),
        "eight schools, full rank": (schools, AutoMultivariateNormal(schools), EFFECTS, ERRORS),
        "eight schools, not centred": (schools_apart, AutoDiagonalNormal(schools_apart), EFFECTS, ERRORS),
        "eight schools, reparameterised": (relaxed, AutoNormal(relaxed), EFFECTS, ERRORS),
        "eight schools, Laplace": (schools, AutoLaplaceApproximation(schools), EFFECTS, ERRORS),
        "mixture, points": (gaussians, AutoDelta(unlabelled), torch.tensor([0.0, 1.0, 10.0, 11.0, 12.0])),
        "mixture, Normals": (SVI(gaussians, AutoNormal(unlabelled), Adam({}), TraceEnum_ELBO()), None, x),
        "mixture, parts": (gaussians, of_parts(unlabelled), x),
        "mixture, own guide": (mixture(PARALLEL), components, x),
        "VAE": (vae.model, vae.guide, images),
        "Bayesian regression": (regression, AutoDiagonalNormal(regression), several, y),
        "hidden Markov model": (
            hidden_markov,
            AutoNormal(poutine.block(hidden_markov, expose=["rows", "loc"])),
            x[:6],
        ),
        "minibatches": (subsampled, subsampled_guide, x, y),
        "minibatches, automatic": (subsampled, AutoNormal(subsampled), x, y),
        "imputation": (imputed, AutoNormal(imputed), x, y > 0),
        "NaN left out": (gaps, about_centre, gappy),
        "crossed plates": (crossed, AutoNormal(crossed), several),
        "tempered": (annealed, annealed_guide, x),
        "counts": (counts, counts_guide, x.abs().mul(3).round()),
        "conditioned from outside": (drawn, AutoNormal(drawn), 20),
        "a longer argument": (beside, lambda y, grid: normal("mu"), x, torch.linspace(-3, 3, 50)),
        "model alone": (centre, None, x),
    }


def _rows(n):
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", n):
        pyro.sample("x", dist.Normal(mu, 1.0))


SOUND = _pairs()
