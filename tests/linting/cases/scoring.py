"""Data that nothing scores, rows that count too little, latents that nothing uses."""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoNormal

from tests.linting.cases.base import about_centre, data, normal, wrong


@wrong("obs-forgotten")
def data_drawn_under_their_own_guide(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x if right else None)

    return model, about_centre, data()


@wrong("obs-forgotten")
def targets_drawn_by_an_automatic_guide(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(w * x, 1.0), obs=y if right else None)

    return model, AutoNormal(model), data(), data(seed=1)


@wrong("obs-forgotten")
def one_of_two_outcomes_forgotten(right):
    def model(x, y):
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)
            pyro.sample("height", dist.Normal(mu, 2.0), obs=y if right else None)

    return model, lambda x, y: normal("mu"), data(), data(seed=1)


@wrong("nothing-observed", "pyro#2288")
def default_of_no_data_left(right):
    def model(x, y=None):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(w * x, 1.0), obs=y)

    def guide(x, y=None):
        normal("w")

    return (model, guide, data(), data(seed=1)) if right else (model, guide, data())


@wrong("data-unused")
def target_predicts_itself(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(w * (x if right else y), 1.0), obs=y)

    return model, lambda x, y: normal("w"), data(), data(seed=1)


@wrong("condition-misnamed", "pyro#535")
def data_attached_under_another_name(right):
    def generator(n):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", n):
            pyro.sample("x", dist.Normal(mu, 1.0))

    model = pyro.condition(generator, data={"x" if right else "X": data()})
    return model, lambda n: normal("mu"), 20


@wrong("factor-averaged", "pyro#1454")
def mean_log_likelihood(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        scores = dist.Normal(mu, 1.0).log_prob(x)
        pyro.factor("rows", scores.sum() if right else scores.mean())

    return model, about_centre, data()


@wrong("factor-averaged")
def mean_squared_error(right):
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        reduction = "sum" if right else "mean"
        pyro.factor("fit", -torch.nn.functional.mse_loss(w * x, y, reduction=reduction))

    return model, lambda x, y: normal("w"), data(), data(seed=1)


@wrong("latent-unused")
def noise_drawn_and_not_used(right):
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = pyro.sample("tau", dist.LogNormal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, tau if right else 1.0), obs=x)

    return model, AutoNormal(model), data()


@wrong("prior-looks-at-data")
def centre_at_the_mean_of_the_data(right):
    def model(y):
        m = pyro.sample("m", dist.Normal(0.0 if right else y.mean(), 1.0))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Normal(m, 1.0), obs=y)

    return model, lambda y: normal("m"), data()


@wrong("prior-looks-at-data")
def range_of_the_targets(right):
    """Inputs may be standardised inside the model; a prior from the targets counts them twice."""

    def model(x, y):
        z = (x - x.mean()) / x.std()
        w = pyro.sample("w", dist.Normal(x.mean(), 2.0 if right else 5 * y.std()))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(w * z, 1.0), obs=y)

    return model, None, data(), data(seed=1)
