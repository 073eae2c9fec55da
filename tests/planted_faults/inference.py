"""Faults of inference: the posterior is not that of its joint."""

from typing import Any, ClassVar, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen import EM, NUTS, SVI, fit
from ppl_gen.models import VAE, GaussianMixture, LinearRegression, LogisticRegression, PoissonMixture
from ppl_gen.posterior import Posterior
from tests.planted_faults.base import REAL, Found, normal, planted, real, uniform
from tests.planted_faults.programs import (
    EFFECTS,
    ERRORS,
    Centred,
    CentredChains,
    Line,
    Location,
    Outcome,
    Scale,
    normal_guide,
)

QUIET = {"progress": False, "compile": False}


def line(seed: int, n: int = 60, features: int = 3) -> dict[str, Tensor]:
    x = normal(seed, n, features)
    return {"x": x, "y": x @ torch.linspace(-1, 1, features, dtype=REAL) + normal(seed + 1000, n)}


def two_groups(seed: int, n: int = 120, apart: float = 6.0) -> Tensor:
    return normal(seed, n, 2) + apart * (torch.arange(n) % 2)[:, None]


# The climb --------------------------------------------------------------------------------------------------


@planted("too few steps")
def few_steps(seed: int) -> Posterior:
    return fit(Line(3), SVI(steps=30, seed=seed, guide="full_rank", **QUIET), **line(seed))


@planted("too few steps")
def few_steps_of_a_classifier(seed: int) -> Posterior:
    x = normal(seed, 150, 2)
    y = (uniform(seed + 1, 150) < (2 * x[:, 0]).sigmoid()).long()
    return fit(LogisticRegression(classes=2, features=2), SVI(steps=8, seed=seed, **QUIET), x=x, y=y)


@planted("too few steps")
def few_steps_of_a_vae(seed: int) -> Posterior:
    x = (
        (normal(seed, 200, 2) @ normal(7, 2, 10) * 2)
        .sigmoid()
        .bernoulli(generator=torch.Generator().manual_seed(seed))
    )
    return fit(VAE(10, 2, hidden=(16,)), SVI(steps=10, seed=seed, **QUIET), x=x)


@planted("learning rate too high")
def long_steps(seed: int) -> Posterior:
    method = SVI(steps=600, learning_rate=3.0, schedule="constant", guide="mean_field", seed=seed, **QUIET)
    return fit(Line(3), method, **line(seed))


@planted("learning rate too high")
def long_steps_of_a_scale(seed: int) -> Posterior:
    method = SVI(steps=600, learning_rate=1.5, schedule="constant", guide="mean_field", seed=seed, **QUIET)
    return fit(Outcome(), method, x=3 + 2 * normal(seed, 80))


@planted("learning rate too low")
def short_steps(seed: int) -> Posterior:
    method = SVI(steps=800, learning_rate=1e-5, guide="mean_field", seed=seed, **QUIET)
    return fit(Line(3), method, **line(seed))


@planted("learning rate too low")
def short_steps_of_a_mean(seed: int) -> Posterior:
    method = SVI(steps=800, learning_rate=2e-5, guide="mean_field", seed=seed, **QUIET)
    return fit(Outcome(), method, x=5 + normal(seed, 80))


# The guide --------------------------------------------------------------------------------------------------


@planted("correlations ignored")
def collinear(seed: int) -> Posterior:
    data = line(seed)
    data["x"][:, 1] = data["x"][:, 0] + 0.2 * normal(seed + 5, 60)
    return fit(Line(3), SVI(steps=3000, learning_rate=0.02, guide="mean_field", seed=seed, **QUIET), **data)


@planted("correlations ignored")
def uncentred_input(seed: int) -> Posterior:
    x = torch.stack([torch.ones(80, dtype=REAL), 5 + normal(seed, 80)], 1)
    data = {"x": x, "y": x @ torch.tensor([1.0, 0.5], dtype=REAL) + normal(seed + 1, 80)}
    return fit(Line(2), SVI(steps=4000, learning_rate=0.02, guide="mean_field", seed=seed, **QUIET), **data)


@planted("sds too small")
def scale_held_fixed(seed: int) -> Posterior:
    x = 2 + normal(seed, 50)

    def guide() -> None:
        loc = pyro.param("loc", torch.zeros((), dtype=REAL))
        pyro.sample("mu", dist.Normal(loc, 0.04))

    return fit(Location(), SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET), x=x)


