"""A step of SVI against Pyro's and against plain torch; a whole fit from a cold process against NumPyro's."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pyro
import torch
from pyro.infer import TraceEnum_ELBO, config_enumerate
from torch import nn
from torch.nn import functional

from benchmarks.measure import Comparison, compare
from benchmarks.peers import cold, worker
from ppl_gen import SVI, fit
from ppl_gen.core import ProbabilisticModel
from ppl_gen.inference.climb import Rows
from ppl_gen.inference.objective import Objective
from ppl_gen.inference.steps import WORTH_A_GRAPH, Steps
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import VAE, GaussianMixture

ROWS, STEPS = 1000, 3000
PIXELS, HIDDEN, LATENT, BATCH = 784, 200, 50, 100


def blobs(n: int = ROWS) -> torch.Tensor:
    """Three round heaps in the plane, float64."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [4.0, 4.0], [-4.0, 4.0]], dtype=torch.float64)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return noise + centres[torch.randint(0, 3, (n,), generator=generator)]


def stepper(
    p: ProbabilisticModel, choice: bool, whole: bool, count: int, **values: torch.Tensor
) -> Callable[[], None]:
    """So many steps of the engine behind `SVI`, compiled or replayed from its graph, as a fit does them."""
    data = admit(p, values)
    p.initialize(**data.gaps)
    p.train()
    objective, method = Objective(p, p.guide, None, 1), SVI(compile=choice)
    objective.check(data)
    steps = Steps(objective, method.optimiser(p, objective.parameters), None)
    trouble = steps.speed_up(data, 1.0, whole, WORTH_A_GRAPH, choice)
    if trouble or steps.fast is None:
        raise RuntimeError(trouble)
    rows = Rows(data, torch.arange(data.n), 1.0)

    def run() -> None:
        left = count
        while left:
            left -= len(steps.several(range(left))) or bool(steps.step(rows.batch, rows.scale))

    return run


def pyros(p: ProbabilisticModel, x: torch.Tensor) -> Callable[[], Any]:
    """pyro.infer.SVI.step of the same model and guide on the same rows."""
    p.initialize(x=x)
    model = config_enumerate(pyro.condition(p.model, {"x": x}))
    svi = pyro.infer.SVI(
        lambda: model(n=len(x)), p.guide, pyro.optim.Adam({"lr": 0.05}), TraceEnum_ELBO(max_plate_nesting=1)
    )
    return svi.step


def by_hand(x: torch.Tensor) -> Callable[[], Any]:
    """A VAE as one writes it in plain torch, with the default Adam."""
    make = lambda a, b, c, d: nn.Sequential(  # noqa: E731
        nn.Linear(a, b), nn.SiLU(), nn.Linear(b, c), nn.SiLU(), nn.Linear(c, d)
    )
    encoder = make(PIXELS, HIDDEN, HIDDEN, 2 * LATENT)
    decoder = make(LATENT, HIDDEN, HIDDEN, PIXELS)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)

    def step() -> float:
        optimiser.zero_grad()
        loc, log_scale = encoder(x).chunk(2, -1)
        z = loc + log_scale.exp() * torch.randn_like(loc)
        fit = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        divergence = 0.5 * (loc.square() + (2 * log_scale).exp() - 1).sum() - log_scale.sum()
        negative_elbo = fit + divergence
        negative_elbo.backward()
        optimiser.step()
        return negative_elbo.item()

    return step


