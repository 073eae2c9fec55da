"""The families of guides: where they start, and how near they come."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from ppl_gen import SVI, Laplace, Posterior, ProbabilisticModel, fit
from ppl_gen.inference.guides import AutoFullRank
from ppl_gen.models import LinearRegression
from tests.planted_faults.base import REAL, normal, uniform

QUIET: dict[str, Any] = {"progress": False, "compile": False}


class Line(ProbabilisticModel):
    """A joint of float64 whose model has no tensor of its own."""

    joint = "p(w) p(y | w, x)"

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros(2, dtype=REAL), 5.0).to_event(1))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(w[0] + w[1] * x[:, 0], 1.0))


def rows(seed: int) -> dict[str, Tensor]:
    """A line whose inputs lie far from zero: intercept and slope correlate by about -0.99."""
    x = 3 + 2 * uniform(seed, 150, 1)
    return {"x": x, "y": 1 + x[:, 0] + normal(seed + 1, 150)}


def gap(posterior: Posterior, evidence: float) -> tuple[float, float]:
    """The divergence from the exact posterior in nats, and its standard error."""
    elbo = posterior.weighted(1000, 0)[0].sum(1)
    return evidence - float(elbo.mean()), float(elbo.std()) / math.sqrt(1000)


@pytest.mark.parametrize("guide", ["full_rank", "flow"])
def test_every_family_starts_where_mean_field_does(guide: str) -> None:
    """At a random draw of a wide prior a climb begins a thousand nats below, and takes thousands of steps."""
    first = {
        name: fit(
            LinearRegression(features=1), SVI(steps=1, learning_rate=1e-12, guide=name, **QUIET), **rows(0)
        )
        for name in ("mean_field", guide)
    }
    auto = {name: posterior.guide.auto for name, posterior in first.items()}
    locs = [auto["mean_field"].locs.w.flatten(), auto["mean_field"].locs.tau.flatten()]
    assert torch.allclose(auto[guide].loc.sort().values, torch.cat(locs).sort().values, atol=1e-6)
    assert torch.allclose(auto[guide].log_scale.exp(), torch.tensor(0.1, dtype=REAL), rtol=0.01)


def test_full_rank_finds_a_slanted_posterior() -> None:
    """Of Normal noise of known sd the posterior is Normal: the divergence can be zero, and nearly is."""
    data = rows(3)
    exact = torch.distributions.MultivariateNormal
    design = torch.stack([torch.ones(150, dtype=REAL), data["x"][:, 0]], 1)
    covariance = torch.eye(150, dtype=REAL) + 25 * design @ design.T
    evidence = float(exact(torch.zeros(150, dtype=REAL), covariance).log_prob(data["y"]))
    options: dict[str, Any] = {"steps": 1500, "learning_rate": 0.1, **QUIET}
    off = {
        name: gap(fit(Line(), SVI(guide=name, **options), **data), evidence)
        for name in ("full_rank", "mean_field")
    }
    start = fit(Line(), SVI(guide="full_rank", **{**options, "steps": 1}), **data)
    value, error = off["full_rank"]
    assert -5 * error < value < 0.3 + 5 * error
    assert gap(start, evidence)[0] > 100
    assert off["mean_field"][0] > 1


def test_placed_it_is_the_normal_of_the_mean_and_covariance() -> None:
    root = torch.tensor([[2.0, 0, 0], [30.0, 0.5, 0], [-1.0, 3.0, 1e-3]], dtype=REAL)
    loc = torch.tensor([1.0, -50.0, 3.0], dtype=REAL)
    posterior = fit(Line(), Laplace(), **rows(0))
    auto = posterior.guide.auto
    assert isinstance(auto, AutoFullRank)
    auto.latent_dim = 3
    auto.place(loc, root)
    made = auto.get_posterior()
    assert torch.equal(made.loc, loc)
    assert torch.allclose(made.scale_tril, root, rtol=1e-9, atol=1e-12)