@planted("sds too large")
def scale_held_wide(seed: int) -> Posterior:
    x = 2 + normal(seed, 50)

    def guide() -> None:
        loc = pyro.param("loc", torch.zeros((), dtype=REAL))
        pyro.sample("mu", dist.Normal(loc, 0.45))

    return fit(Location(), SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET), x=x)


@planted("funnel")
def centred_schools(seed: int) -> Posterior:
    method = SVI(steps=3000, learning_rate=0.03, guide="mean_field", seed=seed, **QUIET)
    return fit(Centred(), method, sigma=ERRORS, y=EFFECTS)


@planted("funnel", slow=True)
def centred_chains(seed: int) -> Posterior:
    method = NUTS(draws=100, warmup=20, chains=2, seed=seed, progress=False)
    return fit(CentredChains(3), method, school=torch.arange(3), sigma=ERRORS[:3], y=EFFECTS[:3])


@planted("outside the support")
def wrong_support(seed: int) -> Posterior:
    def guide() -> None:
        pyro.sample("sigma", dist.Normal(real(1.0), 0.6))

    return fit(Scale(), Found(guide), x=normal(seed, 30))


@planted("dropped Jacobian")
def delta_without_jacobian(seed: int) -> Posterior:
    def guide() -> None:
        loc = pyro.param("loc", torch.zeros((), dtype=REAL))
        scale = pyro.param("scale", 0.2 * torch.ones((), dtype=REAL), dist.constraints.positive)
        u = pyro.sample("u", dist.Normal(loc, scale), infer={"is_auxiliary": True})
        pyro.sample("sigma", dist.Delta(u.exp()))

    return fit(
        Scale(), SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET), x=3 * normal(seed, 12)
    )


class Exponentiated(dist.TorchDistribution):
    """A log normal by hand, without the Jacobian of the logarithm."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = dist.constraints.positive
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor):
        self.base = dist.Normal(loc, scale)
        super().__init__(self.base.batch_shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Exponentiated":
        return Exponentiated(self.base.loc.expand(batch_shape), self.base.scale.expand(batch_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base.rsample(torch.Size(sample_shape)).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob(value.log())


@planted("dropped Jacobian")
def guide_by_hand(seed: int) -> Posterior:
    def guide() -> None:
        loc = pyro.param("loc", torch.zeros((), dtype=REAL))
        scale = pyro.param("scale", 0.2 * torch.ones((), dtype=REAL), dist.constraints.positive)
        pyro.sample("sigma", Exponentiated(loc, scale))

    return fit(
        Scale(), SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET), x=3 * normal(seed, 12)
    )


# Updates and objectives that count wrongly ------------------------------------------------------------------


def by_hand(seed: int, prior: float, rows: float, batch_size: int = 0, width: float = 0.5) -> Posterior:
    data = line(seed, 40)
    guide = normal_guide(data["x"], data["y"], width, 1.0, (prior, rows))
    return fit(Line(3, prior=width), Found(guide, batch_size), **data)


@planted("prior counted twice")
def kl_counted_twice(seed: int) -> Posterior:
    return by_hand(seed, 2.0, 1.0, width=0.2)


@planted("prior left out")
def no_kl(seed: int) -> Posterior:
    return by_hand(seed, 0.0, 1.0, width=0.15)


@planted("unscaled minibatch")
def minibatch_for_itself(seed: int) -> Posterior:
    return by_hand(seed, 1.0, 0.25, batch_size=10, width=3.0)


@planted("rows counted wrongly")
def ten_times_the_rows(seed: int) -> Posterior:
    return by_hand(seed, 1.0, 10.0, width=3.0)


class PriorTwice(Location):
    def updated(self, x: Tensor) -> Self:
        return self.counted(x, 2.0, 1.0)


class RowsTwice(Location):
    def updated(self, x: Tensor) -> Self:
        return self.counted(x, 1.0, 2.0)


class HalfTheRows(Location):
    def updated(self, x: Tensor) -> Self:
        return self.counted(x[::2], 1.0, 1.0)


class Rounded(Location):
    """Forgets the prior's mean, which pulls."""

    def updated(self, x: Tensor) -> Self:
        after = self.counted(x, 1.0, 1.0)
        after.loc = x.mean() + 0.5
        return after


class Boasting(Location):
    def updated(self, x: Tensor) -> Self:
        after = self.counted(x, 1.0, 1.0)
        after.log_z = after.log_z + 2.0
        return after


@planted("prior counted twice")
def update_with_prior_twice(seed: int) -> Posterior:
    return fit(PriorTwice(loc=-2.0, scale=0.5), x=1 + normal(seed, 20))


