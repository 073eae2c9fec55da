"""Shapes: forgotten plates and events, and arrays that broadcast by accident."""

from contextlib import nullcontext

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch.distributions import constraints

from tests.linting.cases.base import about_centre, data, normal, wrong


@wrong("broadcast", "numpyro#1230")
def column_of_labels(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Bernoulli(logits=w * x), obs=y)

    x = data()
    y = (x > 0).float()
    return model, lambda x, y: normal("w"), x, y if right else y[:, None]


@wrong("broadcast")
def network_returns_a_column(right):
    net = torch.nn.Linear(3, 1)

    def model(x, y):
        pyro.module("net", net)
        mean = net(x)
        tau = pyro.sample("tau", dist.LogNormal(0.0, 1.0))
        if right:
            mean = mean.squeeze(-1)
        with pyro.plate("columns" if right else "cells", len(x) if right else 1):
            pyro.sample("y", dist.Normal(mean, tau), obs=y)

    def guide(x, y):
        scale = pyro.param("tau_scale", torch.tensor(0.2), constraint=constraints.positive)
        pyro.sample("tau", dist.LogNormal(pyro.param("tau_loc", torch.tensor(0.0)), scale))

    return model, guide, data(20, 3), data()


@wrong("missing-plate", "pyro#2787")
def rows_without_a_plate(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        if right:
            with pyro.plate("rows", len(x)):
                pyro.sample("x", dist.Normal(mu, 1.0), obs=x)
        else:
            pyro.sample("x", dist.Normal(mu * torch.ones(len(x)), 1.0), obs=x)

    return model, about_centre, data()


@wrong("missing-plate", "pyro#2787")
def one_density_of_all_rows(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)) if right else nullcontext():
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    return model, about_centre, data()


@wrong("missing-plate", "pyro#2701")
def schools_without_a_plate(right):
    def model(y, sigma):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(5.0))
        if right:
            with pyro.plate("schools", len(y)):
                theta = pyro.sample("theta", dist.Normal(mu, tau))
                pyro.sample("y", dist.Normal(theta, sigma), obs=y)
        else:
            theta = pyro.sample("theta", dist.Normal(mu * torch.ones(8), tau))
            pyro.sample("y", dist.Normal(theta, sigma), obs=y)

    def guide(y, sigma):
        normal("mu")
        scale = pyro.param("tau_scale", torch.tensor(0.2), constraint=constraints.positive)
        pyro.sample("tau", dist.LogNormal(pyro.param("tau_loc", torch.tensor(0.0)), scale))
        loc = pyro.param("theta_loc", torch.zeros(8))
        scale = pyro.param("theta_scale", torch.ones(8), constraint=constraints.positive)
        if right:
            with pyro.plate("schools", len(y)):
                pyro.sample("theta", dist.Normal(loc, scale))
        else:
            pyro.sample("theta", dist.Normal(loc, scale))

    return model, guide, data(8), 1 + data(8).abs()


@wrong("to-event", "pyro#2969")
def code_without_to_event(right):
    decoder, encoder = torch.nn.Linear(2, 5), torch.nn.Linear(5, 2)

    def model(x):
        pyro.module("decoder", decoder)
        with pyro.plate("rows", len(x)):
            prior = dist.Normal(torch.zeros(len(x), 2), 1.0)
            z = pyro.sample("z", prior.to_event(1) if right else prior)
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        with pyro.plate("rows", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 0.1).to_event(1))

    return model, guide, data(20, 5)


@wrong("to-event")
def weights_without_to_event(right):
    def model(x, y):
        prior = dist.Normal(torch.zeros(3), 1.0)
        w = pyro.sample("w", prior.to_event(1) if right else prior)
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(x @ w, 1.0), obs=y)

    return model, lambda x, y: normal("w", (3,)), data(20, 3), data()


@wrong("plate-size")
def plate_of_another_size(right):
    def model(x, n):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x) if right else n):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    return model, lambda x, n: normal("mu"), data(), 200


@wrong("data-repeated")
def event_takes_the_rows(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        rows = dist.Normal(mu, 1.0).expand([len(x)])
        with pyro.plate("rows", len(x)):
            pyro.sample("x", rows if right else rows.to_event(1), obs=x)

    return model, about_centre, data()


@wrong("guide-shape", "pyro#418")
def guide_of_another_shape(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(x @ w if w.shape == (3,) else x[:, 0] * w, 1.0), obs=y)

    return model, lambda x, y: normal("w", (3,) if right else (1,)), data(20, 3), data()


@wrong("plates-differ")
def guide_without_the_plate(right):
    def model(x):
        with pyro.plate("rows", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        loc = pyro.param("loc", torch.zeros(len(x)))
        scale = pyro.param("scale", torch.ones(len(x)), constraint=constraints.positive)
        if right:
            with pyro.plate("rows", len(x)):
                pyro.sample("z", dist.Normal(loc, scale))
        else:
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))

    return model, guide, data()


@wrong("plates-differ")
def one_mean_in_the_plate_of_the_guide(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        with nullcontext() if right else pyro.plate("rows", len(x)):
            normal("mu")

    return model, guide, data()


@wrong("factor-rows")
def factor_of_rows_without_a_plate(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)) if right else nullcontext():
            pyro.factor("x", dist.Normal(mu, 1.0).log_prob(x))

    return model, about_centre, data()


@wrong("factor-rows")
def factor_of_a_column(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)):
            terms = dist.Normal(mu, 1.0).log_prob(x)
            pyro.factor("x", terms.squeeze(-1) if right else terms)

    return model, about_centre, data(20, 1)


@wrong("mask-shape")
def column_of_masks(right):
    def model(x, seen):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)), poutine.mask(mask=seen):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    seen = data(seed=1) > 0
    return model, lambda x, seen: normal("mu"), data(), seen if right else seen[:, None]
