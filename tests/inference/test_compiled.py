"""The step of SVI gives the same numbers as it is written, replayed from a graph, and compiled."""

import os
import shutil
import warnings

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.distributions import constraints

from ppl_gen import SVI, ProbabilisticModel, fit, models
from ppl_gen.distributions import Gaussian
from ppl_gen.errors import NonFinite, NotCompiled, Unanswerable, Untraceable
from ppl_gen.inference import steps
from ppl_gen.models import (
    PPCA,
    VAE,
    Autoencoder,
    BernoulliMixture,
    BernoulliNaiveBayes,
    CategoricalMixture,
    CategoricalNaiveBayes,
    ConditionalVAE,
    DenoisingAutoencoder,
    DiscretisedRegression,
    FactorAnalysis,
    FullGaussianMixture,
    GaussianMixture,
    GaussianNaiveBayes,
    GaussianRegression,
    KernelNaiveBayes,
    LinearDiscriminantAnalysis,
    LinearRegression,
    LogisticRegression,
    MixedMixture,
    MixedNaiveBayes,
    MultinomialNaiveBayes,
    PoissonMixture,
    PoissonNaiveBayes,
    QuadraticDiscriminantAnalysis,
    SemiSupervisedVAE,
    SharedGaussianNaiveBayes,
    SphericalGaussianMixture,
    SphericalNaiveBayes,
    TiedGaussianMixture,
)
from tests.thinned import thinned

needs_a_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++")),
    reason="there is no C++ compiler on this machine",
)
N = 24
RNG = torch.Generator().manual_seed(0)
X = torch.randn(N, 3, generator=RNG, dtype=torch.float64)
Y = torch.arange(N) % 3
BITS = (X > 0).double()
COUNTS = torch.poisson(3.0 * torch.ones(N, 3), generator=RNG).double()
CODES = torch.randint(0, 3, (N, 3), generator=RNG)
GAPS = torch.where(torch.rand(N, 3, generator=RNG) < 0.3, torch.nan, X)
MIXED = torch.stack([X[:, 0], BITS[:, 1], COUNTS[:, 2]], 1)
COLUMNS = ["gaussian", "bernoulli", "poisson"]
SOME = torch.where(torch.arange(N) % 4 == 0, torch.nan, Y.double())


class Scaled(ProbabilisticModel):
    """A model with a parameter of its own, float32, and a number for all rows."""

    joint = "p(mu) p(x | mu)"

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.loc = nn.Parameter(torch.tensor(0.5))

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 3.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, self.log_scale.exp()))

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, 0.3))


def written(n):
    """A guide as Pyro's users write it."""
    q = pyro.param("q", torch.tensor(0.3))
    sd = pyro.param("sd", torch.tensor(0.5), constraint=constraints.positive)
    pyro.sample("mu", dist.Normal(q, sd))


