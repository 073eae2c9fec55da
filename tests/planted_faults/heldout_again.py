"""A second list held out, of kinds of mistakes that neither of the others has, and of fresh sound fits."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen import NUTS, SVI, Laplace, ProbabilisticModel, VariationalBayes, fit
from ppl_gen.models import GaussianMixture, GaussianNaiveBayes, LinearRegression, PoissonMixture
from ppl_gen.posterior import Posterior
from tests.planted_faults.base import HELD_OUT_AGAIN, REAL, Found, Planted, normal, real, uniform
from tests.planted_faults.heldout import FULL, Visits, gamma, poisson, student
from tests.planted_faults.inference import QUIET
from tests.planted_faults.programs import Line, Location, Spread


def held_out(expected: str = "") -> Any:
    """Register a function of the seed: a fault to be found, or a sound fit."""

    def register(make: Any) -> Any:
        HELD_OUT_AGAIN.append(Planted(make.__name__, expected, make))
        return make

    return register


# Modes that the guide never visits --------------------------------------------------------------------------


class Squared(ProbabilisticModel):
    """A signal of which only the square is measured."""

    joint = "p(z) p(x | z)"

    def model(self, n: int) -> Tensor:
        z = pyro.sample("z", dist.Normal(real(0.0), 3.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(z**2, 1.0))


@held_out("one of several modes")
def sign_of_a_root(seed: int) -> Posterior:
    method = SVI(steps=2000, learning_rate=0.03, seed=seed, **QUIET)
    return fit(Squared(), method, x=4 + normal(seed, 40))


class Phases(ProbabilisticModel):
    """Intensities: the squares of linear forms, which w and -w share."""

    joint = "p(mu) p(w) p(y | mu, w, x)"

    def model(self, x: Tensor) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 5.0))
        w = pyro.sample("w", dist.Normal(torch.zeros(2, dtype=REAL), 2.0).to_event(1))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(mu + (w[0] * x[:, 0] + w[1] * x[:, 1]) ** 2, 0.5))


@held_out("one of several modes")
def phase_of_intensities(seed: int) -> Posterior:
    x = normal(seed, 100, 2)
    y = 1 + (x @ torch.tensor([1.0, -0.7], dtype=REAL)) ** 2 + 0.5 * normal(seed + 1, 100)
    return fit(Phases(), SVI(seed=seed, **{**FULL, "steps": 4000}), x=x, y=y)


class TwoSpecies(ProbabilisticModel):
    """A mixture as one density, its components unnamed."""

    joint = "p(mu) p(x | mu)"

    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(torch.zeros(2, dtype=REAL), 5.0).to_event(1))
        parts = dist.Normal(mu, 1.0)
        with pyro.plate("data", n):
            half = dist.Categorical(torch.tensor([0.4, 0.6], dtype=REAL))
            return pyro.sample("x", dist.MixtureSameFamily(half, parts))


@held_out("one of several modes")
def species_without_names(seed: int) -> Posterior:
    x = torch.where(uniform(seed + 9, 60) < 0.5, 3.0, -3.0) + normal(seed, 60)
    return fit(TwoSpecies(), Laplace(), x=x)


# The guide and its objective --------------------------------------------------------------------------------


@held_out("sds too small")
def variance_in_the_guide(seed: int) -> Posterior:
    """A Laplace approximation by hand, with the variance where the sd belongs."""
    x = 1 + normal(seed, 30)
    loc, variance = 270 * x.mean() / 271, 9 / 271

    def guide() -> None:
        pyro.sample("mu", dist.Normal(loc, variance))

    return fit(Location(), Found(guide), x=x)


@held_out("sds too small")
def one_scale_for_all(seed: int) -> Posterior:
    def guide(*_: Any, **__: Any) -> None:
        loc = pyro.param("loc", torch.zeros(2, dtype=REAL))
        scale = pyro.param("scale", 0.2 * torch.ones((), dtype=REAL), dist.constraints.positive)
        pyro.sample("w", dist.Normal(loc, scale).to_event(1))

    x = normal(seed, 80, 2) * torch.tensor([1.0, 0.1], dtype=REAL)
    y = x.sum(1) + normal(seed + 1, 80)
    method = SVI(steps=3000, learning_rate=0.02, guide=guide, seed=seed, **QUIET)
    return fit(Line(2), method, x=x, y=y)


@held_out("guide too far")
def guide_without_gradient(seed: int) -> Posterior:
    """The mean is detached, so that nothing moves it."""

    def guide(*_: Any, **__: Any) -> None:
        loc = pyro.param("loc", torch.zeros(3, dtype=REAL)).detach()
        scale = pyro.param("scale", 0.2 * torch.ones(3, dtype=REAL), dist.constraints.positive)
        pyro.sample("w", dist.Normal(loc, scale).to_event(1))

    x = normal(seed, 60, 3)
    method = SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET)
    return fit(Line(3), method, x=x, y=2 * x.sum(1) + normal(seed + 1, 60))


# The model and these rows -----------------------------------------------------------------------------------


@held_out("mean off along an input")
def square_left_out(seed: int) -> Posterior:
    x = normal(seed, 150, 3)
    y = x[:, 0] + 0.7 * x[:, 2] ** 2 + 0.7 * normal(seed + 1, 150)
    return fit(LinearRegression(features=3), x=x, y=y)


@held_out("mean off along an input")
def interaction_left_out(seed: int) -> Posterior:
    x = normal(seed, 150, 2)
    y = x[:, 0] + x[:, 0] * x[:, 1] + 0.7 * normal(seed + 1, 150)
    return fit(LinearRegression(features=2), x=x, y=y)


class FirstColumn(ProbabilisticModel):
    """Is given two inputs, and forgets the second."""

    joint = "p(w) p(s) p(y | w, s, x)"

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros(2, dtype=REAL), 5.0).to_event(1))
        s = pyro.sample("s", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(w[0] + w[1] * x[:, 0], s))


@held_out("mean off along an input")
def column_forgotten(seed: int) -> Posterior:
    x = normal(seed, 120, 2)
    y = 1 + x @ torch.tensor([0.5, 1.0], dtype=REAL) + 0.7 * normal(seed + 1, 120)
    return fit(FirstColumn(), SVI(seed=seed, **FULL), x=x, y=y)


@held_out("mean off along an input")
def saturating_dose(seed: int) -> Posterior:
    """Counts that level off, where the model's exponential rises."""
    x = 3 * uniform(seed, 150, 1)
    return fit(Visits(), SVI(seed=seed, **FULL), x=x, y=poisson(seed, 20 * (1 - (-2 * x[:, 0]).exp())))


