"""`fit_pyro` against pyro.infer.SVI: bare Pyro programs, as people have them, and whole fits."""

from collections.abc import Callable, Iterator
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from torch import Tensor, nn
from torch.distributions import constraints

from benchmarks.measure import Comparison, compare
from ppl_gen import SVI, fit_pyro

COMPONENTS, PIXELS, HIDDEN, LATENT = 3, 784, 400, 50


def mixture(x: Tensor) -> None:
    """Heaps on a line, one width; whose row is whose is summed out."""
    share = pyro.sample("share", dist.Dirichlet(torch.ones(COMPONENTS)))
    width = pyro.sample("width", dist.LogNormal(0.0, 1.0))
    with pyro.plate("heaps", COMPONENTS):
        centre = pyro.sample("centre", dist.Normal(0.0, 10.0))
    with pyro.plate("rows", len(x)):
        heap = pyro.sample("heap", dist.Categorical(share), infer={"enumerate": "parallel"})
        pyro.sample("x", dist.Normal(centre[heap], width), obs=x)


def mixture_guide(x: Tensor) -> None:
    above = constraints.positive
    pyro.sample("share", dist.Dirichlet(pyro.param("q_share", 5 * torch.ones(COMPONENTS), constraint=above)))
    loc, sd = (
        pyro.param("q_width", torch.tensor(0.0)),
        pyro.param("q_width_sd", torch.tensor(0.1), constraint=above),
    )
    pyro.sample("width", dist.LogNormal(loc, sd))
    with pyro.plate("heaps", COMPONENTS):
        loc = pyro.param("q_centre", torch.tensor([-3.0, 0.0, 3.0]))
        sd = pyro.param("q_centre_sd", 0.1 * torch.ones(COMPONENTS), constraint=above)
        pyro.sample("centre", dist.Normal(loc, sd))


class Images(nn.Module):
    """A VAE with one hidden layer, registered with Pyro's store by the programs themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.Softplus(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Softplus(), nn.Linear(HIDDEN, PIXELS))

    def model(self, x: Tensor) -> None:
        pyro.module("decoder", self.decoder)
        with pyro.plate("rows", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(LATENT), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        pyro.module("encoder", self.encoder)
        with pyro.plate("rows", len(x)):
            loc, log_scale = self.encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


def pairs(repeats: int, steps: int = 1000) -> Iterator[Comparison]:
    generator = torch.Generator().manual_seed(0)
    heaps = torch.tensor([-4.0, 0.0, 4.0])[torch.randint(0, 3, (1000,), generator=generator)]
    x = heaps + torch.randn(1000, generator=generator)
    images = (torch.rand(100, PIXELS, generator=generator) < 0.2).float()
    vae = Images()
    for name, model, guide, data, bound in (
        ("mixture of 3, 1,000 rows", mixture, mixture_guide, x, TraceEnum_ELBO(max_plate_nesting=1)),
        (f"VAE {PIXELS}-{HIDDEN}-{LATENT}, batch 100", vae.model, vae.guide, images, Trace_ELBO()),
    ):
        yield compare(
            f"{name}, {steps:,} steps",
            lambda: fit_pyro(model, guide, SVI(steps=steps, learning_rate=1e-3, progress=False), data),  # noqa: B023
            lambda: _pyros(model, guide, bound, data, steps),  # noqa: B023
            repeats,
        )


def _pyros(model: Callable[..., Any], guide: Callable[..., Any], bound: Any, x: Tensor, steps: int) -> None:
    with pyro.get_param_store().scope():
        svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), bound)
        for _ in range(steps):
            svi.step(x)
