"""Simulation-based calibration: right posteriors pass, wrong ones are named, whatever happens on the way."""

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy.stats import binom, ks_2samp

from benchmarks.power import Perturbed, X, line
from ppl_gen import (
    EM,
    MAP,
    NUTS,
    SVI,
    CrossValidation,
    Exact,
    MaximumLikelihood,
    ProbabilisticModel,
    VariationalBayes,
    fit,
)
from ppl_gen.diagnostics import simulation_based_calibration
from ppl_gen.diagnostics.simulation.quantities import at_once, log_likelihood, posterior_draws, thinned
from ppl_gen.errors import DataError, Interrupted, Unanswerable
from ppl_gen.inference.nuts import Draws
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    VAE,
    BernoulliNaiveBayes,
    GaussianMixture,
    GaussianNaiveBayes,
    LinearRegression,
    LogisticRegression,
    PoissonMixture,
)

FALSE_ALARM = 1e-6


def calibrated(method=None, simulations=20, **options):
    return simulation_based_calibration(line(), method, simulations=simulations, x=X, **options)


@dataclass(frozen=True)
class Trouble(Perturbed):
    """A method that fails, warns, interrupts or kills where the first target is above a limit."""

    what: str = "raise"
    limit: float = 1.0

    def fit(self, start, guide, data, prior=None):
        if data.observed["y"][0] > self.limit:
            if self.what == "raise":
                raise ArithmeticError("the first target is too large")
            if self.what == "interrupt":
                signal.raise_signal(signal.SIGINT)
            if self.what == "die":
                os._exit(1)
        return super().fit(start, guide, data, prior)


@dataclass(frozen=True)
class Prior:
    """A method that does not look at the data: draws of the prior."""

    seed: int = 0

    def fit(self, start, guide, data, prior=None):
        from benchmarks.power import latents
        from ppl_gen.inference.method import Fitted

        with isolated(self.seed):
            drawn = at_once(lambda _: latents(start, data), 200)
        return Fitted(start, Draws({k: v[None] for k, v in drawn.items()}), torch.zeros(0))


# What is found ----------------------------------------------------------------------------------------------


def test_the_exact_posterior_passes():
    own = {"sign": lambda z, d: z["w"][1] > 0, "steps": _steps}  # discrete: draws tie with the truth
    found = calibrated(simulations=60, false_alarm=FALSE_ALARM, quantities=own)
    assert found.passed
    assert found.verdict().startswith("no fault found: the posteriors by Exact")
    assert found.names == ("tau", "w[0]", "w[1]", "log likelihood", "sign", "steps")
    assert found.u.shape == (60, 6)
    assert (found.equal[:, 4:].max(0) > 10).all()
    few = {name: getattr(found, name)[:10] for name in ("u", "z", "below", "equal", "draws", "index")}
    assert "That is little" in replace(found, **few).verdict()


def _steps(latents, data):
    assert data["y"].shape == (8,)
    return latents["w"].round().sum()


@pytest.mark.parametrize(("fault", "words"), [("spread", "sds too small: "), ("bias", "too low: ")])
def test_wrong_posteriors_are_named_with_the_size_of_the_fault(fault, words):
    """At false alarms of 1e-6 faults of such size are missed with less than 1e-6 in turn."""
    method = Perturbed(sd=0.3) if fault == "spread" else Perturbed(bias=-1.5, only="w")
    found = calibrated(method, 60, false_alarm=FALSE_ALARM)
    assert not found.passed
    assert words in found.verdict()
    for name in ("w[0]", "w[1]"):
        f = found.findings[name]
        assert f.faults == (fault,)
        if fault == "spread":
            assert f.ratio == pytest.approx(method.sd, rel=0.6)  # 6 standard errors of a sd of 60
        else:
            assert f.shift == pytest.approx(-method.bias, abs=6 / 60**0.5)
    location = {"spread": "", "bias": "too low"}[fault]
    assert set(found.vsbc().location[["w[0]", "w[1]"]]) == {location}
    held = found.coverage([0.8]).set_index("quantity")
    assert held.high["w[0]"] < 0.8


def test_draws_of_the_prior_have_right_ranks_and_a_wrong_log_likelihood():
    found = calibrated(Prior(), 60, false_alarm=FALSE_ALARM)
    assert all(not found.findings[name].faults for name in ("tau", "w[0]", "w[1]"))
    assert found.findings["log likelihood"].faults[0] == "bias"
    assert "draws fit the data worse than the truth" in found.verdict()


