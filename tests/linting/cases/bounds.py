"""Arguments of distributions that training can take out of their range."""

import pyro
import pyro.distributions as dist
import torch
from torch import nn
from torch.distributions import constraints

from tests.linting.cases.base import data, normal, wrong

POSITIVE = {"constraint": constraints.positive}


def coins(x):
    """A model of coins of one bias."""
    p = pyro.sample("p", dist.Beta(1.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Bernoulli(p), obs=x)


def faces():
    return (data() > 0).float()


@wrong("unbounded-parameter")
def counts_of_a_beta(right):
    def guide(x):
        a, b = (pyro.param(k, torch.tensor(2.0), **(POSITIVE if right else {})) for k in "ab")
        pyro.sample("p", dist.Beta(a, b))

    return coins, guide, faces()


@wrong("unbounded-parameter")
def counts_of_a_beta_shifted(right):
    """Valid at the start, and for some steps."""

    def guide(x):
        a, b = (pyro.param(k, torch.tensor(2.0), **(POSITIVE if right else {})) for k in "ab")
        pyro.sample("p", dist.Beta(1 + a, 3 * b))

    return coins, guide, faces()


@wrong("unbounded-parameter", "pyro#1983")
def counts_of_a_dirichlet(right):
    def model(y):
        p = pyro.sample("p", dist.Dirichlet(torch.ones(3)))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Categorical(p), obs=y)

    def guide(y):
        pyro.sample("p", dist.Dirichlet(pyro.param("a", torch.ones(3), **(POSITIVE if right else {}))))

    return model, guide, torch.arange(20) % 3


@wrong("unbounded-parameter")
def scale_of_a_lognormal(right):
    def model(x):
        s = pyro.sample("s", dist.LogNormal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(0.0, s), obs=x)

    def guide(x):
        scale = pyro.param("scale", torch.tensor(0.3), **(POSITIVE if right else {}))
        pyro.sample("s", dist.LogNormal(pyro.param("loc", torch.tensor(0.0)), scale))

    return model, guide, data()


@wrong("unbounded-parameter")
def rate_out_of_a_network(right):
    net = nn.Linear(1, 1)
    nn.init.constant_(net.bias, 3.0)

    def model(x, y):
        pyro.module("net", net)
        w = pyro.sample("w", dist.LogNormal(0.0, 1.0))
        rate = net(x[:, None]).squeeze(-1)
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Poisson(w * (rate.exp() if right else rate)), obs=y)

    def guide(x, y):
        scale = pyro.param("scale", torch.tensor(0.3), **POSITIVE)
        pyro.sample("w", dist.LogNormal(pyro.param("loc", torch.tensor(0.0)), scale))

    return model, guide, 0.1 * data(), data(seed=1).abs().round()


@wrong("unbounded-parameter", "pytorch-maml-rl#32")
def logits_taken_for_probabilities(right):
    net = nn.Linear(3, 3)
    nn.init.constant_(net.bias, 9.0)

    def model(x, y):
        pyro.module("net", net)
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        scores = net(x) + 0.1 * w * x
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Categorical(**{"logits" if right else "probs": scores}), obs=y)

    return model, lambda x, y: normal("w"), data(20, 3), torch.arange(20) % 3


@wrong("probabilities-as-logits", "pytorch-maml-rl#32")
def softmax_before_the_logits(right):
    net = nn.Linear(3, 3)

    def model(x, y):
        pyro.module("net", net)
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        scores = net(x) + w * x
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Categorical(logits=scores if right else scores.softmax(-1)), obs=y)

    return model, lambda x, y: normal("w"), data(20, 3), torch.arange(20) % 3


@wrong("probabilities-as-logits")
def sigmoid_before_the_logits(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Bernoulli(logits=w * x if right else (w * x).sigmoid()), obs=y)

    return model, lambda x, y: normal("w"), data(), (data(seed=1) > 0).float()
