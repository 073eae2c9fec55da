"""Faults and sound fits held out: written after the rules, of other models; no limit was set by them."""

from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen import (
    EM,
    MAP,
    NUTS,
    SVI,
    Laplace,
    MaximumLikelihood,
    ProbabilisticModel,
    VariationalBayes,
    fit,
)
from ppl_gen.core import Conjugate
from ppl_gen.models import (
    PPCA,
    VAE,
    BernoulliMixture,
    BernoulliNaiveBayes,
    FactorAnalysis,
    GaussianMixture,
    GaussianNaiveBayes,
    GaussianRegression,
    LinearRegression,
    LogisticRegression,
    PoissonMixture,
    PoissonNaiveBayes,
    QuadraticDiscriminantAnalysis,
)
from ppl_gen.posterior import Posterior
from tests.planted_faults.base import HELD_OUT, REAL, Found, Planted, normal, real, uniform
from tests.planted_faults.inference import QUIET
from tests.planted_faults.programs import Counts, Line, Location, Outcome

FULL: dict[str, Any] = {"steps": 2500, "learning_rate": 0.03, "guide": "full_rank", **QUIET}


def held_out(expected: str = "") -> Any:
    """Register a function of the seed: a fault to be found, or a sound fit."""

    def register(make: Any) -> Any:
        HELD_OUT.append(Planted(make.__name__, expected, make))
        return make

    return register


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed + 700)


def poisson(seed: int, rate: Tensor) -> Tensor:
    return torch.poisson(rate, generator(seed))


def gamma(seed: int, shape: Tensor) -> Tensor:
    return torch._standard_gamma(shape, generator(seed))


def student(seed: int, df: float, n: int) -> Tensor:
    return normal(seed + 31, n) / (2 * gamma(seed, torch.full((n,), df / 2, dtype=REAL)) / df).sqrt()


# Programs ---------------------------------------------------------------------------------------------------


class Visits(ProbabilisticModel):
    """Poisson regression with an intercept."""

    joint = "p(w) p(y | w, x)"

    def weights(self) -> Tensor:
        return pyro.sample("w", dist.Normal(torch.zeros(2, dtype=REAL), 2.0).to_event(1))

    def model(self, x: Tensor) -> Tensor:
        w = self.weights()
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Poisson((w[0] + w[1] * x[:, 0]).exp()))


def visits(seed: int, n: int = 120) -> dict[str, Tensor]:
    x = normal(seed, n, 1)
    return {"x": x, "y": poisson(seed, (1.0 + 0.5 * x[:, 0]).exp())}


class Choice(ProbabilisticModel):
    """Logistic regression without an intercept."""

    joint = "p(w) p(y | w, x)"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(2, dtype=REAL))

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(self.zero, 3.0).to_event(1))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Bernoulli(logits=x @ w))


def choices(seed: int, n: int = 200, intercept: float = 0.0) -> dict[str, Tensor]:
    x = normal(seed, n, 2)
    logits = x @ torch.tensor([1.0, -0.7], dtype=REAL) + intercept
    return {"x": x, "y": (uniform(seed + 3, n) < logits.sigmoid()).to(REAL)}


class Coin(Conjugate):
    """Tosses of a coin: bias ~ Beta(heads, tails)."""

    joint = "p(bias) p(x | bias)"
    marginal = "p(x)"

    def __init__(self, heads: float = 2.0, tails: float = 2.0, log_z: float = 0.0):
        super().__init__()
        for name, value in {"heads": heads, "tails": tails, "log_z": log_z}.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=REAL))

    def model(self, n: int) -> Tensor:
        bias = pyro.sample("bias", dist.Beta(self.heads, self.tails))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Bernoulli(bias))

    def updated(self, x: Tensor) -> Self:
        return self.counted(x.sum(), (1 - x).sum())

    def counted(self, heads: Tensor, tails: Tensor, more: float = 0.0) -> Self:
        after = type(self)(float(self.heads + heads), float(self.tails + tails))
        after.log_z = self.log_z + _log_beta(after) - _log_beta(self) + more
        return after

    def log_normalizer(self) -> Tensor:
        return self.log_z


def _log_beta(coin: Coin) -> Tensor:
    return coin.heads.lgamma() + coin.tails.lgamma() - (coin.heads + coin.tails).lgamma()


