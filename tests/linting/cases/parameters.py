"""Parameters that are not trained, or leave their range."""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroParam
from torch import nn
from torch.distributions import constraints

from tests.linting.cases.base import about_centre, centre, data, normal, wrong


@wrong("unbounded-parameter", "pyro#1677")
def scale_without_a_constraint(right):
    def guide(x):
        loc = pyro.param("loc", torch.tensor(0.0))
        bound = {"constraint": constraints.positive} if right else {}
        pyro.sample("mu", dist.Normal(loc, pyro.param("scale", torch.tensor(1.0), **bound)))

    return centre, guide, data()


@wrong("unbounded-parameter", "pytorch#18133")
def scale_in_a_module(right):
    class Guide(PyroModule):
        def __init__(self):
            super().__init__()
            self.loc = nn.Parameter(torch.zeros(()))
            one = torch.ones(())
            self.scale = PyroParam(one, constraints.positive) if right else nn.Parameter(one)

        def forward(self, x):
            pyro.sample("mu", dist.Normal(self.loc, self.scale))

    return centre, Guide(), data()


@wrong("unbounded-parameter")
def probabilities_without_a_constraint(right):
    def model(y):
        bound = {"constraint": constraints.simplex} if right else {}
        p = pyro.param("p", torch.ones(3) / 3, **bound)
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Categorical(p), obs=y)

    return model, lambda y: None, torch.arange(20) % 3


@wrong("bad-start", "pyro#1224")
def scale_starts_below_zero(right):
    def guide(x):
        loc = pyro.param("loc", torch.tensor(0.0))
        start = torch.tensor(0.05 if right else -3.0)
        scale = pyro.param("scale", start, constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(loc, scale))

    return centre, guide, data()


@wrong("idle-parameter")
def parameter_read_with_item(right):
    def guide(x):
        loc = pyro.param("loc", torch.tensor(0.0))
        scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(loc if right else loc.item(), scale))

    return centre, guide, data()


@wrong("idle-parameter")
def parameter_made_anew_as_a_tensor(right):
    def guide(x):
        loc = pyro.param("loc", torch.zeros(()))
        scale = pyro.param("scale", torch.ones(()), constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(loc, scale if right else scale.detach()))

    return centre, guide, data()


@wrong("unregistered-parameter", "pyro#995")
def network_without_pyro_module(right):
    net = nn.Linear(3, 1)

    def model(x, y):
        if right:
            pyro.module("net", net)
        tau = pyro.sample("tau", dist.Gamma(2.0, 2.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(net(x).squeeze(-1), tau), obs=y)

    def guide(x, y):
        a = pyro.param("a", torch.tensor(2.0), constraint=constraints.positive)
        pyro.sample("tau", dist.Gamma(a, a))

    return model, guide, data(20, 3), data()


@wrong("unregistered-parameter", "pyro#1677")
def tensor_that_requires_gradients(right):
    free = torch.zeros((), requires_grad=True)

    def guide(x):
        loc = pyro.param("loc", torch.tensor(0.0)) if right else free
        scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(loc, scale))

    return centre, guide, data()


@wrong("nothing-to-train", "pyro#1677")
def guide_without_parameters(right):
    def guide(x):
        if right:
            normal("mu")
        else:
            pyro.sample("mu", dist.Normal(torch.tensor(0.0), torch.tensor(1.0)))

    return centre, guide, data()


@wrong("no-grad")
def guide_without_gradients(right):
    def guide(x):
        with torch.set_grad_enabled(right):
            normal("mu")

    return centre, guide, data()


@wrong("parameter-reset")
def store_cleared_in_the_guide(right):
    def guide(x):
        if not right:
            pyro.clear_param_store()
        normal("mu")

    return centre, guide, data()


@wrong("cut-gradient", "pyro#2277")
def latent_is_rounded(right):
    def model(x):
        z = pyro.sample("z", dist.Normal(0.0, 3.0))
        p = (z if right else z.round()).sigmoid()
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Bernoulli(p), obs=x)

    return model, lambda x: normal("z", start=0.7), (data() > 0).float()


@wrong("cut-gradient")
def latent_becomes_a_number(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu if right else float(mu), 1.0), obs=x)

    return model, about_centre, data()


@wrong("score-function", "pyro#42")
def class_drawn_by_the_guide(right):
    def model(x):
        z = pyro.sample("z", dist.Bernoulli(0.5))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(2 * z, 1.0), obs=x)

    def guide(x):
        p = pyro.param("p", torch.tensor(0.5), constraint=constraints.unit_interval)
        pyro.sample("z", dist.Bernoulli(p), infer={"enumerate": "parallel"} if right else {})

    return model, guide, data()


@wrong("score-function", "pyro#1710")
def family_without_rsample(right):
    def model(x):
        angle = pyro.sample("angle", dist.VonMises(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(angle.cos(), 1.0), obs=x)

    def guide(x):
        loc = pyro.param("loc", torch.tensor(0.0))
        k = pyro.param("k", torch.tensor(30.0), constraint=constraints.positive)
        pyro.sample("angle", dist.Normal(loc, k.rsqrt() / 5) if right else dist.VonMises(loc, k))

    return model, guide, data()


@wrong("stale-parameter", "pyro#3094")
def store_holds_another_models_parameter(right):
    name = "fresh" if right else "kept"
    pyro.get_param_store().setdefault("kept", torch.zeros(7))

    def guide(x):
        loc = pyro.param(name, torch.zeros(()))
        scale = pyro.param("scale", torch.ones(()), constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(loc.sum(), scale))

    return centre, guide, data()


@wrong("parameter-shared")
def name_of_a_parameter_copied(right):
    """A block of lines was copied, and its names kept."""

    def model(x, y):
        a = pyro.sample("a", dist.Normal(0.0, 1.0))
        b = pyro.sample("b", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(a + b * x, 1.0), obs=y)

    def guide(x, y):
        scale = pyro.param("scale", torch.tensor(0.3), constraint=constraints.positive)
        loc = pyro.param("loc", torch.tensor(0.0))
        pyro.sample("a", dist.Normal(loc, scale))
        loc = pyro.param("other" if right else "loc", torch.tensor(0.0))
        pyro.sample("b", dist.Normal(loc, scale))

    return model, guide, data(), data(seed=1)


@wrong("parameter-shared")
def one_scale_of_noise_and_of_the_guide(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        noise = pyro.param("noise" if right else "scale", torch.tensor(2.0), constraint=constraints.positive)
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, noise), obs=x)

    def guide(x):
        scale = pyro.param("scale", torch.tensor(0.1), constraint=constraints.positive)
        pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), scale))

    return model, guide, data()


@wrong("cut-gradient", "pyro#1640")
def latents_put_into_a_new_tensor(right):
    def model(y):
        theta = pyro.sample("theta", dist.LogNormal(torch.zeros(3), 0.5).to_event(1))
        p = theta if right else torch.tensor([max(float(t), 0.001) for t in theta])
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Categorical(p / p.sum()), obs=y)

    return model, AutoNormal(model), torch.arange(20) % 3
