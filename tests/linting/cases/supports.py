"""Values that a distribution cannot have."""

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer.autoguide import AutoNormal
from torch.distributions import constraints

from tests.linting.cases.base import about_centre, centre, data, normal, wrong


def positive(name, family=dist.LogNormal):
    loc = pyro.param(f"{name}_loc", torch.tensor(0.5))
    scale = pyro.param(f"{name}_scale", torch.tensor(0.4), constraint=constraints.positive)
    return pyro.sample(name, family(loc, scale))


@wrong("outside-support", "pyro#529")
def grey_pixels(right):
    decoder, encoder = torch.nn.Linear(2, 6), torch.nn.Linear(6, 2)

    def model(x):
        pyro.module("decoder", decoder)
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pixels = dist.Bernoulli(logits=decoder(z), validate_args=False)
            pyro.sample("x", pixels.to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        with pyro.plate("images", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 0.1).to_event(1))

    x = data(20, 6).sigmoid()
    return model, guide, x.round() if right else x


@wrong("outside-support", "pyro#1823")
def one_class_too_many(right):
    def model(y):
        theta = pyro.sample("theta", dist.Dirichlet(torch.ones(4 if right else 3)))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Categorical(theta), obs=y)

    def guide(y):
        start = torch.ones(4 if right else 3)
        pyro.sample("theta", dist.Dirichlet(pyro.param("a", start, constraint=constraints.positive)))

    return model, guide, torch.arange(20) % 4


@wrong("outside-support", "astir#19")
def negative_counts(right):
    def model(x):
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Poisson(rate), obs=x)

    x = data().mul(3).round()
    return model, lambda x: positive("rate"), x.abs() if right else x


@wrong("support", "pyro#2770")
def normal_guide_for_a_scale(right):
    def model(x):
        sigma = pyro.sample("sigma", dist.HalfNormal(1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(0.0, sigma), obs=x)

    return model, lambda x: positive("sigma", dist.LogNormal if right else dist.Normal), data()


@wrong("support")
def guide_beyond_a_uniform_prior(right):
    def model(x):
        p = pyro.sample("p", dist.Uniform(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Bernoulli(p), obs=x)

    def guide(x):
        a = pyro.param("a", torch.tensor(2.0), constraint=constraints.positive)
        b = pyro.param("b", torch.tensor(2.0), constraint=constraints.positive)
        pyro.sample("p", dist.Beta(a, b) if right else dist.Gamma(a, b))

    return model, guide, (data() > 0).float()


@wrong("support")
def guide_hardly_beyond_a_uniform_prior(right):
    """No draw of the start leaves the prior's support; training takes some there."""

    def model(x):
        s = pyro.sample("s", dist.Uniform(0.0, 10.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(0.0, s), obs=x)

    return model, AutoNormal(model) if right else lambda x: positive("s"), data()


@wrong("prior-reach")
def normal_prior_of_a_scale(right):
    def model(x):
        s = pyro.sample("s", dist.Normal(1.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(0.0, s.exp() if right else s), obs=x)

    return model, AutoNormal(model), data()


@wrong("bad-argument")
def normal_prior_of_a_probability(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Bernoulli(torch.sigmoid(x @ w) if right else x @ w), obs=y)

    return model, AutoNormal(model), data(20, 2), (data() > 0).float()


@wrong("support-narrow")
def guide_sees_one_half(right):
    def guide(x):
        normal("mu") if right else positive("mu")

    return centre, guide, data()


@wrong("data-not-finite", "pyro#2447")
def nan_under_a_mask(right):
    def model(x):
        seen = ~torch.isnan(x)
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)), poutine.mask(mask=seen):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=torch.where(seen, x, 0.0))

    def masked(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)), poutine.mask(mask=~torch.isnan(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    x = data()
    x[3] = float("nan")
    return model if right else masked, about_centre, x if not right else x.nan_to_num(0.0)


@wrong("data-not-finite", "pytorch#15131")
def nan_among_the_inputs(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(torch.where(torch.isnan(x), 0.0, w * x), 1.0), obs=y)

    x = data()
    x[0] = 1.0 if right else float("nan")
    return model, lambda x, y: normal("w"), x, data(seed=1)


@wrong("density-not-finite", "pyro#571")
def probability_rounds_to_one(right):
    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        logits = w + 500.0 * torch.ones(len(x))
        with pyro.plate("rows", len(x)):
            coin = dist.Bernoulli(logits=logits) if right else SharpCoin(logits.sigmoid())
            pyro.sample("x", coin, obs=x)

    return model, lambda x: normal("w"), torch.zeros(20)


class SharpCoin(dist.Bernoulli):
    """A coin whose probability is not kept away from one."""

    def log_prob(self, value):
        return torch.where(value == 1, self.probs.log(), (1 - self.probs).log())


@wrong("not-a-tensor", "funsor#359")
def array_observed(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=torch.as_tensor(x) if right else x)

    return model, about_centre, data().numpy().astype(np.float32)


@wrong("mixed-types", "pyro#2560")
def doubles_under_floats(right):
    x = data().double()
    return centre, about_centre, x.float() if right else x


@wrong("mixed-types", "scTM#5")
def doubles_into_a_network(right):
    net = torch.nn.Linear(3, 1)

    def model(x, y):
        pyro.module("net", net)
        tau = pyro.sample("tau", dist.LogNormal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(net(x).squeeze(-1), tau), obs=y)

    x = data(20, 3).double()
    return model, lambda x, y: positive("tau"), x.float() if right else x, data()