@held_out("overdispersed")
def exposure_left_out(seed: int) -> Posterior:
    exposure = 0.2 + 3 * uniform(seed + 3, 150)
    x = normal(seed, 150, 1)
    return fit(Visits(), SVI(seed=seed, **FULL), x=x, y=poisson(seed, exposure * (1 + 0.3 * x[:, 0]).exp()))


@held_out("overdispersed")
def three_groups_as_two(seed: int) -> Posterior:
    z = (3 * uniform(seed + 9, 240)).long()
    x = poisson(seed, torch.tensor([[2.0], [12.0], [60.0]], dtype=REAL)[z])
    return fit(PoissonMixture(components=2, features=1), VariationalBayes(seed=seed), x=x)


@held_out("light tails")
def heights_in_two_units(seed: int) -> Posterior:
    cm = 170 + 8 * normal(seed, 120)
    x = torch.where(uniform(seed + 9, 120) < 0.5, cm, cm / 2.54)
    return fit(LinearRegression(features=1), x=normal(seed + 1, 120, 1), y=x / 50)


@held_out("dependent rows")
def every_row_twice(seed: int) -> Posterior:
    x = normal(seed, 80, 2)
    y = x.sum(1) + normal(seed + 1, 80)
    return fit(LinearRegression(features=2), x=x.repeat_interleave(2, 0), y=y.repeat_interleave(2, 0))


@held_out("dependent rows")
def answers_sorted(seed: int) -> Posterior:
    """y was sorted by itself, so that it stands beside other rows of x."""
    x = normal(seed, 100, 2)
    return fit(LinearRegression(features=2), x=x, y=(x.sum(1) + normal(seed + 1, 100)).sort().values)


@held_out("variance for sd")
def precision_for_sd(seed: int) -> Posterior:
    method = SVI(steps=1500, learning_rate=0.03, seed=seed, **QUIET)
    return fit(Spread(sd=9.0), method, x=2 + normal(seed, 100) / 3)  # precision 9: sd 1/3


class Rare(ProbabilisticModel):
    """A rate under a Gamma prior of shape and rate."""

    joint = "p(rate) p(x | rate)"

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def model(self, n: int) -> Tensor:
        rate = pyro.sample("rate", dist.Gamma(real(2.0), self.rate))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Poisson(rate))


@held_out("prior in conflict")
def scale_for_rate(seed: int) -> Posterior:
    """A prior mean of 40 was meant, and the scale of 20 passed as a rate."""
    method = SVI(steps=2500, learning_rate=0.03, seed=seed, **QUIET)
    return fit(Rare(20.0), method, x=poisson(seed, torch.full((60,), 40.0, dtype=REAL)))


class Clipped(ProbabilisticModel):
    """A mean that its prior confines."""

    joint = "p(mu) p(x | mu)"

    def __init__(self, low: float, high: float):
        super().__init__()
        self.low, self.high = low, high

    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Uniform(real(self.low), self.high))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(mu, 1.0))