NB = lambda cls, **sizes: cls(classes=3, **({"features": 3} | sizes))  # noqa: E731
CASES = {
    "mixture": (GaussianMixture(components=2, features=3), {}, {"x": X}),
    "mixture, full rank": (GaussianMixture(2, 3), {"guide": "full_rank"}, {"x": X}),
    "mixture, minibatches": (GaussianMixture(2, 3), {"batch_size": 7}, {"x": X}),
    "mixture, gaps": (GaussianMixture(2, 3), {"batch_size": 7}, {"x": GAPS}),
    "mixture, particles": (GaussianMixture(2, 3), {"particles": 3}, {"x": X}),
    "Gaussian naive Bayes": (NB(GaussianNaiveBayes), {}, {"x": X, "y": Y}),
    "Gaussian naive Bayes, labels hidden": (NB(GaussianNaiveBayes), {}, {"x": GAPS}),
    "shared naive Bayes": (NB(SharedGaussianNaiveBayes), {}, {"x": X, "y": Y}),
    "Bernoulli naive Bayes": (NB(BernoulliNaiveBayes), {}, {"x": BITS, "y": Y}),
    "Poisson naive Bayes": (NB(PoissonNaiveBayes), {}, {"x": COUNTS, "y": Y}),
    "multinomial naive Bayes": (NB(MultinomialNaiveBayes), {}, {"x": COUNTS, "y": Y}),
    "categorical naive Bayes": (CategoricalNaiveBayes(3, 3, levels=3), {}, {"x": CODES, "y": Y}),
    "mixed naive Bayes": (
        MixedNaiveBayes(3, columns=COLUMNS), {}, {"x": MIXED, "y": Y},
    ),
    "spherical naive Bayes": (NB(SphericalNaiveBayes), {}, {"x": X, "y": Y}),
    "spherical mixture": (SphericalGaussianMixture(2, 3), {}, {"x": X}),
    "full mixture": (FullGaussianMixture(2, 3), {}, {"x": X}),
    "tied mixture": (TiedGaussianMixture(2, 3), {}, {"x": X}),
    "Bernoulli mixture": (BernoulliMixture(2, 3), {}, {"x": BITS}),
    "Poisson mixture": (PoissonMixture(2, 3), {}, {"x": COUNTS}),
    "categorical mixture": (CategoricalMixture(2, 3, levels=3), {}, {"x": CODES}),
    "mixed mixture": (MixedMixture(2, columns=COLUMNS), {}, {"x": MIXED}),
    "discretised regression": (DiscretisedRegression(3, 3), {}, {"x": X, "y": X.sum(1)}),
    "PPCA": (PPCA(3, 2), {}, {"x": X}),
    "factor analysis": (FactorAnalysis(3, 2), {"batch_size": 7}, {"x": X}),
    "LDA": (NB(LinearDiscriminantAnalysis), {}, {"x": X, "y": Y}),
    "QDA": (NB(QuadraticDiscriminantAnalysis), {}, {"x": X, "y": Y}),
    "logistic regression": (NB(LogisticRegression), {"batch_size": 8}, {"x": X, "y": Y}),
    "linear regression": (LinearRegression(features=3), {}, {"x": X, "y": X.sum(1)}),
    "Gaussian regression": (GaussianRegression(features=3), {}, {"x": X, "y": X.sum(1)}),
    "VAE": (VAE(features=3, latent=2, hidden=(8,)), {"batch_size": 7}, {"x": BITS}),
    "VAE, dropout": (VAE(3, 2, hidden=(8,), dropout=0.3), {"batch_size": 7}, {"x": BITS}),
    "VAE, Gaussian": (VAE(3, 2, Gaussian(), hidden=(8,)), {"batch_size": 8}, {"x": X}),
    "conditional VAE": (NB(ConditionalVAE, latent=2, hidden=(8,)), {"batch_size": 7}, {"x": BITS, "y": Y}),
    "semi-supervised VAE": (
        NB(SemiSupervisedVAE, latent=2, hidden=(8,)), {"batch_size": 7}, {"x": BITS, "y": SOME},
    ),
    "autoencoder": (Autoencoder(3, 2, hidden=(8,)), {}, {"x": X, "noisy": X}),
    "denoising autoencoder": (
        DenoisingAutoencoder(3, 2, hidden=(8,)), {"batch_size": 7}, {"x": X, "noisy": X + 0.1},
    ),
    "a parameter of the model": (Scaled(), {"clip": 50.0}, {"x": X[:, 0]}),
    "a function as guide": (Scaled(), {"guide": written}, {"x": X[:, 0]}),
    "AdamW": (Scaled(), {"optimizer": torch.optim.AdamW, "clip": 0.5}, {"x": X[:, 0]}),
    "RMSprop": (Scaled(), {"optimizer": torch.optim.RMSprop}, {"x": X[:, 0]}),
}  # fmt: skip


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that were captured."""
    found = []

    def capture(*given):
        found.append(real(*given))
        return found[-1]

    real = steps.capture
    monkeypatch.setattr(steps, "capture", capture)
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 10)
    return found


def same(a, b, rtol=0.0):
    torch.testing.assert_close(a.elbo, b.elbo, rtol=rtol, atol=0.0)
    for u, v in zip(a.model.parameters(), b.model.parameters(), strict=True):
        # float32 parameters may end near zero, after steps whose sum rounds at 1e-7
        near_zero = 1e-7 if rtol and v.dtype == torch.float32 else 0.0
        torch.testing.assert_close(u, v, rtol=rtol, atol=rtol * float(v.detach().abs().max()) + near_zero)
    if isinstance(a.guide, nn.Module):
        for u, v in zip(a.guide.parameters(), b.guide.parameters(), strict=True):
            torch.testing.assert_close(u, v, rtol=rtol, atol=rtol * float(v.detach().abs().max()))


def fits(case, count, **how):
    model, settings, data = CASES[case]
    method = SVI(steps=count, progress=False, seed=3, **settings, **how)
    return fit(model, method, **data)


def test_every_model_that_svi_trains_is_among_the_cases():
    tried = {type(model) for model, _, _ in CASES.values()}
    assert {getattr(models, name) for name in models.__all__} - tried == {KernelNaiveBayes}
    with pytest.raises(Unanswerable, match="use CrossValidation"):
        fit(NB(KernelNaiveBayes), SVI(steps=1), x=X, y=Y)


@pytest.mark.parametrize("case", thinned(CASES, 8))
def test_a_replayed_graph_is_the_program_to_the_last_digits(case, graphs, monkeypatch):
    replayed = fits(case, 12, compile=False)
    assert len(graphs) == 1
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 13)
    single = any(w.dtype == torch.float32 for w in replayed.model.parameters())
    same(replayed, fits(case, 12, compile=False), rtol=1e-5 if single else 1e-12)
    assert len(graphs) == 1  # the second ran the programs themselves


def agree_when_compiled(case, number=50):
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotCompiled)
        fast = fits(case, number, compile=True)
    same(fast, fits(case, number, compile=False), rtol=1e-5)


@needs_a_compiler
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_compiled_step_is_the_program_to_rounding(case):
    agree_when_compiled(case)


@pytest.mark.parametrize(
    "case",
    [c if c in ("mixture", "Bernoulli mixture") else pytest.param(c, marks=pytest.mark.slow) for c in CASES],
)
def test_the_whole_step_is_captured(case, monkeypatch):
    """What the compiler is given, its update included; here it is run as it is."""
    monkeypatch.setattr(steps, "compiled", lambda graph, inputs: graph)
    agree_when_compiled(case, 6)


@needs_a_compiler
def test_a_small_compiled_step_is_the_program_to_rounding():
    agree_when_compiled("a parameter of the model")


class Poisoned(ProbabilisticModel):
    """Regression through the origin that breaks on rows with x = 99."""

    joint = "p(w) p(y | x, w)"

    def __init__(self):
        super().__init__()
        self.features = 1
        self.loc = nn.Parameter(torch.tensor(0.5))

    def model(self, x):
        w = pyro.sample("w", dist.Normal(torch.zeros(()), 3.0))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(w * torch.where(x[:, 0] == 99, torch.nan, x[:, 0]), 1.0))

    def guide(self):
        pyro.sample("w", dist.Normal(self.loc, 0.3))


@pytest.mark.parametrize("how", ["written", "replayed", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_bad_batch_stops_the_fit_at_the_parameters_before_it(how, monkeypatch):
    if how == "compiled" and needs_a_compiler.args[0]:
        pytest.skip(needs_a_compiler.kwargs["reason"])
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 1 if how == "replayed" else 1000)
    x = torch.linspace(-1, 1, 60)[:, None].clone()
    y = 2 * x[:, 0]
    for row in range(60):  # a row that the first epoch meets late
        x[row] = 99.0
        settings = {"batch_size": 4, "schedule": "constant", "progress": False, "compile": how == "compiled"}
        with pytest.raises(NonFinite, match=rf"log p\(y \| …\) of row {row} is not finite") as caught:
            fit(Poisoned(), SVI(steps=40, **settings), x=x, y=y)
        if caught.value.step > 8:
            break
        x[row] = row / 30 - 1
    error = caught.value
    assert (error.site, len(error.posterior.elbo)) == ("y", error.step)
    until = fit(Poisoned(), SVI(steps=error.step, **settings), x=x, y=y)
    same(error.posterior, until, rtol=1e-5)
    assert float(until.model.loc.detach()) != 0.5  # it had learned something by then


class Branches(Scaled):
    """Its program looks at a number that it drew."""

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 3.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu if mu > 0 else 2 * mu, self.log_scale.exp()))


class Counts(Scaled):
    """Its program counts its runs."""

    def model(self, n):
        self.__dict__["runs"] = self.__dict__.get("runs", 0) + 1
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 3.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu / self.__dict__["runs"], self.log_scale.exp()))


class Normed(Scaled):
    """It keeps a running mean of what it drew."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 3.0))
        self.seen.mul_(0.9).add_(0.1 * mu.detach())
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu - self.seen, self.log_scale.exp()))


