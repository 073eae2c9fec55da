"""Sound programs of other styles, which lint leaves in peace: name to (model, guide, *args)."""

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer import SVI, TraceEnum_ELBO, config_enumerate
from pyro.infer.autoguide import AutoDelta, AutoLowRankMultivariateNormal, AutoMultivariateNormal, AutoNormal
from pyro.ops.indexing import Vindex
from pyro.optim import Adam
from torch import nn
from torch.distributions import constraints

from tests.linting.cases.base import about_centre, data, normal


def hierarchy(x, group, y):
    """Lines whose intercepts share a prior."""
    mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
    spread, noise = pyro.sample("spread", dist.HalfNormal(1.0)), pyro.sample("noise", dist.HalfCauchy(1.0))
    with pyro.plate("groups", 4):
        a = pyro.sample("a", dist.Normal(mean, spread))
        b = pyro.sample("b", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("y", dist.Normal(a[group] + b[group] * x, noise), obs=y)


@config_enumerate
def hidden_markov_models(x):
    """Several sequences, side by side."""
    with pyro.plate("states", 3):
        moves = pyro.sample("moves", dist.Dirichlet(torch.ones(3)))
        loc = pyro.sample("loc", dist.Normal(0.0, 3.0))
    with pyro.plate("sequences", len(x), dim=-1):
        z = 0
        for t in pyro.markov(range(x.shape[1])):
            z = pyro.sample(f"z_{t}", dist.Categorical(Vindex(moves)[..., z, :]))
            pyro.sample(f"x_{t}", dist.Normal(Vindex(loc)[..., z], 1.0), obs=x[:, t])


@config_enumerate
def topics(words):
    """Latent Dirichlet allocation, the topics of words summed out."""
    with pyro.plate("topics", 3):
        phi = pyro.sample("phi", dist.Dirichlet(torch.ones(7)))
    with pyro.plate("documents", words.shape[1], dim=-1):
        theta = pyro.sample("theta", dist.Dirichlet(torch.ones(3)))
        with pyro.plate("words", len(words), dim=-2):
            z = pyro.sample("z", dist.Categorical(theta))
            pyro.sample("w", dist.Categorical(phi[z]), obs=words)


def topics_guide(words):
    """Its guide."""
    a = pyro.param("a", torch.ones(3, 7), constraint=constraints.positive)
    with pyro.plate("topics", 3):
        pyro.sample("phi", dist.Dirichlet(a))
    b = pyro.param("b", torch.ones(words.shape[1], 3), constraint=constraints.positive)
    with pyro.plate("documents", words.shape[1], dim=-1):
        pyro.sample("theta", dist.Dirichlet(b))


def gaussian_process(x, y):
    """Its evidence is a term of pyro.factor."""
    length = pyro.sample("length", dist.LogNormal(0.0, 1.0))
    noise = pyro.sample("noise", dist.HalfNormal(1.0))
    kernel = (-(x[:, None] - x).square() / (2 * length**2)).exp() + (noise**2 + 1e-3) * torch.eye(len(x))
    white = torch.linalg.solve_triangular(factor := torch.linalg.cholesky(kernel), y[:, None], upper=False)
    pyro.factor("evidence", -0.5 * white.square().sum() - factor.diagonal().log().sum())


def survival(t, x, censored):
    """Some rows are known to last longer than t."""
    b = pyro.sample("b", dist.Normal(0.0, 1.0))
    k = pyro.sample("k", dist.LogNormal(0.0, 0.5))
    with pyro.plate("rows", len(t)):
        with poutine.mask(mask=~censored):
            pyro.sample("t", dist.Weibull((b * x).exp(), k), obs=t)
        with poutine.mask(mask=censored):
            pyro.factor("longer", -((t / (b * x).exp()) ** k))


def survival_apart(t, censored):
    """Rows that ended, and rows that did not, have a plate each."""
    rate = pyro.sample("rate", dist.Gamma(2.0, 2.0))
    ended, lasts = t[~censored], t[censored]
    with pyro.plate("ended", len(ended)):
        pyro.sample("t", dist.Exponential(rate), obs=ended)
    with pyro.plate("lasts", len(lasts)):
        pyro.sample("longer", dist.Bernoulli((-rate * lasts).exp()), obs=torch.ones(len(lasts)))


class Autoencoder(nn.Module):
    """A VAE that is fed minibatches by a loader."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 4))
        self.decoder = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 8))

    def model(self, x):
        pyro.module("decoder", self.decoder)
        with pyro.plate("data", 1000, subsample_size=len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 2), x.new_ones(len(x), 2)).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(1), obs=x)

    def guide(self, x):
        pyro.module("encoder", self.encoder)
        with pyro.plate("data", 1000, subsample_size=len(x)):
            loc, scale = self.encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, scale.exp()).to_event(1))


def of_a_loader(x):
    """40 of 1000 rows, taken outside."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", 1000, subsample_size=40):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def of_a_loader_with_numbers(x, index):
    """The same, their numbers told."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", 1000, subsample=index):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def predicting(x):
    """Latents that only predictions and quantities of interest use."""
    mu, sigma = pyro.sample("mu", dist.Normal(0.0, 5.0)), pyro.sample("sigma", dist.HalfNormal(2.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, sigma), obs=x)
    effect, noise = pyro.sample("effect", dist.Normal(0.0, 1.0)), pyro.sample("noise", dist.Normal(0.0, 1.0))
    pyro.deterministic("shifted", mu + effect)
    pyro.sample("next", dist.Normal(mu, sigma))
    return mu + sigma * noise


def constrained(x):
    """A soft constraint on a mean is no term of the data."""
    a = pyro.sample("a", dist.Normal(0.0, 1.0).expand([5]).to_event(1))
    pyro.factor("sum to zero", -50.0 * a.mean() ** 2)
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(a[torch.arange(len(x)) % 5], 1.0), obs=x)


def horseshoe(x, y):
    """Sparse logistic regression."""
    tau = pyro.sample("tau", dist.HalfCauchy(1.0))
    with pyro.plate("columns", x.shape[1]):
        w = pyro.sample("w", dist.Normal(0.0, tau * pyro.sample("lambda", dist.HalfCauchy(1.0))))
    with pyro.plate("rows", len(x)):
        pyro.sample("y", dist.Bernoulli(logits=x @ w), obs=y)


def attending(net):
    """A softmax inside of a network is no link."""

    def model(x, y):
        pyro.module("net", net)
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Categorical(logits=net(x) + w * x), obs=y)

    return model


def tied(x):
    """One parameter, read again by its name, in the model and in the guide."""
    scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, scale), obs=x)


def tied_guide(x):
    """Its guide."""
    scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
    pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), scale / len(x) ** 0.5))


class Emission(nn.Module):
    """A network beside a parameter, under an automatic guide of the latents."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 1)

    def model(self, x, y):
        pyro.module("net", self.net)
        scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(self.net(x).squeeze(-1) + w, scale), obs=y)