def tosses(seed: int, n: int = 60, bias: float = 0.3) -> Tensor:
    return (uniform(seed, n) < bias).to(REAL)


class Parabola(ProbabilisticModel):
    """A line in x and x^2, neither of which is centred."""

    joint = "p(w) p(y | w, x)"

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros(3, dtype=REAL), 5.0).to_event(1))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(w[0] + w[1] * x[:, 0] + w[2] * x[:, 0] ** 2, 1.0))


class Robust(ProbabilisticModel):
    """A mean, known up to Student noise."""

    joint = "p(mu) p(sigma) p(x | mu, sigma)"

    def model(self, n: int) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 10.0))
        sigma = pyro.sample("sigma", dist.LogNormal(real(0.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.StudentT(3.0, mu, sigma))


class Waits(ProbabilisticModel):
    """Exponential waiting times."""

    joint = "p(rate) p(x | rate)"

    def model(self, n: int) -> Tensor:
        rate = pyro.sample("rate", dist.Gamma(real(2.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Exponential(rate))


class Clumped(ProbabilisticModel):
    """Counts of a negative binomial."""

    joint = "p(size) p(odds) p(x | size, odds)"

    def model(self, n: int) -> Tensor:
        size = pyro.sample("size", dist.LogNormal(real(1.0), 1.0))
        odds = pyro.sample("odds", dist.Normal(real(0.0), 2.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.NegativeBinomial(size, logits=odds))


class Silent(ProbabilisticModel):
    """Counts with zeros of their own."""

    joint = "p(gate) p(rate) p(x | gate, rate)"

    def model(self, n: int) -> Tensor:
        gate = pyro.sample("gate", dist.Beta(real(1.0), 1.0))
        rate = pyro.sample("rate", dist.Gamma(real(2.0), 0.5))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.ZeroInflatedPoisson(rate, gate=gate))


class Rounds(ProbabilisticModel):
    """Successes of twenty trials."""

    joint = "p(bias) p(x | bias)"

    def model(self, n: int) -> Tensor:
        bias = pyro.sample("bias", dist.Beta(real(1.0), 1.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Binomial(20, bias))


# The climb --------------------------------------------------------------------------------------------------


@held_out("too few steps")
def few_steps_of_counts(seed: int) -> Posterior:
    return fit(Visits(), SVI(steps=40, learning_rate=0.01, seed=seed, **QUIET), **visits(seed))


@held_out("too few steps")
def few_steps_of_a_mixture(seed: int) -> Posterior:
    x = normal(seed, 100, 2) + 5 * (uniform(seed + 9, 100, 1) < 0.5)
    return fit(GaussianMixture(components=2, features=2), SVI(steps=40, seed=seed, **QUIET), x=x)


@held_out("learning rate too high")
def leaps_of_a_classifier(seed: int) -> Posterior:
    method = SVI(steps=800, learning_rate=2.0, schedule="constant", seed=seed, **QUIET)
    return fit(Choice(), method, **choices(seed))


@held_out("learning rate too low")
def creeping_counts(seed: int) -> Posterior:
    return fit(Visits(), SVI(steps=1000, learning_rate=1e-5, seed=seed, **QUIET), **visits(seed))


# The guide --------------------------------------------------------------------------------------------------


@held_out("correlations ignored")
def parabola(seed: int) -> Posterior:
    x = 4 * uniform(seed, 100, 1)
    method = SVI(steps=5000, learning_rate=0.03, guide="mean_field", seed=seed, **QUIET)
    return fit(Parabola(), method, x=x, y=1 + x[:, 0] - 0.5 * x[:, 0] ** 2 + normal(seed, 100))


class Towns(ProbabilisticModel):
    """Six towns of three rows each, whose means are drawn about a common one."""

    joint = "p(mu) p(tau) p(theta | mu, tau) p(y | theta, town)"

    def model(self, town: Tensor) -> Tensor:
        mu = pyro.sample("mu", dist.Normal(real(0.0), 5.0))
        tau = pyro.sample("tau", dist.HalfNormal(real(3.0)))
        theta = pyro.sample("theta", dist.Normal(mu, tau).expand([6]).to_event(1))
        with pyro.plate("data", len(town)):
            return pyro.sample("y", dist.Normal(theta[town.long()], 2.0))


@held_out("funnel")
def six_towns(seed: int) -> Posterior:
    town = torch.arange(18) % 6
    y = (0.3 * normal(seed, 6))[town] + 2 * normal(seed + 1, 18)
    return fit(
        Towns(), SVI(steps=4000, learning_rate=0.02, guide="mean_field", seed=seed, **QUIET), town=town, y=y
    )


@held_out("outside the support")
def normal_guide_of_a_bias(seed: int) -> Posterior:
    def guide() -> None:
        pyro.sample("bias", dist.Normal(real(0.1), 0.1))

    return fit(Coin(), Found(guide), x=tosses(seed, 20, 0.1))


class Squashed(dist.Normal):
    """A logit-normal by hand, without the Jacobian of the logistic function."""

    support = dist.constraints.unit_interval

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return super().rsample(torch.Size(sample_shape)).sigmoid()

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value.logit())

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Squashed":
        return Squashed(self.loc.expand(batch_shape), self.scale.expand(batch_shape))


@held_out("dropped Jacobian")
def squashed_guide(seed: int) -> Posterior:
    def guide() -> None:
        loc = pyro.param("loc", torch.zeros((), dtype=REAL))
        scale = pyro.param("scale", 0.5 * torch.ones((), dtype=REAL), dist.constraints.positive)
        pyro.sample("bias", Squashed(loc, scale, validate_args=False))

    method = SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET)
    return fit(Coin(), method, x=tosses(seed, 12, 0.25))


@held_out("sds too small")
def narrow_rate(seed: int) -> Posterior:
    def guide() -> None:
        loc = pyro.param("loc", torch.ones((), dtype=REAL))
        pyro.sample("rate", dist.LogNormal(loc, 0.02))

    method = SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET)
    return fit(Counts(), method, x=poisson(seed, torch.full((100,), 4.0, dtype=REAL)))


@held_out("sds too large")
def wide_bias(seed: int) -> Posterior:
    def guide() -> None:
        a = pyro.param("a", torch.tensor(0.3, dtype=REAL), dist.constraints.unit_interval)
        pyro.sample("bias", dist.Beta(12 * a, 12 * (1 - a)))

    method = SVI(steps=1500, learning_rate=0.02, guide=guide, seed=seed, **QUIET)
    return fit(Coin(), method, x=tosses(seed, 80, 0.35))


@held_out("means off")
def guide_beside(seed: int) -> Posterior:
    x = 1 + normal(seed, 30)
    loc, sd = 270 * x.mean() / 271, (271 / 9) ** -0.5

    def guide() -> None:
        pyro.sample("mu", dist.Normal(loc + 0.9 * sd, sd))

    return fit(Location(), Found(guide), x=x)


@held_out("guide too far")
def guide_elsewhere(seed: int) -> Posterior:
    def guide() -> None:
        pyro.sample("w", dist.Normal(real(4.0).expand(3), 0.05).to_event(1))

    x = normal(seed, 60, 3)
    return fit(Line(3), Found(guide), x=x, y=x.sum(1) + normal(seed + 1, 60))


# Updates and objectives that count wrongly ------------------------------------------------------------------


def rate_of(seed: int, prior: float, rows: float, batch_size: int = 0) -> Posterior:
    """A Gamma guide with prior and rows counted so many times."""
    x = poisson(seed, torch.full((100,), 5.0, dtype=REAL))

    def guide() -> None:
        pyro.sample("rate", dist.Gamma(1 + prior * (2.0 - 1) + rows * x.sum(), prior * 0.5 + rows * 100))

    return fit(Counts(), Found(guide, batch_size), x=x)


@held_out("unscaled minibatch")
def minibatch_of_counts(seed: int) -> Posterior:
    return rate_of(seed, 1.0, 0.2, batch_size=20)


@held_out("rows counted wrongly")
def counts_twice(seed: int) -> Posterior:
    return rate_of(seed, 1.0, 2.0)


class SharpCoin(Coin):
    """Counts its prior twice."""

    def updated(self, x: Tensor) -> Self:
        return self.counted(self.heads - 1 + x.sum(), self.tails - 1 + (1 - x).sum())


@held_out("prior counted twice")
def coin_with_prior_twice(seed: int) -> Posterior:
    return fit(SharpCoin(30.0, 10.0), x=tosses(seed, 60, 0.7))


class FlatCoin(Coin):
    """Forgets its prior."""

    def updated(self, x: Tensor) -> Self:
        return self.counted(1 - self.heads + x.sum(), 1 - self.tails + (1 - x).sum())


@held_out("prior left out")
def coin_without_prior(seed: int) -> Posterior:
    return fit(FlatCoin(20.0, 10.0), x=tosses(seed, 40, 0.6))


class HeadsOnly(Coin):
    """Forgets the tails."""

    def updated(self, x: Tensor) -> Self:
        return self.counted(x.sum(), 0 * x.sum())


@held_out("wrong update")
def coin_without_tails(seed: int) -> Posterior:
    return fit(HeadsOnly(), x=tosses(seed))


class Ordered(Coin):
    """Claims the evidence of the number of heads, not that of the tosses."""

    def updated(self, x: Tensor) -> Self:
        n, k = real(float(len(x))), x.sum()
        ways = (n + 1).lgamma() - (k + 1).lgamma() - (n - k + 1).lgamma()
        return self.counted(k, n - k, float(ways))


@held_out("wrong evidence")
def evidence_of_the_count(seed: int) -> Posterior:
    return fit(Ordered(), x=tosses(seed))


# The joint --------------------------------------------------------------------------------------------------


class Sampled(Visits):
    def model(self, x: Tensor) -> Tensor:
        w = self.weights()
        with pyro.plate("data", 2000, subsample_size=len(x)):
            return pyro.sample("y", dist.Poisson((w[0] + w[1] * x[:, 0]).exp()))


@held_out("wrong plate size")
def plate_of_two_thousand(seed: int) -> Posterior:
    return fit(Sampled(), SVI(seed=seed, **FULL), **visits(seed))


class Tempered(Choice):
    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(self.zero, 3.0).to_event(1))
        with pyro.plate("data", len(x)), poutine.scale(scale=5.0):
            return pyro.sample("y", dist.Bernoulli(logits=x @ w))


@held_out("scaled density")
def cold_posterior(seed: int) -> Posterior:
    return fit(Tempered(), SVI(seed=seed, **FULL), **choices(seed))


class Ridge(Visits):
    def weights(self) -> Tensor:
        w = super().weights()
        pyro.factor("ridge", dist.Normal(torch.zeros(2, dtype=REAL), 2.0).log_prob(w).sum())
        return w


@held_out("prior counted twice")
def ridge_beside_the_prior(seed: int) -> Posterior:
    return fit(Ridge(), SVI(seed=seed, **FULL), **visits(seed))


class Lasso(Visits):
    def weights(self) -> Tensor:
        w = super().weights()
        pyro.factor("lasso", -5 * w.abs().sum())
        return w


@held_out("factor in the model")
def lasso_beside_the_prior(seed: int) -> Posterior:
    return fit(Lasso(), SVI(seed=seed, **FULL), **visits(seed))


class PoissonLoss(dist.Poisson):
    """The loss of that name in torch, which leaves out log x!."""

    def log_prob(self, value: Tensor) -> Tensor:
        return value * self.rate.log() - self.rate

    def expand(self, batch_shape: Any, _instance: Any = None) -> "PoissonLoss":
        return PoissonLoss(self.rate.expand(batch_shape))


class ByLoss(ProbabilisticModel):
    joint = "p(rate) p(x | rate)"

    def model(self, n: int) -> Tensor:
        rate = pyro.sample("rate", dist.Gamma(real(2.0), 0.5))
        with pyro.plate("data", n):
            return pyro.sample("x", PoissonLoss(rate))


@held_out("unnormalised density")
def loss_as_likelihood(seed: int) -> Posterior:
    return fit(ByLoss(), SVI(seed=seed, **FULL), x=poisson(seed, torch.full((80,), 3.0, dtype=REAL)))


# Mixtures, codes, chains ------------------------------------------------------------------------------------


@held_out("stuck in a worse mode")
def one_start_of_coins(seed: int) -> Posterior:
    """Five patterns of eight flags; the worst of fifteen starts."""
    patterns = (uniform(77, 5, 8) < 0.5).to(REAL) * 0.84 + 0.08
    x = (uniform(seed, 250, 8) < patterns[(5 * uniform(seed + 1, 250)).long()]).to(REAL)
    model = BernoulliMixture(components=5, features=8)
    fits = [fit(model, EM(restarts=1, seed=50 * seed + i, steps=300), x=x) for i in range(15)]
    return min(fits, key=lambda p: float(p.elbo[-1]))


@held_out("empty component")
def eight_components_of_two(seed: int) -> Posterior:
    x = normal(seed, 120, 2) + 6 * (uniform(seed + 9, 120, 1) < 0.5)
    model = GaussianMixture(components=8, features=2, covariance="spherical", concentration=0.02)
    return fit(model, VariationalBayes(seed=seed), x=x)


@held_out("singular component")
def component_of_copies(seed: int) -> Posterior:
    x = normal(seed, 40, 2)
    x[::15] = torch.tensor([25.0, -25.0], dtype=REAL)
    model = GaussianMixture(components=3, features=2, covariance="spherical")
    return fit(model, EM(seed=seed), x=x)


@held_out("collapsed code")
def heavy_kl_of_numbers(seed: int) -> Posterior:
    x = normal(seed, 250, 2) @ normal(9, 2, 6) + 0.5 * normal(seed + 1, 250, 6)
    x = ((x - x.mean(0)) / x.std(0)).sigmoid().bernoulli(generator=generator(seed))
    return fit(VAE(6, 3, hidden=(24,)), SVI(steps=1000, beta=lambda done: 20 * done, seed=seed, **QUIET), x=x)


@held_out("label switching")
def chains_of_counts(seed: int) -> Posterior:
    x = torch.cat([poisson(seed, torch.full((15, 1), r, dtype=REAL)) for r in (2.0, 15.0)])
    method = NUTS(draws=80, warmup=80, chains=3, relabel=False, seed=seed, progress=False)
    posterior = fit(PoissonMixture(components=2, features=1), method, x=x)
    for value in posterior.guide.values.values():
        value[1] = value[1].flip(1)  # as when this chain had begun at the other naming
    return posterior


@held_out("chains disagree")
def chain_that_hangs(seed: int) -> Posterior:
    method = NUTS(draws=200, warmup=150, chains=3, seed=seed, progress=False)
    posterior = fit(Outcome(), method, x=2 + normal(seed, 40))
    for value in posterior.guide.values.values():
        value[2] = value[2, :1] * 1.5
    return posterior


@held_out("too few draws")
def fifteen_draws(seed: int) -> Posterior:
    return fit(Visits(), NUTS(draws=15, warmup=40, chains=2, seed=seed, progress=False), **visits(seed, 50))


class Hyperbola(ProbabilisticModel):
    """The product of two numbers, measured well: a ridge as narrow as a knife."""

    joint = "p(a) p(b) p(x | a, b)"

    def model(self, n: int) -> Tensor:
        a = pyro.sample("a", dist.Normal(real(0.0), 3.0))
        b = pyro.sample("b", dist.Normal(real(0.0), 3.0))
        with pyro.plate("data", n):
            return pyro.sample("x", dist.Normal(a * b, 0.02))


@held_out("divergences")
def knife(seed: int) -> Posterior:
    method = NUTS(draws=80, warmup=60, chains=2, seed=seed, progress=False)
    return fit(Hyperbola(), method, x=1 + 0.02 * normal(seed, 10))


# The model and the data -------------------------------------------------------------------------------------


@held_out("variance for sd")
def sd_of_an_sd(seed: int) -> Posterior:
    x = normal(seed, 150, 2)
    y = x @ torch.tensor([2.0, 1.0], dtype=REAL) + 6 * normal(seed + 1, 150)
    return fit(Line(2, noise=6**0.5), SVI(seed=seed, **FULL), x=x, y=y)


@held_out("wrong scale")
def noise_of_another_unit(seed: int) -> Posterior:
    x = normal(seed, 150, 2)
    y = x @ torch.tensor([2.0, 1.0], dtype=REAL) + 0.45 * normal(seed + 1, 150)
    return fit(Line(2, noise=1.0), SVI(seed=seed, **FULL), x=x, y=y)


@held_out("prior in conflict")
def sure_of_a_fair_coin(seed: int) -> Posterior:
    return fit(Coin(60.0, 60.0), x=tosses(seed, 80, 0.95))


@held_out("prior in conflict")
def sure_of_few_counts(seed: int) -> Posterior:
    class Sure(Counts):
        def model(self, n: int) -> Tensor:
            rate = pyro.sample("rate", dist.Gamma(real(200.0), 100.0))
            with pyro.plate("data", n):
                return pyro.sample("x", dist.Poisson(rate))

    x = poisson(seed, torch.full((60,), 6.0, dtype=REAL))
    return fit(Sure(), SVI(seed=seed, **FULL), x=x)


@held_out("wrong location")
def choice_without_intercept(seed: int) -> Posterior:
    return fit(Choice(), SVI(seed=seed, **FULL), **choices(seed, 250, intercept=-1.5))


@held_out("heavy tails")
def student_noise(seed: int) -> Posterior:
    x = normal(seed, 250, 2)
    return fit(LinearRegression(features=2), x=x, y=x[:, 0] + student(seed, 2.0, 250))


@held_out("skewed")
def log_normal_costs(seed: int) -> Posterior:
    x = normal(seed, 200, 1)
    return fit(LinearRegression(features=1), x=x, y=0.3 * x[:, 0] + (0.7 * normal(seed + 1, 200)).exp())


@held_out("overdispersed")
def visits_of_families(seed: int) -> Posterior:
    x = normal(seed, 200, 1)
    rate = (1.0 + 0.5 * x[:, 0]).exp() * gamma(seed, torch.full((200,), 1.5, dtype=REAL)) / 1.5
    return fit(Visits(), SVI(seed=seed, **FULL), x=x, y=poisson(seed + 1, rate))


@held_out("overdispersed")
def rounds_of_players(seed: int) -> Posterior:
    a, b = (gamma(seed + i, torch.full((120,), 3.0, dtype=REAL)) for i in (0, 50))
    x = torch.binomial(torch.full((120,), 20.0, dtype=REAL), a / (a + b), generator=generator(seed))
    return fit(Rounds(), SVI(seed=seed, **FULL), x=x)


@held_out("too many zeros")
def zeros_of_two_classes(seed: int) -> Posterior:
    y = (uniform(seed, 200) < 0.5).long()
    x = poisson(seed, torch.tensor([[4.0], [9.0]], dtype=REAL)[y])
    x[uniform(seed + 5, 200) < 0.2] = 0
    return fit(PoissonNaiveBayes(classes=2, features=1), x=x, y=y)


@held_out("dependent rows")
def rows_of_wards(seed: int) -> Posterior:
    ward = torch.arange(160) // 8
    x = normal(seed, 160, 2)
    y = x[:, 1] + normal(seed + 1, 20)[ward] + 0.8 * normal(seed + 2, 160)
    return fit(LinearRegression(features=2), x=x, y=y)


@held_out("dependent columns")
def flags_told_twice(seed: int) -> Posterior:
    y = (uniform(seed + 9, 200) < 0.5).long()
    x = (uniform(seed, 200, 4) < (0.3 + 0.4 * y[:, None])).to(REAL)
    x[:, 3] = torch.where(uniform(seed + 2, 200) < 0.9, x[:, 2], 1 - x[:, 2])
    return fit(BernoulliNaiveBayes(classes=2, features=4), x=x, y=y)


@held_out("dependent columns")
def one_factor_of_three(seed: int) -> Posterior:
    x = normal(seed, 250, 3) @ normal(5, 3, 6) + 0.3 * normal(seed + 1, 250, 6)
    return fit(FactorAnalysis(features=6, latent=1), x=x)


# Sound fits -------------------------------------------------------------------------------------------------


@held_out()
def svi_of_visits(seed: int) -> Posterior:
    return fit(Visits(), SVI(seed=seed, **FULL), **visits(seed))


@held_out()
def exact_coin(seed: int) -> Posterior:
    return fit(Coin(), x=tosses(seed))


@held_out()
def laplace_of_student_noise(seed: int) -> Posterior:
    return fit(Robust(), Laplace(), x=1 + 2 * student(seed, 3.0, 200))


@held_out()
def svi_of_waits(seed: int) -> Posterior:
    method = SVI(steps=2000, learning_rate=0.03, seed=seed, **QUIET)
    return fit(Waits(), method, x=-2 * uniform(seed, 100).log())


@held_out()
def svi_of_clumped_counts(seed: int) -> Posterior:
    rate = 4 * gamma(seed, torch.full((250,), 2.0, dtype=REAL)) / 2
    return fit(Clumped(), SVI(seed=seed, **FULL), x=poisson(seed + 1, rate))


@held_out()
def svi_of_silent_counts(seed: int) -> Posterior:
    x = poisson(seed, torch.full((200,), 5.0, dtype=REAL))
    x[uniform(seed + 5, 200) < 0.3] = 0
    return fit(Silent(), SVI(seed=seed, **FULL), x=x)


@held_out()
def svi_of_rounds(seed: int) -> Posterior:
    size = torch.full((100,), 20.0, dtype=REAL)
    return fit(
        Rounds(), SVI(seed=seed, **FULL), x=torch.binomial(size, 0 * size + 0.3, generator=generator(seed))
    )


@held_out()
def svi_of_choices(seed: int) -> Posterior:
    method = SVI(steps=3000, learning_rate=0.02, batch_size=50, guide="full_rank", seed=seed, **QUIET)
    return fit(Choice(), method, **choices(seed))


@held_out()
def lagged_rows(seed: int) -> Posterior:
    """A walk, each row of which is given the one before: then rows are independent."""
    noise, x = normal(seed, 201), torch.zeros(201, dtype=REAL)
    for i in range(1, 201):
        x[i] = 0.8 * x[i - 1] + noise[i]
    return fit(LinearRegression(features=1), x=x[:-1, None], y=x[1:])


@held_out()
def eight_rows(seed: int) -> Posterior:
    x = normal(seed, 8, 1)
    return fit(LinearRegression(features=1), x=x, y=1 + 2 * x[:, 0] + 0.5 * normal(seed + 1, 8))


@held_out()
def many_rows(seed: int) -> Posterior:
    y = (3 * uniform(seed + 9, 4000)).long()
    x = normal(seed, 4000, 3) * (1 + 0.5 * y[:, None]) + 2 * y[:, None]
    return fit(GaussianNaiveBayes(classes=3, features=3), x=x, y=y)


@held_out()
def rows_with_gaps(seed: int) -> Posterior:
    y = (uniform(seed + 9, 200) < 0.5).long()
    x = normal(seed, 200, 3) + 2 * y[:, None]
    x[uniform(seed + 2, 200, 3) < 0.1] = float("nan")
    return fit(GaussianNaiveBayes(classes=2, features=3), x=x, y=y)


@held_out()
def likely_discriminant(seed: int) -> Posterior:
    y = (3 * uniform(seed + 9, 240)).long()
    x = normal(seed, 240, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.8]], dtype=REAL) + 2 * y[:, None]
    return fit(QuadraticDiscriminantAnalysis(classes=3, features=2), MaximumLikelihood(), x=x, y=y)


