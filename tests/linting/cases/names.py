"""Names that model and guide do not share."""

import uuid

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoNormal
from torch.distributions import constraints

from tests.linting.cases.base import about_centre, centre, data, normal, wrong


@wrong("name-twice", "pyro#398")
def same_name_in_a_loop(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        for i in range(len(x)):
            pyro.sample(f"x_{i}" if right else "x", dist.Normal(mu, 1.0), obs=x[i])

    return model, about_centre, data(4)


@wrong("missing-in-guide", "pyro#2288")
def guide_forgets_a_latent(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = pyro.sample("tau", dist.Gamma(2.0, 2.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, tau), obs=x)

    def guide(x):
        normal("mu")
        if right:
            scale = pyro.param("tau_scale", torch.tensor(0.2), constraint=constraints.positive)
            pyro.sample("tau", dist.LogNormal(pyro.param("tau_loc", torch.tensor(0.0)), scale))

    return model, guide, data()


@wrong("missing-in-model", "pyro#1027")
def guide_misspells_a_latent(right):
    def guide(x):
        normal("mu" if right else "Mu")

    return centre, guide, data()


@wrong("missing-in-model", "pyro#3042")
def sample_written_for_param(right):
    def guide(x):
        start = dist.Normal(0.0, 0.1)
        loc = pyro.param("mu_loc", torch.tensor(0.0)) if right else pyro.sample("mu_loc", start)
        scale = pyro.param("mu_scale", torch.tensor(1.0), constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(loc, scale))

    return centre, guide, data()


@wrong("guide-draws-data")
def automatic_guide_of_the_model_without_data(right):
    def generator(n):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", n):
            pyro.sample("x", dist.Normal(mu, 1.0))

    fitted = pyro.condition(generator, data={"x": data()})
    return fitted, AutoNormal(fitted if right else generator), 20


@wrong("observed-in-guide")
def guide_observes(right):
    def guide(x):
        mu = normal("mu")
        if not right:
            with pyro.plate("rows", len(x)):
                pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    return centre, guide, data()


@wrong("unsteady-name")
def new_names_in_every_run(right):
    def guide(x):
        key = "" if right else uuid.uuid4().hex
        loc = pyro.param(f"loc{key}", torch.tensor(0.0))
        scale = pyro.param(f"scale{key}", torch.tensor(1.0), constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(loc, scale))

    return centre, guide, data()