@pytest.mark.parametrize(
    ("model", "reason"),
    [(Branches, "decides by the values"), (Counts, "differs from step to step"), (Normed, "in place")],
)
def test_what_no_graph_can_hold_runs_as_written_and_says_so(model, reason, monkeypatch):
    data = {"x": X[:, 0]}
    with pytest.warns(NotCompiled, match=reason):
        asked = fit(model(), SVI(steps=20, compile=True, progress=False), **data)
    assert reason in str(asked)
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 1)
    quiet = fit(model(), SVI(steps=20, compile=False, progress=False), **data)
    assert not quiet.note
    if model is not Counts:  # the attempt counted, too
        same(asked, quiet)


def test_without_a_compiler_it_replays_and_says_so(monkeypatch):
    def compiled(*_):
        raise Untraceable("there is no C++ compiler")

    monkeypatch.setattr(steps, "compiled", compiled)
    with pytest.warns(NotCompiled, match="there is no C"):
        asked = fits("a parameter of the model", 20, compile=True)
    same(asked, fits("a parameter of the model", 20, compile=False), rtol=1e-5)


def test_auto_decides_by_the_work_ahead(monkeypatch, graphs):
    calls = []

    def compiled(graph, _):
        calls.append(graph)
        raise Untraceable("not in this test")

    monkeypatch.setattr(steps, "compiled", compiled)
    assert not fits("mixture", 9).note
    assert not graphs  # too few steps even for a graph
    assert not fits("mixture", 20).note
    assert (len(graphs), len(calls)) == (1, 0)
    monkeypatch.setattr(steps, "WORTH_A_COMPILER", 1e-3)
    assert "not in this test" in fits("mixture", 20).note  # no warning: nobody asked for it
    assert len(calls) == 1


