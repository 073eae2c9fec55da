"""Programs as a whole."""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoNormal

from tests.linting.cases.base import about_centre, centre, data, normal, wrong


@wrong("signature", "numpyro#46")
def guide_of_other_arguments(right):
    def guide():
        normal("mu")

    return centre, about_centre if right else guide, data()


@wrong("does-not-run")
def columns_that_do_not_fit(right):
    def model(x):
        w = pyro.sample("w", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(x[:, : 3 if right else 2] @ w, 1.0), obs=x[:, 3])

    return model, lambda x: normal("w", (3,)), data(20, 4)


@wrong("autoguide-loop")
def automatic_guide_of_a_loop(right):
    def model(x):
        if right:
            with pyro.plate("rows", len(x)):
                z = pyro.sample("z", dist.Normal(0.0, 1.0))
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)
            return
        for i in pyro.plate("rows", len(x)):
            z = pyro.sample(f"z_{i}", dist.Normal(0.0, 1.0))
            pyro.sample(f"x_{i}", dist.Normal(z, 1.0), obs=x[i])

    return model, AutoNormal(model), data()


@wrong("bad-argument", "pyciemss#540")
def scale_may_be_negative(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, x.exp() if right else x), obs=x)

    return model, about_centre, data()


@wrong("hidden-noise", "pyro#237")
def noise_beside_the_sites(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        noise = torch.zeros(len(x)) if right else 0.1 * torch.randn(len(x))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu + noise, 1.0), obs=x)

    return model, about_centre, data()


@wrong("sets-seed")
def seed_in_the_guide(right):
    def guide(x):
        if not right:
            pyro.set_rng_seed(0)
        normal("mu")

    return centre, guide, data()


@wrong("changes-data")
def data_centred_in_place(right):
    def model(x):
        if right:
            x = x - x.mean()
        else:
            x -= 1.0
        centre(x)

    return model, about_centre, data()


@wrong("data-in-model")
def data_of_the_module(right):
    held = data()

    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", 20):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=held)

    def given():
        return model(None)

    if right:
        return centre, about_centre, held
    return given, lambda: normal("mu")


@wrong("validation-off", "pyro#2700")
def validation_switched_off(right):
    pyro.enable_validation(right)
    return centre, about_centre, data()