# What is ranked ---------------------------------------------------------------------------------------------


def test_components_without_names_are_ranked_by_size():
    """Draws whose components are permuted at random have the same ranks."""
    mixture = GaussianMixture(components=3, features=1)
    options: Any = {"n": 12, "simulations": 6, "draws": 20}
    plain = simulation_based_calibration(mixture, Permuted(False), **options)
    permuted = simulation_based_calibration(mixture, Permuted(True), **options)
    assert np.array_equal(plain.below, permuted.below)
    assert "mu[2, 0]" in plain.names
    assert not any(name.startswith("z") for name in plain.names)
    known = simulation_based_calibration(mixture, simulations=4, n=12, observed=("x", "z"))  # exact
    assert known.method.startswith("Exact")


@dataclass(frozen=True)
class Permuted:
    shuffled: bool
    seed: int = 0

    def fit(self, start, guide, data, prior=None):
        from ppl_gen.inference.method import Fitted

        names = ("pi", "tau", "mu")
        with isolated(self.seed):
            found = [pyro.poutine.trace(start.model).get_trace(n=2).nodes for _ in range(100)]
            orders = torch.stack([torch.randperm(3) for _ in found])
        if not self.shuffled:
            orders = torch.arange(3).expand(100, 3)
        drawn = {
            k: torch.stack([f[k]["value"] for f in found])[torch.arange(100)[:, None], orders] for k in names
        }
        return Fitted(start, Draws({k: v[None] for k, v in drawn.items()}), torch.zeros(0))


def test_what_repeats_another_scalar_is_left_out():
    bernoulli = BernoulliNaiveBayes(classes=2, features=1)
    found = simulation_based_calibration(bernoulli, simulations=4, n=5)
    assert found.names == ("pi[0]", "theta[0, 0]", "theta[1, 0]", "log likelihood")  # pi[1] is 1 - pi[0]


class Schools(ProbabilisticModel):
    joint = "p(mu) p(theta | mu) p(y | theta, sigma)"

    def model(self, sigma):
        mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 1.0))
        with pyro.plate("data", len(sigma)):
            theta = pyro.sample("theta", dist.Normal(mu, 1.0))
            return pyro.sample("y", dist.Normal(theta, sigma))


def test_latents_of_rows_are_ranked_too():
    sigma = torch.tensor([0.5, 1.0])
    with pytest.raises(DataError, match=r"observed: .* theta may be hidden or not. Say observed=\('y',\)"):
        simulation_based_calibration(Schools(), SVI(steps=2), sigma=sigma)
    found = simulation_based_calibration(
        Schools(), SVI(steps=2, compile=False), sigma=sigma, observed=("y",), simulations=3, draws=10
    )
    assert found.names == ("mu", "theta[0]", "theta[1]", "log likelihood")
    truth, data = found.simulated(0)
    expected = dist.Normal(truth["theta"], sigma).log_prob(data["y"]).sum()
    from ppl_gen.inputs import admit

    with isolated(0):
        admitted = admit(Schools(), {"sigma": sigma, **data})
        assert log_likelihood(Schools(), {k: v[None] for k, v in truth.items()}, admitted)[0] == expected


@pytest.mark.parametrize("model", [line(), GaussianNaiveBayes(2, 2), PoissonMixture(2, 1)], ids=repr)
def test_vectorised_draws_and_likelihoods_are_those_of_the_loop(model):
    given = {"x": X} if isinstance(model, LinearRegression) else {"n": 8}
    method = VariationalBayes() if isinstance(model, PoissonMixture) else Exact()
    with isolated(1):
        nodes = pyro.poutine.trace(model.model).get_trace(**given).nodes
    names = ["x", "y"] if isinstance(model, GaussianNaiveBayes) else ["x" if "z" in nodes else "y"]
    data = {name: nodes[name]["value"] for name in names} | {k: v for k, v in given.items() if k == "x"}
    posterior = fit(model, method, **data)
    admitted = posterior.fitted_data()
    with isolated(2):
        fast = posterior_draws(posterior, admitted, 400)
    slow = posterior.draw(400, seed=3)
    assert fast.keys() == slow.keys()
    columns = sum(v[0].numel() for v in slow.values())
    for name in slow:
        for a, b in zip(fast[name].reshape(400, -1).T, slow[name].reshape(400, -1).T, strict=True):
            assert ks_2samp(a, b).pvalue > FALSE_ALARM / columns
            assert len(a.unique()) == 400  # no draw came twice
    few = {name: v[:5] for name, v in fast.items()}
    with isolated(0):
        at = log_likelihood(posterior.joint, few, admitted)
        each = [
            log_likelihood(posterior.joint, {k: v[i : i + 1] for k, v in few.items()}, admitted)
            for i in range(5)
        ]
    assert torch.allclose(at, torch.cat(each), rtol=1e-12)