@planted("rows counted wrongly")
def update_with_rows_twice(seed: int) -> Posterior:
    return fit(RowsTwice(), x=1 + normal(seed, 20))


@planted("wrong update")
def update_with_half_the_rows(seed: int) -> Posterior:
    return fit(HalfTheRows(), x=1 + normal(seed, 20))


@planted("wrong update")
def update_beside_the_mean(seed: int) -> Posterior:
    return fit(Rounded(), x=1 + normal(seed, 20))


@planted("wrong evidence")
def update_that_boasts(seed: int) -> Posterior:
    return fit(Boasting(), x=1 + normal(seed, 20))


# Mixtures, codes, chains ------------------------------------------------------------------------------------


@planted("stuck in a worse mode")
def one_start(seed: int) -> Posterior:
    """Six groups, of which one component takes two: the worst of twelve starts."""
    centres = torch.tensor([[0.0, 0], [0, 5], [6, 0], [6, 5], [12, 2], [-6, 2]], dtype=REAL)
    x = centres[(6 * uniform(seed, 180)).long()] + normal(seed, 180, 2)
    model = GaussianMixture(components=6, features=2)
    fits = [fit(model, EM(restarts=1, seed=100 * seed + i, steps=200), x=x) for i in range(12)]
    return min(fits, key=lambda p: float(p.elbo[-1]))


@planted("empty component")
def too_many_components(seed: int) -> Posterior:
    x = torch.poisson(
        torch.tensor([2.0, 25.0], dtype=REAL)[(2 * uniform(seed, 100)).long()],
        torch.Generator().manual_seed(seed),
    )
    from ppl_gen import VariationalBayes

    return fit(
        PoissonMixture(components=6, features=1, concentration=0.05),
        VariationalBayes(seed=seed),
        x=x[:, None],
    )


@planted("singular component")
def component_of_one_row(seed: int) -> Posterior:
    x = normal(seed, 12, 2)
    x[0] = 40.0
    return fit(GaussianMixture(components=4, features=2), EM(restarts=1, seed=seed), x=x)


@planted("collapsed code")
def heavy_kl(seed: int) -> Posterior:
    generator = torch.Generator().manual_seed(seed)
    x = (normal(seed, 200, 2) @ normal(7, 2, 10) * 2).sigmoid().bernoulli(generator=generator)
    return fit(VAE(10, 2, hidden=(16,)), SVI(steps=800, beta=30.0, seed=seed, **QUIET), x=x)


@planted("collapsed code")
def codes_of_noise(seed: int) -> Posterior:
    x = uniform(seed, 300, 8).round()
    return fit(VAE(8, 3, hidden=(16,)), SVI(steps=1000, seed=seed, **QUIET), x=x)


@planted("label switching", slow=True)
def switching_chains(seed: int) -> Posterior:
    x = torch.cat([normal(seed, 15, 1) - 3, normal(seed + 1, 15, 1) + 3])
    method = NUTS(draws=100, warmup=100, chains=4, relabel=False, seed=seed, progress=False)
    posterior = fit(GaussianMixture(components=2, features=1), method, x=x)
    return posterior if _disagree(posterior) else _swapped(posterior)


def _disagree(posterior: Posterior) -> bool:
    means = posterior.guide.values["mu"].mean(1)
    return bool((means - means[0]).abs().max() > 3)


def _swapped(posterior: Posterior) -> Posterior:
    """As when a chain had started at the other naming: the density is the same."""
    for value in posterior.guide.values.values():
        value[0] = value[0].flip(1)
    return posterior


class TwoPlaces(Line):
    """The sign of w cannot be told."""

    joint = "p(w) p(y | w, x)"

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(self.zero[0], 3.0))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal((x[:, 0] * w).abs(), 1.0))


@planted("chains disagree", slow=True)
def chains_in_two_places(seed: int) -> Posterior:
    x = 1 + uniform(seed, 40, 1)
    data = {"x": x, "y": 3 * x[:, 0] + normal(seed, 40)}
    each = [
        fit(TwoPlaces(1), NUTS(draws=150, warmup=100, chains=1, seed=seed + i, progress=False), **data)
        for i in (0, 1)
    ]
    kept = (
        each[0].guide.values["w"].abs(),
        -each[1].guide.values["w"].abs(),
    )  # each by itself is a right chain
    each[0].guide.drawn_w = torch.cat(kept)
    return each[0]


@planted("too few draws", slow=True)
def twenty_draws(seed: int) -> Posterior:
    data = line(seed)
    method = NUTS(draws=20, warmup=30, chains=2, seed=seed, progress=False)
    return fit(LinearRegression(features=3), method, **data)