@held_out()
def regression_turned(seed: int) -> Posterior:
    y = normal(seed, 150)
    x = y[:, None] * torch.tensor([1.0, -0.5], dtype=REAL) + 0.7 * normal(seed + 1, 150, 2)
    return fit(GaussianRegression(features=2), x=x, y=y)


@held_out()
def map_of_three_classes(seed: int) -> Posterior:
    x = normal(seed, 240, 2)
    logits = torch.stack([0 * x[:, 0], x[:, 0], x[:, 1]], 1)
    y = torch.multinomial(logits.softmax(1), 1, generator=generator(seed))[:, 0]
    return fit(LogisticRegression(classes=3, features=2), MAP(), x=x, y=y)


@held_out()
def em_of_three_tied_groups(seed: int) -> Posterior:
    z = (3 * uniform(seed + 9, 240)).long()
    x = torch.tensor([[0.0, 0.0], [7.0, 0.0], [0.0, 7.0]], dtype=REAL)[z] + normal(seed, 240, 2)
    return fit(GaussianMixture(components=3, features=2, covariance="tied"), EM(seed=seed), x=x)


@held_out()
def vb_of_flags(seed: int) -> Posterior:
    z = (uniform(seed + 9, 240) < 0.4).long()
    x = (uniform(seed, 240, 6) < torch.tensor([[0.1], [0.85]], dtype=REAL)[z]).to(REAL)
    return fit(BernoulliMixture(components=2, features=6), VariationalBayes(seed=seed), x=x)


@held_out()
def two_factors(seed: int) -> Posterior:
    x = normal(seed, 300, 2) @ normal(5, 2, 6) + 0.5 * normal(seed + 1, 300, 6)
    return fit(PPCA(features=6, latent=2), x=x)


@held_out()
def chains_of_visits(seed: int) -> Posterior:
    return fit(Visits(), NUTS(draws=250, warmup=150, chains=2, seed=seed, progress=False), **visits(seed, 60))