def test_programs_that_vmap_would_get_wrong_are_run_draw_by_draw():
    def in_place(_):
        noise = torch.zeros(3)
        noise.normal_()  # what it returns is not used
        return {"z": noise}

    with isolated(0):
        assert at_once(in_place, 5) == {}
        assert at_once(lambda i: {"z": torch.randn(()) if i > 2 else torch.zeros(())}, 5) == {}


def test_chains_are_thinned_to_independent_draws():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 2000, generator=generator, dtype=torch.float64)
    slow = torch.zeros_like(noise)
    for i in range(1, 2000):  # worth (1 - 0.98) / (1 + 0.98) of its length
        slow[:, i] = 0.98 * slow[:, i - 1] + noise[:, i]
    assert len(thinned(Draws({"w": noise}), 99)["w"]) == 99
    kept = len(thinned(Draws({"w": slow, "v": noise}), 99)["w"])
    assert 15 < kept < 99
    few = thinned(Draws({"w": slow[:1, :200]}), 99)["w"]
    assert 1 <= len(few) < 30


# What happens on the way ------------------------------------------------------------------------------------


def test_the_seed_decides_everything_and_nothing_is_left_behind():
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    handler = signal.getsignal(signal.SIGINT)
    first, longer, other = calibrated(None, 4), calibrated(None, 6), calibrated(None, 4, seed=1)
    assert np.array_equal(longer.u[:4], first.u)  # the first simulations are the same
    assert not np.array_equal(first.u, other.u)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.slow
def test_processes_find_the_same():
    alone = calibrated(Trouble(limit=3.0), 8)
    shared = calibrated(Trouble(limit=3.0), 8, workers=2)
    assert np.array_equal(alone.u, shared.u)
    assert alone.failures == shared.failures