def kept_otherwise(x, y):
    """What is squared or clamped stays in its range, and so do quotients of what does."""
    mean, variance = (
        pyro.param(k, torch.tensor(1.0), constraint=constraints.positive) for k in ("mean", "var")
    )
    slope = pyro.sample("slope", dist.Normal(0.0, 1.0))
    width = pyro.param("width", torch.tensor(1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Gamma(mean**2 / variance, mean / variance), obs=x)
        pyro.sample("y", dist.Normal(slope * x, width.square() + 0.1), obs=y)


def kept_otherwise_guide(x, y):
    """Its guide."""
    scale = pyro.param("scale", torch.tensor(1.0)).clamp(min=1e-3)
    pyro.sample("slope", dist.Normal(pyro.param("loc", torch.tensor(0.0)), scale))


def autoregressive(y):
    """Each row given the one before; the first is given."""
    p = pyro.sample("p", dist.Uniform(-1.0, 1.0))
    with pyro.plate("rows", len(y) - 1):
        pyro.sample("y", dist.Normal(p * y[:-1], 1.0), obs=y[1:])


def autoregressive_whole(y):
    """The same with lag two, and a first row that is observed by itself."""
    p = pyro.sample("p", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
    pyro.sample("first", dist.Normal(0.0, 2.0), obs=y[0])
    with pyro.plate("rows", len(y) - 2):
        pyro.sample("y", dist.Normal(p[0] * y[1:-1] + p[1] * y[:-2], 1.0), obs=y[2:])


def chain(s):
    """A Markov chain of states."""
    with pyro.plate("states", 3):
        moves = pyro.sample("moves", dist.Dirichlet(torch.ones(3)))
    with pyro.plate("steps", len(s) - 1):
        pyro.sample("s", dist.Categorical(moves[s[:-1]]), obs=s[1:])


def leverage(y):
    """Volatilities that follow the rows before them."""
    a = pyro.sample("a", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(y) - 1):
        h = pyro.sample("h", dist.Normal(a * y[:-1], 1.0))
        pyro.sample("y", dist.Normal(0.0, h.exp()), obs=y[1:])


def _pairs():
    emission = Emission()
    x, several = data(), data(20, 3)
    vae, times = Autoencoder(), data().exp()
    words = torch.randint(7, (9, 12), generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Linear(3, 4), nn.Softmax(-1), nn.Linear(4, 3))
    points = AutoDelta(poutine.block(hidden_markov_models, expose=["moves", "loc"]))
    sums = TraceEnum_ELBO(max_plate_nesting=1)
    label = torch.arange(20) % 4
    return {
        "hierarchy": (hierarchy, AutoLowRankMultivariateNormal(hierarchy), x, label, data(seed=1)),
        "hidden Markov models": (SVI(hidden_markov_models, points, Adam({}), sums), None, data(6, 5)),
        "topics": (SVI(topics, topics_guide, Adam({}), TraceEnum_ELBO(max_plate_nesting=2)), None, words),
        "Gaussian process": (
            gaussian_process,
            AutoNormal(gaussian_process),
            torch.linspace(0, 1, 12),
            data(12),
        ),
        "survival": (survival, AutoNormal(survival), times, data(seed=2), label == 0),
        "survival, apart": (survival_apart, AutoNormal(survival_apart), times, label == 0),
        "VAE of a loader": (vae.model, vae.guide, (data(40, 8) > 0).float()),
        "loader": (of_a_loader, about_centre, data(40)),
        "loader, numbered": (
            of_a_loader_with_numbers,
            lambda x, index: normal("mu"),
            data(40),
            torch.arange(0, 1000, 25),
        ),
        "predictions": (predicting, AutoNormal(predicting), x),
        "constraint": (constrained, AutoNormal(constrained), x),
        "horseshoe": (horseshoe, AutoMultivariateNormal(horseshoe), several, (x > 0).float()),
        "attention": (attending(net), lambda x, y: normal("w"), several, torch.arange(20) % 3),
        "parameters beside an automatic guide": (emission.model, AutoNormal(emission.model), several, x),
        "kept otherwise": (kept_otherwise, kept_otherwise_guide, times, x),
        "tied": (tied, tied_guide, x),
        "autoregression": (autoregressive, None, data(40)),
        "autoregression of order two": (autoregressive_whole, None, data(40)),
        "Markov chain": (chain, None, torch.arange(30) ** 2 % 7 % 3),
        "leverage": (leverage, None, data(40)),
    }


STYLES = _pairs()