@needs_a_compiler
def test_compiling_leaves_the_world_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    before = (dict(os.environ), list(warnings.filters), torch.get_rng_state(), torch.is_grad_enabled())
    data = {"x": X[:17, 0]}  # of no other test's shape, so that no earlier one has compiled it
    with torch.no_grad():
        posterior = fit(Scaled(), SVI(steps=50, compile=True, progress=False), **data)
    after = (dict(os.environ), list(warnings.filters), torch.get_rng_state(), torch.is_grad_enabled())
    assert before[0] == after[0]
    assert before[1] == after[1]
    assert torch.equal(before[2], after[2])
    assert before[3] == after[3]
    assert any(tmp_path.rglob("*.so"))  # where the user wants the cache
    same(posterior, fit(Scaled(), SVI(steps=50, compile=False, progress=False), **data), rtol=1e-5)


@pytest.mark.slow
def test_memory_does_not_grow(graphs):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not os.path.exists("/proc/self/statm"):
        pytest.skip("this system does not tell")
    for how in ("written", "replayed"):
        seen = []

        def watch(fraction, seen=seen):
            seen.append(resident() if len(seen) % 100 == 0 else 0)
            return 1.0

        steps.WORTH_A_GRAPH = 10**6 if how == "written" else 10
        model, _, data = CASES["a parameter of the model"]
        fit(model, SVI(steps=10_000, schedule=watch, batch_size=5, progress=False), **data)
        assert max(seen[5000:]) - max(seen[1000:3000]) < 2**20  # a tensor a step would be over two


def test_the_longest_gradient_is_clipped():
    data = {"x": 10.0 + X[:, 0]}
    lr = 1e-4
    plain, held = (
        fit(Scaled(), SVI(steps=1, optimizer=torch.optim.SGD, learning_rate=lr, clip=clip), **data)
        for clip in (None, 0.25)
    )
    start = [w.detach().clone() for w in Scaled().parameters()]
    moves = [
        torch.stack([v.detach() - w for v, w in zip(p.model.parameters(), start, strict=True)]).norm()
        for p in (plain, held)
    ]
    assert moves[0] > 10 * lr
    assert moves[1].item() == pytest.approx(0.25 * lr, rel=1e-2)  # float32