@pytest.mark.slow
def test_ctrl_c_stops_processes_too(pressed):
    timer = threading.Timer(25.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.warns(Interrupted, match="of 100000 simulations"):
            found = calibrated(None, 100_000, workers=2)
    finally:
        timer.cancel()
    assert 1 < found.simulations < 100_000
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_process_that_dies_takes_one_fit_along():
    method = Trouble(what="die", limit=2.5)
    targets = {i: calibrated(None, 12).simulated(i)[1]["y"][0] for i in range(12)}
    large = {i for i, y in targets.items() if y > 2.5}
    assert large
    assert min(large) > 0  # the first fit is this process's own
    found = calibrated(method, 12, workers=2)
    assert set(found.failures) == large
    assert "died" in found.verdict()


def test_failing_fits_are_named_and_counted():
    found = calibrated(Trouble(limit=1.0))
    targets = [found.simulated(i)[1]["y"][0] for i in range(20)]
    assert set(found.failures) == {i for i, y in enumerate(targets) if y > 1.0}
    assert found.failures
    assert found.simulations == 20 - len(found.failures) == len(found.u)
    said = found.verdict()
    assert f"{len(found.failures)} of 20 fits failed" in said
    assert f"ArithmeticError: the first target is too large (simulation {min(found.failures)})" in said


def test_warnings_of_fits_are_counted():
    lr = LogisticRegression(classes=2, features=1)
    method = NUTS(draws=20, warmup=1, chains=1)
    found = simulation_based_calibration(lr, method, simulations=3, x=X)
    assert all("divergent" in texts[0] for texts in found.warned.values())
    assert ("fits warned" in found.verdict()) == bool(found.warned)


def test_where_no_fit_succeeds_the_first_error_is_told():
    with pytest.raises(DataError, match=r"first 5 fits all failed.*the first target is too large"):
        calibrated(Trouble(limit=-1e9))


@pytest.fixture
def pressed():
    """Ctrl-C as at a terminal, wherever the tests run."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_reports_what_is_done(pressed):
    method = Trouble(what="interrupt", limit=2.5)
    with pytest.warns(Interrupted, match="after .* of 40 simulations"):
        found = calibrated(method, 40)
    targets = [found.simulated(i)[1]["y"][0] > 2.5 for i in range(40)]
    assert found.simulations == targets.index(True) + 1 < 40
    assert "Stopped by hand" in found.verdict()


def test_points_and_trained_models_are_refused():
    for method in (EM(), MAP(), MaximumLikelihood(), CrossValidation()):
        with pytest.raises(Unanswerable, match="finds a point"):
            calibrated(method)
    with pytest.raises(Unanswerable, match="SVI trains"):
        simulation_based_calibration(VAE(2, 1), SVI(steps=2), n=4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 3}, "n: .* leave it out"),
        ({"simulations": 1}, "simulations"),
        ({"draws": 1}, "draws"),
        ({"false_alarm": 0.0}, "false_alarm"),
        ({"workers": 0}, "workers"),
        ({"y": [1.0]}, "y: expected what"),
        ({"observed": ("v",)}, "observed: expected variables"),
        ({"observed": ()}, "observed: expected at least one"),
        ({"quantities": {"a": 3}}, "quantities: expected functions"),
        ({"quantities": {"a": lambda *_: float("nan")}}, "got nan"),
        ({"quantities": {"w": lambda *_: 1.0}}, "quantities: 'w' is ranked already"),
        ({"method": Perturbed(bias=float("nan"))}, "first 5 fits all failed.*got nan for tau"),
    ],
)
def test_arguments_are_checked(options, words):
    with pytest.raises(DataError, match=words):
        calibrated(**options)


def test_other_arguments_are_checked():
    with pytest.raises(DataError, match="n: how many rows"):
        simulation_based_calibration(GaussianNaiveBayes(2, 1))
    with pytest.raises(DataError, match="model: expected"):
        simulation_based_calibration("model")
    with pytest.raises(DataError, match="method: expected"):
        calibrated(Exact)
    with pytest.raises(DataError, match="checkpoint"):
        calibrated(SVI(checkpoint="run"))
    with pytest.raises(DataError, match=r"workers: .* cannot be sent"):
        calibrated(quantities={"a": lambda *_: 1.0}, workers=2)


# The library's own methods ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "least"), [({}, 0), ({"sd": 0.8}, 0.75), ({"bias": 0.3}, 0.95)])
def test_two_hundred_simulations_of_a_model_find_what_they_promise(fault, least):
    runs = 20
    hits = sum(not calibrated(Perturbed(**fault), 200, seed=seed).passed for seed in range(runs))
    if fault:
        assert binom.cdf(hits, runs, least) > FALSE_ALARM
    else:
        assert binom.sf(hits - 1, runs, 0.05) > FALSE_ALARM


@pytest.mark.slow
def test_nuts_passes():
    found = calibrated(NUTS(draws=120, warmup=100, chains=1), 25, false_alarm=1e-6)
    assert found.passed, found.verdict()


def correlated(method):
    """Intercept and slope hang together, where x is far from zero."""
    x = torch.linspace(2.0, 4.0, 30, dtype=torch.float64)[:, None]
    model = LinearRegression(1, precision=1.0, shape=30.0, rate=30.0)
    return simulation_based_calibration(model, method, simulations=20, x=x, false_alarm=1e-6)


@pytest.mark.slow
def test_a_mean_field_is_found_too_narrow():
    field = correlated(SVI(steps=300, guide="mean_field", compile=False))
    assert field.findings["w[1]"].faults == ("spread",)
    assert field.findings["w[1]"].ratio < 0.6
    assert "sds too small: " in field.verdict()


@pytest.mark.slow
def test_a_full_rank_guide_passes():
    rank = correlated(SVI(steps=800, guide="full_rank", compile=False))
    assert rank.passed, rank.verdict()


# The page ---------------------------------------------------------------------------------------------------


def test_a_page_of_a_notebook_holds_words_table_and_figure():
    found = calibrated(Perturbed(bias=-2.0, only="w"), 20)
    page = found._repr_html_()
    for part in ("too low: ", "<table", "<svg", "sds too low"):
        assert part in page
    assert str(found).splitlines()[0].startswith("LinearRegression by Perturbed(bias=-2.0")
    assert list(found.table().index) == list(found.names)
    with pytest.raises(DataError, match="index: expected a simulation from 0 to 19"):
        found.simulated(20)
