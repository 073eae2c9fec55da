"""The readable ELBO is Pyro's ELBO, minibatches average to the whole, and gradients are unbiased."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from torch import nn

from ppl_gen.core import arguments, is_local, run, variables
from ppl_gen.errors import Unexplained
from ppl_gen.inference import elbo
from ppl_gen.inference.guides import make_guide
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression

N = 12


def rows(features=2, seed=0):
    return torch.randn(N, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(classes=3):
    return torch.arange(N) % classes


CASES = {
    "naive Bayes": (lambda: GaussianNaiveBayes(classes=3, features=2), lambda: {"x": rows(), "y": labels()}),
    "naive Bayes, y hidden": (lambda: GaussianNaiveBayes(classes=3, features=2), lambda: {"x": rows()}),
    "mixture": (lambda: GaussianMixture(components=2, features=2), lambda: {"x": rows()}),
    "regression": (
        lambda: LogisticRegression(classes=3, features=2),
        lambda: {"x": rows(), "y": labels()},
    ),
    "VAE": (lambda: VAE(features=3, latent=2, hidden=(4,)), lambda: {"x": (rows(3) > 0).float()}),
}


def pyros(model, guide, values, observed, nesting=1, plain=False):
    """Pyro's own bound on the same conditioned programs."""
    q = variables(run(guide, values)) if guide is not None else {}

    def enumerated(site):
        free = site["name"] not in q and site["name"] not in observed
        finite = getattr(site["fn"], "has_enumerate_support", False)
        return {"enumerate": "parallel" if free and finite else None}

    def p():
        conditioned = pyro.condition(model, dict(observed))
        return poutine.infer_config(conditioned, enumerated)(**arguments(model, values))

    def g():
        return guide(**arguments(guide, values)) if guide is not None else None

    if plain:
        return lambda: -Trace_ELBO(max_plate_nesting=nesting).loss(p, g)
    bound = TraceEnum_ELBO(max_plate_nesting=nesting, strict_enumeration_warning=False)
    return lambda: -bound.loss(p, g)


def same_seed(ours, theirs, rel=1e-5):
    pyro.set_rng_seed(3)
    left = ours().item()
    pyro.set_rng_seed(3)
    assert left == pytest.approx(float(theirs()), rel=rel)
    assert math.isfinite(left)


@pytest.mark.parametrize("guide", [None, "mean_field", "full_rank"])
@pytest.mark.parametrize("case", CASES)
def test_equals_pyro(case, guide):
    make, data = CASES[case]
    with isolated(0, grad=True, validate=True):
        p, admitted = make(), admit(make(), data())
        q = make_guide(guide, p, admitted.values, admitted.observed)
        given = (admitted.values, admitted.observed)
        same_seed(lambda: elbo(p.model, q, *given), pyros(p.model, q, *given))
        if case not in ("mixture", "naive Bayes, y hidden"):
            same_seed(lambda: elbo(p.model, q, *given), pyros(p.model, q, *given, plain=True))


def parts(sizes):
    return torch.arange(N).split(list(sizes))


