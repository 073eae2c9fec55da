"""Plates and minibatches."""

from contextlib import nullcontext

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer.autoguide import AutoNormal
from torch.distributions import constraints

from tests.linting.cases.base import about_centre, data, normal, wrong


@wrong("plate-unused")
def plate_made_but_not_entered(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        rows = pyro.plate("rows", len(x))
        if right:
            with rows:
                pyro.sample("x", dist.Normal(mu, 1.0), obs=x)
        else:
            pyro.sample("x", dist.Normal(mu, 1.0).expand([len(x)]).to_event(1), obs=x)

    return model, about_centre, data()


@wrong("size-in-model")
def size_written_into_the_model(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x) if right else 20):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    return model, about_centre, data()


@wrong("explicit-subsample", "pyro#3468")
def automatic_guide_draws_its_own_rows(right):
    def model(x, index):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x), subsample=index):
            z = pyro.sample("z", dist.Normal(mu, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[index])

    def plates(x, index):
        return pyro.plate("rows", len(x), subsample=index)

    guide = AutoNormal(model, create_plates=plates) if right else AutoNormal(model)
    return model, guide, data(), torch.tensor([3, 1, 14, 15])


@wrong("unscaled-minibatch", "pyro#1437")
def minibatch_counts_as_all(right):
    def model(x, index):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        rows = {"size": len(x), "subsample": index} if right else {"size": len(index)}
        with pyro.plate("rows", **rows):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index])

    return model, lambda x, index: normal("mu"), data(), torch.arange(5)


@wrong("minibatch-not-taken")
def always_the_first_rows(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x), subsample_size=8) as index:
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index] if right else x[:8])

    return model, about_centre, data()


@wrong("minibatch-not-taken")
def all_rows_in_a_subsample(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x), subsample_size=8) as index:
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index] if right else x)

    return model, about_centre, data()


@wrong("plate-size")
def subsamples_of_a_part(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x) if right else 10, subsample_size=5) as index:
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index])

    return model, about_centre, data(40)


@wrong("scaled-twice")
def scaled_by_hand_too(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with (
            pyro.plate("rows", len(x), subsample_size=5) as index,
            poutine.scale(scale=1.0 if right else 4.0),
        ):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index])

    return model, about_centre, data()


@wrong("scales-differ")
def kl_weighed_on_one_side(right):
    def model(x):
        with poutine.scale(scale=0.1):
            mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        with poutine.scale(scale=0.1 if right else 1.0):
            normal("mu")

    return model, guide, data()


@wrong("scales-differ")
def local_latents_scaled_in_the_model_only(right):
    def model(x, index):
        with pyro.plate("rows", len(x), subsample=index):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[index])

    def guide(x, index):
        loc = pyro.param("loc", torch.zeros(len(x)))
        scale = pyro.param("scale", torch.ones(len(x)), constraint=constraints.positive)
        rows = {"size": len(x), "subsample": index} if right else {"size": len(index)}
        with pyro.plate("rows", **rows):
            pyro.sample("z", dist.Normal(loc[index], scale[index]))

    return model, guide, data(), torch.arange(10, 15)


@wrong("plate-loop")
def loop_over_many_rows(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        if right:
            with pyro.plate("rows", len(x)):
                pyro.sample("x", dist.Normal(mu, 1.0), obs=x)
        else:
            for i in pyro.plate("rows", len(x)):
                pyro.sample(f"x_{i}", dist.Normal(mu, 1.0), obs=x[i])

    return model, about_centre, data(120)


@wrong("plates-collide", "numpyro#1045")
def two_plates_in_one_dimension(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x), dim=-2 if right else -1), pyro.plate("columns", x.shape[1], dim=-1):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    return model, about_centre, data(20, 3)


@wrong("plate-size")
def last_minibatch_of_a_loader(right):
    """The loader's last minibatch has fewer rows than the others."""

    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", 1000, subsample_size=len(x) if right else 64):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    return model, about_centre, data(40)


@wrong("plate-size", "pyro#1437")
def minibatch_taken_twice(right):
    """The plate's draw indexes rows that a loader took already."""

    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", 1000, subsample_size=len(x)) as index:
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x if right else x[index])

    return model, about_centre, data(40)


@wrong("explicit-subsample", "pyro#1437")
def parameters_of_other_rows(right):
    """A loader's rows, and the local parameters of those that the plate draws."""

    def rows(x, index):
        return pyro.plate("rows", 1000, **({"subsample": index} if right else {"subsample_size": len(x)}))

    def model(x, index):
        with rows(x, index):
            z = pyro.sample("z", dist.Normal(0.1 * index, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x, index):
        loc = pyro.param("loc", lambda: torch.linspace(-1, 1, 1000))
        with rows(x, index) as drawn:
            pyro.sample("z", dist.Normal(loc[drawn], 0.5))

    return model, guide, data(40), torch.arange(40)


@wrong("data-repeated")
def plate_nested_by_its_indentation(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("groups", len(x)):
            z = pyro.sample("z", dist.Normal(mu, 1.0))
            with nullcontext() if right else pyro.plate("rows", len(x)):
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return model, AutoNormal(model), data()


@wrong("plate-unused")
def list_of_a_plate(right):
    """A list walks through the plate before its rows are drawn, as Pyro's tutorial on SVI warns."""

    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        rows = pyro.plate("rows", len(x))
        for i in rows if right else list(rows):
            pyro.sample(f"x_{i}", dist.Normal(mu, 1.0), obs=x[i])

    return model, about_centre, data(8)
