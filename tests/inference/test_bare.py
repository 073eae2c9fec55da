"""fit_pyro trains any Pyro pair with the same engine, and leaves the pair as it was."""

import copy
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, config_enumerate
from pyro.infer.autoguide import AutoDiagonalNormal, AutoNormal
from torch import nn
from torch.distributions import constraints

from ppl_gen import SVI, fit_pyro
from ppl_gen.errors import DataError, NonFinite
from ppl_gen.inference import bare, steps

ENUM = TraceEnum_ELBO(max_plate_nesting=1, strict_enumeration_warning=False)
X = torch.cat([torch.linspace(-4, -2, 15), torch.linspace(2, 4, 15)])


def normal(x, sd=1.0):
    mu = pyro.sample("mu", dist.Normal(0.0, 10.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, sd), obs=x)


def q_normal(x, sd=1.0):
    loc = pyro.param("loc", torch.tensor(0.0))
    scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
    pyro.sample("mu", dist.Normal(loc, scale))


@config_enumerate
def mixture(x):
    w = pyro.sample("w", dist.Dirichlet(torch.ones(2)))
    with pyro.plate("components", 2):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Categorical(w))
        pyro.sample("x", dist.Normal(mu[z], 1.0), obs=x)


def q_mixture(x):
    pyro.sample(
        "w", dist.Dirichlet(pyro.param("c", torch.tensor([2.0, 3.0]), constraint=constraints.positive))
    )
    with pyro.plate("components", 2):
        pyro.sample("mu", dist.Normal(pyro.param("m", torch.tensor([-1.0, 1.0])), 0.5))


def subsampled(x):
    mu = pyro.sample("mu", dist.Normal(0.0, 10.0))
    with pyro.plate("rows", len(x), subsample_size=10) as index:
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index])


def bits(x):
    s = pyro.sample("s", dist.Bernoulli(torch.tensor([0.3, 0.6])).to_event(1))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(s.sum(), 1.0), obs=x)


def q_bits(x):
    pyro.sample("s", dist.Bernoulli(logits=pyro.param("logits", torch.tensor([0.3, -0.3]))).to_event(1))


