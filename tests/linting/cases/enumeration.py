"""Discrete latents."""

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.ops.indexing import Vindex
from pyro.optim import Adam

from tests.linting.cases.base import data, normal, wrong

PARALLEL = {"enumerate": "parallel"}


def mixture(infer, index=lambda mu, z: mu[z]):
    """A mixture of two Normals, whose labels are treated as ``infer`` says."""

    def model(x):
        with pyro.plate("components", 2):
            mu = pyro.sample("mu", dist.Normal(0.0, 3.0))
        with pyro.plate("rows", len(x)):
            z = pyro.sample("z", dist.Categorical(torch.ones(2) / 2), infer=infer)
            pyro.sample("x", dist.Normal(index(mu, z), 1.0), obs=x)

    return model


def components(x):
    """The guide of its means."""
    loc = pyro.param("loc", torch.tensor([-1.0, 1.0]))
    scale = pyro.param("scale", torch.ones(2), constraint=dist.constraints.positive)
    with pyro.plate("components", 2):
        pyro.sample("mu", dist.Normal(loc, scale))


@wrong("missing-enumeration", "pyro#946")
def labels_not_marked(right):
    return mixture(PARALLEL if right else {}), components, data()


@wrong("sequential-enumeration", "pyro#2916")
def labels_marked_sequential(right):
    return mixture(PARALLEL if right else {"enumerate": "sequential"}), components, data()


@wrong("autoguide-discrete", "scvi-tools#1526")
def automatic_guide_of_labels(right):
    model = mixture(PARALLEL if right else {})
    return model, AutoNormal(poutine.block(model, hide=["z"]) if right else model), data()


@wrong("wrong-elbo", "pyro#1023")
def labels_drawn_by_trace_elbo(right):
    elbo = TraceEnum_ELBO() if right else Trace_ELBO()
    return SVI(mixture(PARALLEL), components, Adam({}), elbo), None, data()


@wrong("max-plate-nesting", "pyro#1474")
def too_little_room_for_plates(right):
    elbo = TraceEnum_ELBO(max_plate_nesting=1 if right else 0)
    return SVI(mixture(PARALLEL), components, Adam({}), elbo), None, data()


@wrong("enumeration-shape", "numpyro#2252")
def table_indexed_in_two_steps(right):
    table = torch.tensor([[-2.0, 0.0], [0.0, 2.0]])

    def model(x):
        a = pyro.sample("a", dist.Bernoulli(0.3), infer=PARALLEL).long()
        tau = pyro.sample("tau", dist.LogNormal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(table[a, 1] if right else table[a][1], tau), obs=x)

    def guide(x):
        scale = pyro.param("scale", torch.tensor(0.3), constraint=dist.constraints.positive)
        pyro.sample("tau", dist.LogNormal(pyro.param("loc", torch.tensor(0.0)), scale))

    return model, guide, data()


@wrong("enumeration-shape")
def label_reshaped_by_rows(right):
    def rows(mu, z):
        return mu[z] if right else mu[z.flatten()[torch.arange(20) % z.numel()]]

    return mixture(PARALLEL, rows), components, data()


@wrong("enumeration-shape")
def class_looked_up_by_position(right):
    table = torch.tensor([-2.0, 2.0])

    def model(x):
        a = pyro.sample("a", dist.Bernoulli(0.3), infer=PARALLEL).long()
        tau = pyro.sample("tau", dist.LogNormal(0.0, 1.0))
        mean = table[a] if right else table[a.flatten()[0]]
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mean, tau), obs=x)

    def guide(x):
        scale = pyro.param("scale", torch.tensor(0.3), constraint=dist.constraints.positive)
        pyro.sample("tau", dist.LogNormal(pyro.param("loc", torch.tensor(0.0)), scale))

    return model, guide, data()


@wrong("enumeration-shape")
def label_cut_with_a_loop(right):
    def looped(mu, z):
        return mu[z] if right else torch.stack([mu[int(k)] for k in z.flatten()[:1]])

    return mixture(PARALLEL, looped), components, data()


@wrong("too-many-dimensions", "pyro#1380")
def a_dimension_for_each_step(right):
    def model(x):
        stay = pyro.sample("stay", dist.Beta(5.0, 2.0))
        z = torch.tensor(0)
        for t in pyro.markov(range(len(x))) if right else range(len(x)):
            p = torch.where(z == 1, stay, 1 - stay)
            z = pyro.sample(f"z_{t}", dist.Bernoulli(p), infer=PARALLEL).long()
            pyro.sample(f"x_{t}", dist.Normal(2.0 * z, 1.0), obs=x[t])

    def guide(x):
        a = pyro.param("a", torch.tensor(2.0), constraint=dist.constraints.positive)
        pyro.sample("stay", dist.Beta(a, a))

    return model, guide, data(25)


@wrong("missing-plate", "numpyro#790")
def labels_without_a_plate(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(2), 3.0).to_event(1))
        if right:
            with pyro.plate("rows", len(x)):
                z = pyro.sample("z", dist.Categorical(torch.ones(2) / 2), infer=PARALLEL)
                pyro.sample("x", dist.Normal(mu[z], 1.0), obs=x)
        else:
            z = pyro.sample("z", dist.Categorical(torch.ones(len(x), 2) / 2), infer=PARALLEL)
            pyro.sample("x", dist.Normal(mu[z], 1.0), obs=x)

    return model, lambda x: normal("mu", (2,)), data()


@wrong("elbo-stops", "pyro#1700")
def history_of_one_step_too_few(right):
    """Each state depends on the two before it."""
    table = torch.tensor([[[0.9, 0.1], [0.5, 0.5]], [[0.4, 0.6], [0.2, 0.8]]])

    def model(x):
        with pyro.plate("states", 2):
            loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
        before = now = torch.tensor(0)
        for t in pyro.markov(range(len(x)), history=2 if right else 1):
            p = Vindex(table)[before, now]
            before, now = now, pyro.sample(f"z_{t}", dist.Categorical(p), infer=PARALLEL)
            pyro.sample(f"x_{t}", dist.Normal(Vindex(loc)[..., now], 1.0), obs=x[t])

    guide = AutoNormal(poutine.block(model, expose=["loc"]))
    return SVI(model, guide, Adam({}), TraceEnum_ELBO()), None, data(5)


@wrong("elbo-stops", "funsor#606")
def one_label_of_all_rows_in_minibatches(right):
    """What is summed out once cannot be weighed like the rows of a subsample."""
    locs = torch.tensor([1.0, 10.0])

    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        k = pyro.sample("k", dist.Categorical(torch.ones(2)), infer=PARALLEL)
        with pyro.plate("rows", len(x), subsample_size=None if right else 5) as index:
            pyro.sample("x", dist.Normal(locs[k] + mu, 1.0), obs=x[index])

    return SVI(model, lambda x: normal("mu"), Adam({}), TraceEnum_ELBO()), None, data()
