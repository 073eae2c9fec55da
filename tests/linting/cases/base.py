"""The table of wrong pairs. A case writes one wrongly, and rightly: `case(right)` is model, guide, *args."""

from typing import NamedTuple

import pyro
import pyro.distributions as dist
import torch
from torch.distributions import constraints

PAIRS = []


class Pair(NamedTuple):
    """A finding's code, the thread in which users met the mistake (if one is known), and the case."""

    code: str
    source: str
    make: object


def wrong(code, source=""):
    """Enter a case into the table."""

    def keep(make):
        PAIRS.append(Pair(code, source, make))
        return make

    return keep


def data(n=20, d=None, seed=0):
    """Standard normal numbers (n,) or (n, d)."""
    shape = (n,) if d is None else (n, d)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def normal(name, shape=(), start=0.0):
    """A mean-field factor, with parameters of its own."""
    loc = pyro.param(f"{name}_loc", torch.full(shape, start))
    scale = pyro.param(f"{name}_scale", torch.full(shape, 0.3), constraint=constraints.positive)
    fn = dist.Normal(loc, scale)
    return pyro.sample(name, fn.to_event(len(shape)))


def centre(x):
    """A model to break: rows around a mean."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def about_centre(x):
    """Its guide."""
    normal("mu")