class Coder(nn.Module):
    """A VAE as in Pyro's tutorial: one module with both programs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.decoder, self.encoder = nn.Linear(1, 3), nn.Linear(3, 2)

    def model(self, x):
        pyro.module("decoder", self.decoder)
        with pyro.plate("rows", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x), 1), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.decoder(z), 1.0).to_event(1), obs=x)

    def guide(self, x):
        pyro.module("encoder", self.encoder)
        loc, log_scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("rows", len(x)):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


PAIRS = {
    "normal": (normal, q_normal, ENUM),
    "normal, Trace_ELBO": (normal, q_normal, Trace_ELBO(max_plate_nesting=1)),
    "mixture": (mixture, q_mixture, ENUM),
    "subsampled": (subsampled, q_normal, ENUM),
    "score function": (bits, q_bits, ENUM),
}


@pytest.mark.parametrize("case", PAIRS)
def test_the_bound_is_pyros(case):
    model, guide, bound = PAIRS[case]
    with pyro.get_param_store().scope():
        pyro.set_rng_seed(7)
        expected = -bound.loss(model, guide, X)
        pyro.set_rng_seed(7)
        p, q = bare._Program(model), bare._Program(guide)
        objective = bare._PairObjective(p, q, 1, (X,), {})
        objective.bound.max_plate_nesting = 1
        assert objective.climbed(None, 1.0)[0].item() == pytest.approx(expected, rel=1e-5)


def test_it_finds_the_exact_posterior_and_leaves_no_trace():
    store = dict(pyro.get_param_store())
    start = fit_pyro(normal, q_normal, SVI(steps=1, progress=False), X + 3.0, sd=2.0)
    found = fit_pyro(normal, q_normal, SVI(steps=1500, learning_rate=0.1, progress=False), X + 3.0, sd=2.0)
    precision = 1 / 100 + len(X) / 4
    mean, sd = (X + 3.0).sum().item() / 4 / precision, precision**-0.5
    # the guide can be right, where one draw's ELBO has no variance: the noise ends with the schedule
    assert found.parameters["loc"].item() == pytest.approx(mean, abs=0.25 * sd)
    assert found.parameters["scale"].item() == pytest.approx(sd, rel=0.25)
    assert abs(start.parameters["loc"].item() - mean) > sd
    bound, error = found.estimate_elbo(200)
    evidence = dist.MultivariateNormal(torch.zeros(30), 4 * torch.eye(30) + 100).log_prob(X + 3.0).item()
    assert bound - 4.9 * error - 1e-3 < evidence < bound + 4.9 * error + 0.05
    mu = found.draw(2000, seed=1)["mu"]
    assert mu.shape == (2000,)
    assert abs(mu.mean().item() - found.parameters["loc"].item()) < 4.9 * sd / math.sqrt(2000)
    assert dict(pyro.get_param_store()) == store
    assert "Fit of normal with q_normal" in str(found)


def test_one_seed_gives_one_fit():
    one, two = (fit_pyro(mixture, q_mixture, SVI(steps=20, seed=4, progress=False), X) for _ in range(2))
    other = fit_pyro(mixture, q_mixture, SVI(steps=20, seed=5, progress=False), X)
    assert torch.equal(one.elbo, two.elbo)
    assert not torch.equal(one.elbo, other.elbo)


@pytest.mark.parametrize("case", [name for name in PAIRS if name != "score function"])
def test_a_replayed_pair_gives_the_same_numbers(case, monkeypatch):
    model, guide, _ = PAIRS[case]
    method = SVI(steps=15, progress=False, compile=False)
    written = fit_pyro(model, guide, method, X)
    seen = []
    real = steps.capture
    monkeypatch.setattr(steps, "capture", lambda *given: seen.append(real(*given)) or seen[-1])
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 1)
    replayed = fit_pyro(model, guide, method, X)
    assert len(seen) == 1
    torch.testing.assert_close(replayed.elbo, written.elbo, rtol=1e-5, atol=0.0)


def test_what_looks_at_its_numbers_runs_as_written(monkeypatch):
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 1)
    found = fit_pyro(bits, q_bits, SVI(steps=300, learning_rate=0.05, progress=False), torch.full((20,), 2.0))
    assert "not compiled: the program decides by the values of tensors" in str(found)
    assert bool((found.parameters["logits"] > 1).all())  # both bits are on, and did not start so


@pytest.mark.parametrize("family", [AutoNormal, AutoDiagonalNormal])
def test_automatic_guides_are_instances_as_in_pyro(family):
    guide = family(pyro.poutine.block(mixture, hide=["z"]))
    found = fit_pyro(mixture, guide, SVI(steps=400, learning_rate=0.05, progress=False), X)
    mu = found.draw(200)["mu"].mean(0).sort().values
    assert mu[0] < -2 < 2 < mu[1]
    again = fit_pyro(mixture, guide, SVI(steps=5, progress=False), X)  # the instance is as good as new
    assert len(again.elbo) == 5


def test_a_module_with_both_programs_is_copied():
    coder, x = Coder(), torch.randn(40, 1) @ torch.tensor([[2.0, -1.0, 1.0]])
    before = copy.deepcopy(coder.state_dict())
    found = fit_pyro(coder.model, coder.guide, SVI(steps=300, learning_rate=0.05, progress=False), x)
    assert found.parameters.keys() == {
        f"{part}.{kind}" for part in ("decoder", "encoder") for kind in ("weight", "bias")
    }
    assert all(torch.equal(before[name], value) for name, value in coder.state_dict().items())
    assert found.elbo[-50:].mean() > found.elbo[:10].mean() + 20


def explodes(x):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    loc = torch.where(mu > 0.8, torch.nan, mu)
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(loc, 1.0, validate_args=False), obs=x)


def q_explodes(x):
    pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1e-3))


def test_what_is_not_finite_is_named():
    with pytest.raises(NonFinite, match=r"stopped at step \d+: log p\(x \| …\) at \[0\], \[1\]") as caught:
        fit_pyro(
            explodes, q_explodes, SVI(steps=100, learning_rate=0.1, progress=False), torch.full((3,), 5.0)
        )
    found = caught.value.posterior
    assert len(found.elbo) == caught.value.step
    assert found.parameters["loc"] < 0.81


def hidden_module():
    linear = nn.Linear(1, 1)

    def model(x):
        pyro.module("linear", linear)
        pyro.sample("y", dist.Normal(linear(x).sum(), 1.0), obs=torch.tensor(1.0))

    return model


@pytest.mark.parametrize(
    ("model", "guide", "method", "message"),
    [
        (normal, q_normal, SVI(steps=1, batch_size=5), "batch_size has no rows"),
        (normal, q_normal, SVI(steps=1, guide="mean_field"), "the guide is its own argument"),
        (normal, AutoNormal, SVI(steps=1), "guide: expected a Pyro program"),
        (
            normal,
            "full_rank",
            SVI(steps=1),
            r"got 'full_rank'. Pass .*autoguide.AutoMultivariateNormal\(model",
        ),
        (normal, "diagonal", SVI(steps=1), r"got 'diagonal'. Pass .*autoguide.AutoNormal\(model"),
        ("normal", q_normal, SVI(steps=1), "model: .*got str. Pass the function or the module"),
        (normal, q_normal, "svi", r"method: expected SVI\(…\)"),
        (hidden_module(), lambda x: None, SVI(steps=1), r"pyro.module\('linear'\): this module is neither"),
        (
            normal,
            lambda x: pyro.sample("mu", dist.Normal(0.0, 1.0)),
            SVI(steps=1),
            "normal: nothing to train",
        ),
    ],
)
def test_what_does_not_apply_is_refused(model, guide, method, message):
    with pytest.raises(DataError, match=message):
        fit_pyro(model, guide, method, X[:, None] if "linear" in message else X)


def test_weights_on_the_kl_of_rows_are_refused():
    with pytest.raises(DataError, match="beta and free_bits weigh the KL of each row"):
        fit_pyro(lambda: None, lambda: None, SVI(beta=2.0))