def many(step: Callable[[], Any], count: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            step()

    return run


def steps(repeats: int) -> Iterator[Comparison]:
    x = blobs()
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(BATCH, PIXELS, generator=generator) < 0.2).float()
    for choice, target in ((True, 0.05), (False, 0.8)):
        name = "compiled" if choice else "replayed"
        with ExitStack() as stack:
            stack.enter_context(isolated(0, grad=True))
            ours = stepper(GaussianMixture(3, 2), choice, True, 20, x=x)
            theirs = pyros(GaussianMixture(3, 2), x)
            yield compare(
                f"mixture of 3, {ROWS:,} rows, {name} / pyro.infer.SVI.step",
                ours, many(theirs, 20), repeats, target,
            )  # fmt: skip
    for choice, target in ((True, 1.0), (False, 1.15)):
        name = "compiled" if choice else "replayed"
        with isolated(0, grad=True):
            vae = VAE(PIXELS, LATENT, hidden=(HIDDEN, HIDDEN))
            ours = stepper(vae, choice, False, 20, x=images)
            yield compare(
                f"VAE {PIXELS}-{HIDDEN}-{HIDDEN}-{LATENT}, batch {BATCH}, {name} / plain torch",
                ours, many(by_hand(images), 20), repeats, target,
            )  # fmt: skip


OURS = """
from benchmarks.svi import blobs
from ppl_gen import SVI, fit
from ppl_gen.models import GaussianMixture
fit(GaussianMixture(3, 2), SVI(steps={steps}, learning_rate=0.05, progress=False), x=blobs())
"""
NUMPYRO = """
import jax, numpy as np, numpyro, numpyro.distributions as dist
from jax import numpy as jnp
from numpyro.distributions import constraints
from numpyro.infer import SVI, TraceEnum_ELBO
jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 2)) + np.array([[0.0, 0], [4, 4], [-4, 4]])[rng.integers(0, 3, 1000)]

def model(x):
    pi = numpyro.sample("pi", dist.Dirichlet(jnp.ones(3)))
    with numpyro.plate("components", 3):
        tau = numpyro.sample("tau", dist.Gamma(jnp.ones(2), 0.01 * jnp.ones(2)).to_event(1))
        mu = numpyro.sample("mu", dist.Normal(0.0, (0.01 * tau) ** -0.5).to_event(1))
    with numpyro.plate("data", len(x)):
        z = numpyro.sample("z", dist.Categorical(pi), infer={"enumerate": "parallel"})
        numpyro.sample("x", dist.Normal(mu[z], tau[z] ** -0.5).to_event(1), obs=x)

def guide(x):
    above = lambda name, start: numpyro.param(name, start, constraint=constraints.positive)
    numpyro.sample("pi", dist.Dirichlet(above("q_concentration", 300 * jnp.ones(3))))
    with numpyro.plate("components", 3):
        shape, rate = above("q_shape", 100 * jnp.ones((3, 2))), above("q_rate", 100 * jnp.ones((3, 2)))
        numpyro.sample("tau", dist.Gamma(shape, rate).to_event(1))
        loc = numpyro.param("q_loc", jnp.array([[0.5, 0], [3, 3], [-3, 3]]))
        numpyro.sample("mu", dist.Normal(loc, above("q_scale", 0.1 * jnp.ones((3, 2)))).to_event(1))

svi = SVI(model, guide, numpyro.optim.Adam(0.05), TraceEnum_ELBO())

def run():
    svi.run(jax.random.PRNGKey(0), STEPS, x, progress_bar=False).losses.block_until_ready()
"""


def whole_fits(python: str, repeats: int, count: int = STEPS) -> Iterator[Comparison]:
    """From nothing, imports and compilers included, and again in the same process; ``python`` has NumPyro."""
    theirs = NUMPYRO.replace("STEPS", str(count))
    yield compare(
        f"{count:,} steps of the mixture from a cold process",
        lambda: cold(sys.executable, OURS.format(steps=count)),
        lambda: cold(python, f"{theirs}\nrun()"),
        repeats,
        1.0,
    )
    x, method = blobs(), SVI(steps=count, learning_rate=0.05, progress=False)
    with worker(python, theirs) as again:
        yield compare(
            f"{count:,} steps of the mixture in a process that has done them before",
            lambda: fit(GaussianMixture(3, 2), method, x=x),
            again,
            repeats,
        )