@held_out("prior in conflict")
def mean_beyond_its_bounds(seed: int) -> Posterior:
    method = SVI(steps=3000, learning_rate=0.03, seed=seed, **QUIET)
    return fit(Clipped(0.0, 2.0), method, x=4 + normal(seed, 60))


@held_out("too few zeros")
def buyers_only(seed: int) -> Posterior:
    """Who bought nothing was never written down."""
    x = poisson(seed, torch.full((400,), 1.2, dtype=REAL))
    return fit(Rare(0.5), SVI(steps=2000, learning_rate=0.03, seed=seed, **QUIET), x=x[x > 0])


@held_out("uneven scatter")
def noise_that_grows(seed: int) -> Posterior:
    x = 3 * uniform(seed, 200, 1)
    y = 1 + x[:, 0] + (0.2 + x[:, 0]) * normal(seed + 1, 200)
    return fit(LinearRegression(features=1), x=x, y=y)


@held_out("skewed")
def ceiling_of_a_test(seed: int) -> Posterior:
    """Marks end at 10, which many reach."""
    x = normal(seed, 300, 1)
    y = 8 + x[:, 0] + 2 * normal(seed + 1, 300)
    return fit(LinearRegression(features=1), x=x, y=y.clamp(max=10.0))


# Sound fits -------------------------------------------------------------------------------------------------


class Masked(ProbabilisticModel):
    """A mean; rows that are not known hold a number of no meaning, and are masked."""

    joint = "p(mu) p(x | mu, known)"

    def model(self, known: Tensor) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 10.0))
        with pyro.plate("data", len(known)), poutine.mask(mask=known.bool()):
            return pyro.sample("x", dist.Normal(mu, 1.0))


@held_out()
def masked_placeholders(seed: int) -> Posterior:
    known = (uniform(seed + 9, 100) < 0.8).to(REAL)
    x = torch.where(known > 0, 2 + normal(seed, 100), -99.0)
    return fit(Masked(), SVI(steps=1500, learning_rate=0.03, seed=seed, **QUIET), known=known, x=x)


class Survival(ProbabilisticModel):
    """Waits, of which those longer than ``limit`` are only known to be so: t is masked there."""

    joint = "p(rate) p(late | rate, limit) p(t | rate, late, limit)"

    def model(self, limit: Tensor) -> Tensor:
        rate = pyro.sample("rate", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", len(limit)):
            late = pyro.sample("late", dist.Bernoulli(probs=(-rate * limit).exp()))
            share = pyro.deterministic("share", 1 - (-rate * limit).exp())
            with poutine.mask(mask=late < 0.5):
                wait = dist.TransformedDistribution(
                    dist.Uniform(torch.zeros_like(limit), share),
                    [dist.transforms.AffineTransform(1.0, -1.0), Waiting(rate)],
                )
                return pyro.sample("t", wait)


class Waiting(torch.distributions.transforms.Transform):
    """From a survival probability to the time at which an exponential wait has it."""

    domain = dist.constraints.unit_interval
    codomain = dist.constraints.positive
    bijective = True
    sign = -1

    def __init__(self, rate: Tensor):
        super().__init__()
        self.rate = rate

    def _call(self, s: Tensor) -> Tensor:
        return -s.log() / self.rate

    def _inverse(self, t: Tensor) -> Tensor:
        return (-self.rate * t).exp()

    def log_abs_det_jacobian(self, s: Tensor, t: Tensor) -> Tensor:
        return -s.log() - self.rate.log()


@held_out()
def censored_waits(seed: int) -> Posterior:
    t, limit = -uniform(seed, 120).log() / 0.7, torch.full((120,), 2.0, dtype=REAL)
    late = (t > limit).to(REAL)
    t = torch.where(late > 0, 0.5, t)
    return fit(
        Survival(), SVI(steps=2000, learning_rate=0.03, seed=seed, **QUIET), limit=limit, late=late, t=t
    )


class Widening(ProbabilisticModel):
    """A line whose noise grows with x."""

    joint = "p(w) p(v) p(y | w, v, x)"

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros(2, dtype=REAL), 5.0).to_event(1))
        v = pyro.sample("v", dist.Normal(torch.zeros(2, dtype=REAL), 2.0).to_event(1))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(w[0] + w[1] * x[:, 0], (v[0] + v[1] * x[:, 0]).exp()))


@held_out()
def widening_noise_modelled(seed: int) -> Posterior:
    x = 2 * uniform(seed, 150, 1)
    y = 1 + x[:, 0] + (-0.5 + 0.6 * x[:, 0]).exp() * normal(seed + 1, 150)
    return fit(Widening(), SVI(seed=seed, **{**FULL, "steps": 4000}), x=x, y=y)


