"""Trees of bare Pyro models: by hand, on the parameters of the store, which stays as it was."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Trace_ELBO, TraceEnum_ELBO, config_enumerate
from pyro.infer.autoguide import AutoDelta, AutoNormal
from pyro.infer.mcmc.api import StreamingMCMC
from scipy import stats
from scipy.special import logsumexp
from torch.distributions import constraints

import ppl_gen
from ppl_gen import fit_pyro
from ppl_gen.diagnostics import loo, summary, to_arviz
from ppl_gen.errors import DataError, Unexplained
from ppl_gen.inference import RecordingNUTS

X = torch.cat([torch.linspace(-4, -2, 9), torch.linspace(2, 4, 6)]).double()
EVERY = {
    "posterior", "prior", "posterior_predictive", "prior_predictive",
    "log_likelihood", "log_prior", "sample_stats", "observed_data",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _store() -> Iterator[None]:
    with pyro.get_param_store().scope():
        pyro.set_rng_seed(0)
        yield


def raw(values: Any) -> Any:
    return np.asarray(values.values)


def normal(x: torch.Tensor, sd: float = 1.0) -> None:
    mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0).double(), 10.0))
    pyro.deterministic("twice", 2 * mu)
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, sd), obs=x)


def q_normal(x: torch.Tensor, sd: float = 1.0) -> None:
    """Exact, once its parameters are."""
    loc = pyro.param("loc", torch.tensor(0.0).double())
    pyro.sample("mu", dist.Normal(loc, pyro.param("scale", torch.tensor(1.0).double(), constraints.positive)))


def posterior_of(x: torch.Tensor) -> tuple[float, float]:
    precision = 1 / 100 + len(x)
    return float(x.sum() / precision), precision**-0.5


def trained() -> None:
    mean, sd = posterior_of(X)
    pyro.param("loc", torch.tensor(mean, dtype=torch.float64))
    pyro.param("scale", torch.tensor(sd, dtype=torch.float64), constraint=constraints.positive)


@config_enumerate
def mixture(x: torch.Tensor) -> None:
    w = pyro.sample("w", dist.Dirichlet(torch.ones(2)))
    with pyro.plate("components", 2):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Categorical(w))
        pyro.deterministic("centre", mu[z])
        pyro.sample("x", dist.Normal(mu[z], 1.0), obs=x)


def q_mixture(x: torch.Tensor) -> None:
    pyro.sample("w", dist.Dirichlet(pyro.param("c", torch.tensor([9.0, 7.0]))))
    with pyro.plate("components", 2):
        pyro.sample("mu", dist.Normal(pyro.param("m", torch.tensor([-3.0, 3.0])), 0.3))


def mixture_by_hand(t: xarray.DataTree) -> Any:
    mu, w = raw(t.posterior["mu"])[..., None, :], raw(t.posterior["w"])[..., None, :]
    return logsumexp(stats.norm.logpdf(X.numpy()[:, None], mu, 1) + np.log(w), axis=-1)


def test_an_exact_guide_has_the_evidence_at_every_draw() -> None:
    store = pyro.get_param_store()
    q_normal(X)  # puts its initial values into the store
    t = to_arviz(q_normal, normal, X, draws=20)
    n = len(X)
    evidence = stats.multivariate_normal(np.zeros(n), np.eye(n) + 100).logpdf(X.numpy())
    assert raw(t.sample_stats.log_p - t.sample_stats.log_q).std() > 1
    store.clear()
    trained()
    before = {name: value.item() for name, value in store.items()}
    t = to_arviz(q_normal, normal, X, draws=400)
    assert raw(t.sample_stats.log_p - t.sample_stats.log_q) == pytest.approx(evidence, abs=1e-9)
    assert before == {name: value.item() for name, value in store.items()}
    mean, sd = posterior_of(X)
    assert abs(float(t.posterior["mu"].mean()) - mean) < 4.9 * sd / 20  # sqrt(400); one false alarm in 1e6
    assert set(t.children) == EVERY
    assert raw(t.posterior["twice"]) == pytest.approx(2 * raw(t.posterior["mu"]))
    rows = stats.norm.logpdf(X.numpy(), raw(t.posterior["mu"])[0][:, None], 1)
    assert raw(t.log_likelihood["x"])[0] == pytest.approx(rows, rel=1e-12)
    assert raw(t.log_prior["mu"]) == pytest.approx(stats.norm.logpdf(raw(t.posterior["mu"]), 0, 10))
    assert t.log_likelihood["x"].dims == ("chain", "draw", "rows")
    for group in ("prior_predictive", "posterior_predictive"):
        assert t[group]["x"].shape == (1, 400, n)
    new = raw(t.posterior_predictive["x"]) - raw(t.posterior["mu"])[..., None]
    assert abs(new.mean()) < 4.9 / math.sqrt(new.size)
    assert abs(raw(t.prior["mu"]).std() / 10 - 1) < 4.9 / math.sqrt(2 * 400)
    assert "r_hat" not in summary(t).columns
    assert np.isfinite(loo(t).elpd)


def test_what_svi_trained_gives_the_same_as_its_guide() -> None:
    guide = AutoNormal(poutine.block(mixture, hide=["z"]))
    svi = SVI(mixture, guide, pyro.optim.Adam({"lr": 0.05}), TraceEnum_ELBO(max_plate_nesting=1))
    losses = [svi.step(X.float()) for _ in range(150)]
    t = to_arviz(svi, mixture, X.float(), draws=40, elbo=[-loss for loss in losses])
    assert t.posterior.equals(to_arviz(guide, mixture, X.float(), draws=40).posterior)
    assert raw(t.log_likelihood["x"]) == pytest.approx(mixture_by_hand(t), abs=1e-5)
    assert t.log_likelihood.attrs["how"] == "z summed out exactly"
    assert t.posterior["mu"].dims == ("chain", "draw", "components")
    assert set(t.posterior.data_vars) == {"w", "mu"}  # the centre of a row depends on z
    assert raw(t.sample_stats["elbo"]) == pytest.approx(-np.array(losses))
    total = raw(t.log_likelihood["x"].sum("rows") + t.log_prior["w"] + t.log_prior["mu"])
    assert raw(t.sample_stats["log_p"]) == pytest.approx(total, rel=1e-5)
    bounds = raw(t.sample_stats["log_p"] - t.sample_stats["log_q"])  # what TraceEnum_ELBO estimates too
    pyro.set_rng_seed(1)
    loss = np.array([svi.evaluate_loss(X.float()) for _ in range(40)])
    assert abs(bounds.mean() + loss.mean()) < 4.9 * math.hypot(bounds.std(), loss.std()) / math.sqrt(40)


def test_a_fit_of_fit_pyro_needs_nothing_more() -> None:
    found = fit_pyro(mixture, q_mixture, ppl_gen.SVI(steps=30, progress=False), X.float())
    t = to_arviz(found, draws=10)
    assert np.array_equal(raw(t.posterior["mu"])[0], raw_draw(found, 10))
    assert raw(t.log_likelihood["x"]) == pytest.approx(mixture_by_hand(t), abs=1e-5)
    assert raw(t.sample_stats["elbo"]) == pytest.approx(found.elbo.numpy())
    assert t.log_likelihood.sizes["rows"] == 15
    assert to_arviz(found, found.model, X[:4].float(), draws=2).log_likelihood.sizes["rows"] == 4
    assert not pyro.get_param_store()


def raw_draw(found: Any, draws: int) -> Any:
    with ppl_gen.isolation.isolated(0):  # to_arviz seeds every part apart
        pyro.set_rng_seed(0)
        return found.draw(draws, seed=0)["mu"].numpy()


@pytest.mark.parametrize("kernel", [NUTS, RecordingNUTS])
@pytest.mark.filterwarnings("ignore:num_chains=2 is more than available_cpu")
def test_chains_come_as_chains(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyro.infer.mcmc.api.mp.cpu_count", lambda: 1)  # chains one after the other
    mcmc = MCMC(kernel(mixture, max_tree_depth=5), 20, warmup_steps=30, num_chains=2, disable_progbar=True)
    mcmc.run(X.float())
    t = to_arviz(mcmc, mixture, X.float())
    assert t.posterior["mu"].dims == ("chain", "draw", "components")
    assert np.array_equal(raw(t.posterior["mu"]), mcmc.get_samples(group_by_chain=True)["mu"].numpy())
    assert raw(t.log_likelihood["x"]) == pytest.approx(mixture_by_hand(t), abs=1e-5)
    assert t.log_likelihood["x"].dims == ("chain", "draw", "rows")
    assert "log_q" not in t.sample_stats
    assert t.sample_stats["diverging"].dtype == bool
    assert t.sample_stats["accepted"].dims == ("chain",)
    divergences = mcmc.diagnostics()["divergences"]
    for chain in (0, 1):
        assert np.flatnonzero(raw(t.sample_stats["diverging"])[chain]).tolist() == sorted(
            divergences[f"chain {chain}"]
        )
    assert ("energy" in t.sample_stats) == (kernel is RecordingNUTS)
    assert "r_hat" in summary(t).columns
    thin = to_arviz(mcmc, mixture, X.float(), draws=10)
    assert np.array_equal(raw(thin.posterior["mu"]), raw(t.posterior["mu"])[:, ::2])
    assert np.array_equal(raw(thin.sample_stats["log_p"]), raw(t.sample_stats["log_p"])[:, ::2])


def test_all_that_the_kernel_tells_of_a_transition_is_there() -> None:
    mcmc = MCMC(RecordingNUTS(normal), 30, warmup_steps=30, disable_progbar=True)
    mcmc.run(X)
    t = to_arviz(mcmc, normal, X)
    s = t.sample_stats
    assert {"lp", "energy", "diverging", "acceptance_rate", "tree_depth", "n_steps", "step_size"} <= set(s)
    assert raw(s["lp"]) == pytest.approx(raw(s["log_p"]))  # mu is unconstrained as it is


@config_enumerate
def hidden_markov(y: torch.Tensor) -> None:
    stay = pyro.sample("stay", dist.Beta(torch.tensor(2.0).double(), 2.0))
    z: Any = 0
    for i in pyro.markov(range(len(y))):
        to_one = torch.where(torch.as_tensor(z) == 1, stay, 1 - stay)
        z = pyro.sample(f"z_{i}", dist.Bernoulli(to_one))
        pyro.sample(f"y_{i}", dist.Normal(2.0 * z, 1.0), obs=y[i])


def q_stay(y: torch.Tensor) -> None:
    pyro.sample("stay", dist.Beta(torch.tensor(3.0).double(), 2.0))


def test_a_chain_of_states_is_summed_out_by_the_forward_algorithm() -> None:
    y = torch.tensor([0.3, 2.1, 1.7, -0.4, 2.5]).double()
    t = to_arviz(q_stay, hidden_markov, y, draws=5)
    (name,) = t.log_likelihood.data_vars
    assert name == "y_0_to_y_4"
    for draw in range(5):
        stay = raw(t.posterior["stay"])[0, draw]
        transition = np.array([[stay, 1 - stay], [1 - stay, stay]])
        alpha = np.array([1.0, 0.0])
        for value in y.numpy():
            alpha = alpha @ transition * stats.norm.pdf(value, [0, 2], 1)
        assert raw(t.log_likelihood[name])[0, draw] == pytest.approx(math.log(alpha.sum()), rel=1e-10)


@config_enumerate
def many_cells(x: torch.Tensor) -> None:
    rows, features = x.shape
    w = pyro.sample("w", dist.Beta(torch.tensor(2.0).double(), 2.0))
    row_plate, feature_plate = pyro.plate("rows", rows, dim=-2), pyro.plate("features", features, dim=-1)
    with row_plate:
        z = pyro.sample("z", dist.Bernoulli(w))
        with feature_plate:
            pyro.sample("x", dist.Normal(3 * z, 1.0), obs=x)


def q_w(x: torch.Tensor) -> None:
    pyro.sample("w", dist.Beta(torch.tensor(3.0).double(), 4.0))


def test_cells_that_share_a_summed_variable_become_one_row() -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
    t = to_arviz(q_w, many_cells, x, draws=6)
    assert t.log_likelihood["x"].dims == ("chain", "draw", "rows")
    assert t.observed_data["x"].dims == ("rows", "features")
    w = raw(t.posterior["w"])[0][:, None]
    each = [stats.norm.logpdf(x.numpy(), m, 1).sum(1) + np.log(p) for m, p in ((0, 1 - w), (3, w))]
    assert raw(t.log_likelihood["x"])[0] == pytest.approx(np.logaddexp(*each), rel=1e-10)


@config_enumerate
def shared_sign(x: torch.Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0).double(), 1.0))
    sign = pyro.sample("sign", dist.Bernoulli(torch.tensor(0.25).double()))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu * (2 * sign - 1), 1.0), obs=x)


def q_mu(x: torch.Tensor) -> None:
    pyro.sample("mu", dist.Normal(torch.tensor(0.0).double(), 0.5))


def test_rows_that_a_summed_variable_couples_have_no_likelihood_of_their_own() -> None:
    t = to_arviz(q_mu, shared_sign, X, draws=4)
    assert "log_likelihood" not in t.children
    mu, x = raw(t.posterior["mu"])[0][:, None], X.numpy()
    each = [stats.norm.logpdf(x, s * mu, 1).sum(1) + math.log(p) for s, p in ((-1, 0.75), (1, 0.25))]
    expected = np.logaddexp(*each) + stats.norm.logpdf(mu[:, 0])
    assert raw(t.sample_stats["log_p"])[0] == pytest.approx(expected, rel=1e-10)


def hierarchy(y: torch.Tensor, sigma: Any) -> None:
    tau = pyro.sample("tau", dist.HalfNormal(torch.tensor(2.0).double()))
    pyro.factor("penalty", -tau)
    with pyro.plate("schools", len(y)):
        theta = pyro.sample("theta", dist.Normal(0.0, tau))
        pyro.sample("y", dist.Normal(theta, torch.as_tensor(sigma)), obs=y)


def q_hierarchy(y: torch.Tensor, sigma: Any) -> None:
    pyro.sample("tau", dist.Delta(torch.tensor(1.5).double()))
    with pyro.plate("schools", len(y)):
        pyro.sample("theta", dist.Delta(y / 2))


def test_latents_of_rows_stay_and_factors_count_in_log_p_alone() -> None:
    y, sigma = torch.tensor([28.0, 8.0, -3.0]).double(), np.array([15.0, 10.0, 16.0])
    t = to_arviz(q_hierarchy, hierarchy, y, sigma, draws=2, coords={"schools": ["a", "b", "c"]})
    assert t.log_likelihood.attrs["how"] == "given the cells' own theta; penalty in log_p alone"
    assert t.posterior.attrs["how"] == "independent draws of a point, all equal"
    assert "log_q" not in t.sample_stats
    rows = stats.norm.logpdf(y, y / 2, sigma)
    assert raw(t.log_likelihood["y"])[0, 0] == pytest.approx(rows)
    prior = math.log(2) + stats.norm.logpdf(1.5, 0, 2) + stats.norm.logpdf(y / 2, 0, 1.5).sum()
    assert raw(t.sample_stats["log_p"])[0, 0] == pytest.approx(rows.sum() + prior - 1.5)
    assert t.constant_data["sigma"].dims == ("schools",)
    assert t.constant_data.coords["schools"].values.tolist() == ["a", "b", "c"]
    assert set(t.observed_data) == {"y"}


def line(data: torch.Tensor, x: Any, **more: Any) -> None:
    """Its plate is called as an argument is."""
    w = pyro.sample("w", dist.Normal(torch.zeros(2).double(), 1.0).to_event(1))
    with pyro.plate("x", len(data)):
        pyro.sample("y", dist.Normal(torch.tensor(np.array(x)) @ w, more["sd"]), obs=data)


def test_arguments_are_constants_with_the_names_of_their_columns() -> None:
    x = pandas.DataFrame(np.arange(6.0).reshape(3, 2), columns=["age", "dose"])
    y = torch.tensor([1.0, 2.0, 4.0]).double()
    guide = AutoNormal(line)
    SVI(line, guide, pyro.optim.Adam({}), Trace_ELBO()).step(y, x, sd=0.5)
    t = to_arviz(guide, line, y, x, sd=0.5, draws=3, dims={"w": ["term"]}, coords={"term": ["a", "d"]})
    assert t.constant_data["x"].dims == ("x_plate", "x_dim_1")
    assert t.constant_data.coords["x_dim_1"].values.tolist() == ["age", "dose"]
    assert float(t.constant_data["sd"]) == 0.5
    assert t.posterior["w"].dims == ("chain", "draw", "term")
    assert t.log_likelihood["y"].dims == ("chain", "draw", "x_plate")


def test_arguments_keep_their_names_under_handlers_and_in_copies() -> None:
    y, x = torch.tensor([1.0, 2.0, 4.0]).double(), np.arange(6.0).reshape(3, 2)
    blocked = poutine.block(config_enumerate(line), hide=[])
    found = fit_pyro(
        line, AutoNormal(line), ppl_gen.SVI(steps=2, compile=False, progress=False), y, x, sd=0.5
    )
    assert set(to_arviz(found, draws=2).constant_data.data_vars) == {"x", "sd"}
    assert set(to_arviz(found, blocked, y, x, sd=0.5, draws=2).constant_data.data_vars) == {"x", "sd"}


def schools(sigma: torch.Tensor, y: torch.Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("school", len(y)):
        eta = pyro.sample("eta", dist.Normal(0.0, 1.0))
        theta = pyro.deterministic("theta", mu + 3 * eta)
        pyro.sample("y", dist.Normal(theta, sigma), obs=y)


def test_what_follows_from_latents_in_a_plate_keeps_its_shape() -> None:
    y = torch.arange(8.0)
    guide = AutoNormal(schools)
    guide(torch.ones(8), y)
    t = to_arviz(guide, schools, torch.full((8,), 1e-4), y, draws=20)
    for group in ("posterior", "prior"):
        assert t[group]["theta"].dims == ("chain", "draw", "school")
        assert raw(t[group]["theta"]) == pytest.approx(raw(t[group]["mu"] + 3 * t[group]["eta"]), abs=1e-5)
        new = raw(t[f"{group}_predictive"]["y"])
        assert new == pytest.approx(raw(t[group]["theta"]), abs=1e-3)
    assert set(t.constant_data.data_vars) == {"sigma"}


def masked(x: torch.Tensor, seen: torch.Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0).double(), 1.0))
    with pyro.plate("rows", len(x)), poutine.mask(mask=seen):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def test_masked_rows_are_missing_and_count_nothing() -> None:
    seen = torch.tensor([True, False, True])
    t = to_arviz(lambda x, seen: q_mu(x), masked, X[:3], seen, draws=3)
    assert np.isnan(raw(t.observed_data["x"])).tolist() == [False, True, False]
    assert raw(t.log_likelihood["x"])[0, :, 1].tolist() == [0.0] * 3
    assert t.constant_data["seen"].dims == ("rows",)


def test_weights_of_factors_are_those_of_the_bound() -> None:
    def weighted(x: torch.Tensor) -> None:
        with poutine.scale(scale=3.0):
            mixture(x)

    t = to_arviz(q_mixture_at_rest(), weighted, X.float(), draws=4)
    assert raw(t.log_likelihood["x"]) == pytest.approx(3 * mixture_by_hand(t), rel=1e-5)


def q_mixture_at_rest() -> Any:
    q_mixture(X)  # its parameters are in the store now
    return q_mixture


def test_networks_run_in_evaluation_mode_and_return_to_theirs() -> None:
    class Coder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.BatchNorm1d(2))

        def model(self, x: torch.Tensor) -> None:
            pyro.module("net", self.net)
            with pyro.plate("rows", len(x)):
                z = pyro.sample("z", dist.Normal(torch.zeros(len(x), 1), 1.0).to_event(1))
                pyro.sample("x", dist.Normal(self.net(z), 1.0).to_event(1), obs=x)

        def guide(self, x: torch.Tensor) -> None:
            with pyro.plate("rows", len(x)):
                pyro.sample("z", dist.Normal(x[:, :1], 1.0).to_event(1))

    coder, x = Coder(), torch.randn(6, 2)
    SVI(coder.model, coder.guide, pyro.optim.Adam({}), Trace_ELBO()).step(x)
    state = {name: value.clone() for name, value in coder.state_dict().items()}
    t = to_arviz(coder.guide, coder.model, x, draws=5)
    assert t.posterior["z"].dims == ("chain", "draw", "rows", "z_dim_0")
    assert t.observed_data["x"].dims == ("rows", "x_dim_0")
    assert all(torch.equal(state[name], value) for name, value in coder.state_dict().items())
    assert all(part.training for part in coder.modules())


def test_groups_can_be_chosen_and_are_the_same_alone() -> None:
    trained()
    every = to_arviz(q_normal, normal, X, draws=5)
    for name in EVERY:
        alone = to_arviz(q_normal, normal, X, draws=5, groups=[name])
        assert set(alone.children) == {name}
        assert alone[name].equals(every[name])


def handed(x: torch.Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x), subsample=torch.arange(4)) as index:
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index])


def marginal(x: torch.Tensor) -> None:
    pyro.factor("lik", dist.Normal(pyro.sample("mu", dist.Normal(0.0, 1.0)), 1.0).log_prob(x).sum())


def unguided(x: torch.Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, scale), obs=x)


def test_what_does_not_fit_is_refused_in_words() -> None:
    idle = MCMC(NUTS(normal), 3, disable_progbar=True)
    stream = StreamingMCMC(NUTS(normal), 3, disable_progbar=True)
    cases: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
        (q_normal, (normal, X), {}, "'loc'.* not in Pyro's param store"),
        (q_normal, (), {}, "model: expected the Pyro model"),
        (q_mu, (3, X), {}, "model: expected a Pyro program, got int"),
        (q_mu, (normal,), {}, r"normal\(x: .*cannot be called .*'x'. Pass .* to_arviz\(fitted, model, x\)"),
        (q_mu, (normal, X), {"y": X}, "normal.*unexpected keyword argument 'y'"),
        (q_mu, (handed, X), {}, "plate 'rows' of the model holds 4 of 15 rows"),
        (idle, (normal, X), {}, "no draws yet"),
        (stream, (normal, X), {}, "StreamingMCMC keeps no draws"),
        (AutoNormal(normal), (normal, X), {}, "AutoNormal never ran"),
        (q_mu, (q_mu, X), {}, "observes nothing$"),
        (
            q_mu,
            (marginal, X),
            {},
            "observes nothing. The factor 'lik' draws no rows: observe them from a dist",
        ),
        (q_mu, (normal, X), {"groups": ["posteriors"]}, "groups: .*got 'posteriors'.* 'posterior'"),
        (q_mu, (normal, X), {"draws": 10**8}, "GiB"),
        (q_mu, (normal, X), {"coords": {"row": [1]}}, "coords: expected dimensions .*rows.*got 'row'"),
        (AutoNormal, (normal, X), {}, "the class AutoNormal"),
        ("guide", (normal, X), {}, "got str"),
    ]
    for fitted, given, options, message in cases:
        with pytest.raises(DataError, match=message):
            to_arviz(fitted, *given, **options)
    with pytest.raises(Unexplained, match="'scale' is a latent variable"):
        to_arviz(q_mu, unguided, X)
    data: Any = {"x": [[0.0], [1.0]], "y": [0, 1]}
    posterior = ppl_gen.fit(ppl_gen.models.GaussianNaiveBayes(classes=2, features=1), **data)
    with pytest.raises(DataError, match="a posterior knows its model"):
        to_arviz(posterior, normal, X)
    assert not pyro.get_param_store()


def test_a_delta_guide_is_a_point() -> None:
    guide = AutoDelta(normal)
    SVI(normal, guide, pyro.optim.Adam({}), Trace_ELBO()).step(X)
    t = to_arviz(guide, normal, X, draws=3)
    assert "point" in t.posterior.attrs["how"]
    assert raw(t.posterior["mu"]).std() == 0