@pytest.mark.parametrize("sizes", [(4, 4, 4), (6, 6), (5, 4, 3), (11, 1)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_minibatches_average_to_the_whole(case, sizes):
    make, data = CASES[case]
    with isolated(0):
        p, admitted = make().double(), admit(make().double(), data())
        drawn = run(p.guide, admitted.values)

        def bound(index):
            batch = admitted.take(index)
            fixed = poutine.Trace()
            for name, node in variables(drawn).items():
                value = node["value"][index] if is_local(node) else node["value"]
                fixed.add_node(name, **(node | {"value": value}))

            def guide(**values):
                with poutine.replay(trace=fixed):
                    return p.guide(**arguments(p.guide, values))

            return elbo(p.model, guide, batch.values, batch.observed, scale=N / len(index))

        whole = bound(torch.arange(N))
        weighted = sum(len(index) / N * bound(index) for index in parts(sizes))
        assert weighted.item() == pytest.approx(whole.item(), rel=1e-10)
        if len(set(sizes)) == 1:
            plain = torch.stack([bound(index) for index in parts(sizes)]).mean()
            assert plain.item() == pytest.approx(whole.item(), rel=1e-10)


def switch(n):
    """One switch for all rows: summed out after the rows are multiplied, not before."""
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    s = pyro.sample("s", dist.Categorical(torch.tensor([0.2, 0.5, 0.3])))
    with pyro.plate("data", n):
        pyro.sample("x", dist.Normal(mu + torch.tensor([-1.0, 0.0, 1.0])[s], 1.0))


def two(n):
    """Two hidden variables a row, one the parent of the other."""
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("data", n):
        z = pyro.sample("z", dist.Categorical(torch.tensor([0.2, 0.5, 0.3])))
        w = pyro.sample("w", dist.Bernoulli(torch.tensor([0.1, 0.6, 0.8])[z]))
        pyro.sample("x", dist.Normal(mu + w * torch.tensor([-1.0, 0.0, 1.0])[z], 1.0))


def switch_and_rows(n):
    """A switch for all rows and a hidden variable for each."""
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    s = pyro.sample("s", dist.Bernoulli(0.3)).long()
    with pyro.plate("data", n):
        z = pyro.sample("z", dist.Categorical(torch.tensor([[0.2, 0.8], [0.7, 0.3]])[s]))
        pyro.sample("x", dist.Normal(mu + torch.tensor([-1.0, 1.0])[z], 1.0))


def q_mu():
    pyro.sample("mu", dist.Normal(0.1, 0.5))


@pytest.mark.parametrize("model", [switch, two, switch_and_rows])
def test_sums_out_like_pyro(model):
    x = rows(1)[:, 0].float()
    with isolated(0, validate=True):
        given = ({"n": N}, {"x": x})
        same_seed(lambda: elbo(model, q_mu, *given), pyros(model, q_mu, *given))


def test_a_switch_is_summed_out_by_hand():
    x = rows(1)[:, 0].float()
    with isolated(0):
        mu = torch.tensor(0.25)
        found = elbo(switch, None, {"n": N}, {"x": x, "mu": mu})
    levels = ((0.2, -1), (0.5, 0), (0.3, 1))
    each = [math.log(w) + dist.Normal(mu + s, 1.0).log_prob(x).sum() for w, s in levels]
    expected = torch.stack(each).logsumexp(0) + dist.Normal(0.0, 1.0).log_prob(mu)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def cells(n):
    """A hidden variable for each row, and a plate of cells inside the rows."""
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("data", n, dim=-2):
        z = pyro.sample("z", dist.Categorical(torch.tensor([0.2, 0.8])))
        with pyro.plate("cells", 3, dim=-1):
            pyro.sample("x", dist.Normal(mu + torch.tensor([-1.0, 1.0])[z], 1.0))


@pytest.mark.parametrize("observed", [("x",), ("x", "z")])
def test_a_plate_inside_the_rows_counts_each_row_once(observed):
    data = {"x": rows(3).float(), "z": labels(2)[:, None]}
    with isolated(0):
        given = ({"n": N}, {name: data[name] for name in observed})
        same_seed(lambda: elbo(cells, q_mu, *given), pyros(cells, q_mu, *given, nesting=2))


def test_what_it_cannot_sum_out_it_refuses():
    def model(n):
        with pyro.plate("components", 3):
            s = pyro.sample("s", dist.Bernoulli(0.3))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(s.sum(), 1.0))

    with isolated(0), pytest.raises(Unexplained, match="'s' lies in the plate 'components'"):
        elbo(model, None, {"n": N}, {"x": torch.zeros(N)})


class Bits(nn.Module):
    """Three hidden bits with a Bernoulli guide: the exact ELBO is a sum over eight states."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.3, -0.5, 1.0], dtype=torch.float64))
        self.register_buffer("weights", torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
        self.register_buffer("prior", torch.tensor([0.3, 0.6, 0.5], dtype=torch.float64))

    def model(self, n):
        b = pyro.sample("b", dist.Bernoulli(self.prior).to_event(1))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal((b * self.weights).sum(-1), 1.0))

    def forward(self):
        pyro.sample("b", dist.Bernoulli(logits=self.logits).to_event(1))


def test_score_function_gradient_is_unbiased():
    x = torch.tensor([-1.0, 0.2], dtype=torch.float64)
    draws = 2000
    with isolated(0, grad=True):
        q = Bits()
        given = ({"n": len(x)}, {"x": x})
        states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
        log_q = dist.Bernoulli(logits=q.logits).to_event(1).log_prob(states)
        log_p = dist.Bernoulli(q.prior).to_event(1).log_prob(states)
        log_p = log_p + dist.Normal(states @ q.weights, 1.0).log_prob(x[:, None]).sum(0)
        exact_value = (log_q.exp() * (log_p - log_q)).sum()
        (exact,) = torch.autograd.grad(exact_value, q.logits)
        bounds = [elbo(q.model, q, *given) for _ in range(draws)]
        found = torch.stack([torch.autograd.grad(bound, q.logits)[0] for bound in bounds])
    # 5.2 standard errors for each of four numbers: one false alarm in a million
    limit = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - 1e-6 / 8, dtype=torch.float64))
    error = (found.mean(0) - exact).abs() / (found.std(0) / math.sqrt(draws))
    assert bool((error < limit).all()), error
    values = torch.stack(bounds).detach()
    assert abs(values.mean() - exact_value) < limit * values.std() / math.sqrt(draws)
    # without the score-function term the gradient is zero on average, and the test would notice
    assert bool((exact.abs() > limit * found.std(0) / math.sqrt(draws)).any())