@held_out()
def squares_and_a_useless_column(seed: int) -> Posterior:
    x = normal(seed, 150, 2)
    y = 1 + x[:, 0] - 0.5 * x[:, 0] ** 2 + 0.5 * normal(seed + 1, 150)
    return fit(LinearRegression(features=3), x=torch.cat([x, x[:, :1] ** 2], 1), y=y)


class RobustLine(ProbabilisticModel):
    """A line with Student noise."""

    joint = "p(w) p(s) p(y | w, s, x)"

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros(2, dtype=REAL), 5.0).to_event(1))
        s = pyro.sample("s", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.StudentT(real(3.0), w[0] + w[1] * x[:, 0], s))


@held_out()
def line_with_student_noise(seed: int) -> Posterior:
    x = student(seed + 5, 3.0, 150)[:, None]  # inputs with outliers of their own
    return fit(RobustLine(), SVI(seed=seed, **FULL), x=x, y=1 + 2 * x[:, 0] + student(seed, 3.0, 150))


class Wards(ProbabilisticModel):
    """Wards of many rows each: so many leave no funnel."""

    joint = "p(mu) p(tau) p(theta | mu, tau) p(y | theta, ward)"

    def __init__(self, wards: int = 4):
        super().__init__()
        self.wards = wards

    def model(self, ward: Tensor) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 5.0))
        tau = pyro.sample("tau", dist.LogNormal(real(0.0), 1.0))
        theta = pyro.sample("theta", dist.Normal(mu, tau).expand([self.wards]).to_event(1))
        with pyro.plate("data", len(ward)):
            return pyro.sample("y", dist.Normal(theta[ward.long()], 1.0))


@held_out()
def wards_of_many_rows(seed: int) -> Posterior:
    ward = torch.arange(240) % 12
    y = 3 * normal(seed + 1, 12)[ward] + normal(seed, 240)
    chains = NUTS(draws=300, warmup=300, chains=2, seed=seed, progress=False)
    return fit(Wards(12), chains, ward=ward, y=y)  # the scale's posterior has a tail that no Normal has


@held_out()
def mean_within_its_bounds(seed: int) -> Posterior:
    method = SVI(steps=3000, learning_rate=0.03, seed=seed, **QUIET)
    return fit(Clipped(0.0, 10.0), method, x=4 + normal(seed, 60))


@held_out()
def both_signs_of_a_root(seed: int) -> Posterior:
    x = 4 + normal(seed, 40)
    loc, sd = x.mean().sqrt(), 1 / (160 * x.mean()).sqrt()

    def guide() -> None:
        ends = dist.Normal(torch.stack([loc, -loc]), sd)
        pyro.sample("z", dist.MixtureSameFamily(dist.Categorical(torch.ones(2, dtype=REAL)), ends))

    return fit(Squared(), Found(guide), x=x)


@held_out()
def svi_of_two_groups(seed: int) -> Posterior:
    x = normal(seed, 120, 1) + 8 * (uniform(seed + 9, 120, 1) < 0.5)
    return fit(
        GaussianMixture(components=2, features=1),
        SVI(steps=2500, learning_rate=0.03, guide="full_rank", seed=seed, **QUIET),
        x=x,
    )


@held_out()
def yesterday_and_today(seed: int) -> Posterior:
    """Rows that come in two parts."""
    y = (uniform(seed + 9, 200) < 0.5).long()
    x = normal(seed, 200, 2) + 2 * y[:, None]
    first = fit(GaussianNaiveBayes(classes=2, features=2), x=x[:100], y=y[:100])
    return fit(first, x=x[100:], y=y[100:])


@held_out()
def chains_of_a_robust_line(seed: int) -> Posterior:
    x = normal(seed, 60, 1)
    method = NUTS(draws=250, warmup=150, chains=2, seed=seed, progress=False)
    return fit(RobustLine(), method, x=x, y=1 + 2 * x[:, 0] + student(seed, 3.0, 60))


@held_out()
def counts_per_day(seed: int) -> Posterior:
    """Counts of clumped days, by a density that clumps."""
    x = normal(seed, 150, 1)
    rate = (1 + 0.5 * x[:, 0]).exp() * gamma(seed, torch.full((150,), 4.0, dtype=REAL)) / 4
    return fit(ClumpedVisits(), SVI(seed=seed, **FULL), x=x, y=poisson(seed + 1, rate))


class ClumpedVisits(ProbabilisticModel):
    """Negative binomial regression."""

    joint = "p(w) p(clump) p(y | w, clump, x)"

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros(2, dtype=REAL), 2.0).to_event(1))
        clump = pyro.sample("clump", dist.LogNormal(real(1.0), 1.0))
        mean = (w[0] + w[1] * x[:, 0]).exp()
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.NegativeBinomial(clump, probs=mean / (mean + clump)))
