"""Components renamed alike: found in any joint by its own density, and left alone where they have names."""

import math
from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch

from ppl_gen import NUTS, Importance, ProbabilisticModel, VariationalBayes, ask, fit, relabelled
from ppl_gen.distributions import Ordered
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.relabelling import Components, rename, renamed_draws
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import GaussianMixture, LinearRegression, PoissonMixture
from tests.inference.test_em import KINDS, rows

ONE = torch.ones((), dtype=torch.float64)


class Pair(ProbabilisticModel):
    """A mixture of someone's own: no plate of components, and a scale that both share."""

    joint = "p(pi) p(scale) p(mu) p(z | pi) p(x | z, mu, scale)"

    def __init__(self, prior=None):
        super().__init__()
        self.prior = prior or dist.Normal(0 * ONE, 5 * ONE).expand([2]).to_event(1)

    def model(self, n):
        pi = pyro.sample("pi", dist.Dirichlet(torch.ones(2, dtype=torch.float64)))
        scale = pyro.sample("scale", dist.Gamma(ONE, ONE).expand([2]).to_event(1))  # of the two columns
        mu = pyro.sample("mu", self.prior)
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(pi))
            return pyro.sample("x", dist.Normal(mu[z][..., None] + torch.zeros(2), scale).to_event(1))


def looked(model, seed=0, **data):
    """The components of a model given data, and some draws of its prior."""
    with isolated(0):
        admitted = admit(model, data, missing=True)
    names = [name for name, site in admitted.sites.items() if not site.local]
    drawn = ask(model, f"p({', '.join(names)})").sample(6, seed=seed)
    return Components("test", model, admitted), drawn


@pytest.mark.parametrize("name", KINDS)
def test_permuted_copies_of_a_draw_become_one_again(name):
    model, kind = KINDS[name]
    x = rows(kind)[:30]
    components, _ = looked(model, x=x)
    one = {k: v[0] for k, v in fit(model, VariationalBayes(), x=x).draw(1, seed=0).items()}
    with isolated(0):
        places = components.places(one)
        assert places is not None
        orders = [torch.randperm(components.levels) for _ in range(5)]
        copies = [one, *(components.renamed(one, places, order) for order in orders)]
        mixed = {k: torch.stack([c[k] for c in copies]) for k in one}
        found = rename(components, mixed)
    assert any(not torch.equal(v, v[:1].expand_as(v)) for v in mixed.values())
    for value in found.values.values():
        torch.testing.assert_close(value, value[:1].expand_as(value), rtol=0, atol=0)
    sizes = components.look({k: v[0] for k, v in found.values.items()}).weights.sum(1)
    assert (sizes.diff() <= 1e-9).all()  # in the order of their weights


def test_one_s_own_mixture_is_found_by_its_density_alone():
    """The two columns share a scale of the same length as there are components: it must stay."""
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    components, drawn = looked(Pair(), x=x)
    with isolated(0):
        assert components.places({k: v[0] for k, v in drawn.items()}) == {"pi": -1, "mu": -1}


@pytest.mark.parametrize(
    "model",
    [
        Pair(Ordered(dist.Normal(0 * ONE, 5 * ONE), 2)),
        Pair(dist.Normal(torch.tensor([0.0, 3.0], dtype=torch.float64), 1.0).to_event(1)),
        GaussianMixture(2, 2, loc=[[0.0, 0.0], [2.0, 1.0]]),
        GaussianMixture(2, 2, concentration=[1.0, 3.0]),
    ],
    ids=["ordered", "other means", "other locations", "other weights"],
)
def test_components_that_the_prior_tells_apart_keep_their_names(model):
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    components, drawn = looked(model, x=x)
    with isolated(0):
        assert components.places({k: v[0] for k, v in drawn.items()}) is None
        chains = {k: v.unflatten(0, (2, 3)) for k, v in drawn.items()}
        same, note = renamed_draws(model, components.data, chains)
    assert "none is renamed" in note
    assert all(torch.equal(same[k], chains[k]) for k in chains)


def test_components_with_labelled_rows_keep_their_names():
    x = torch.tensor([[0.0], [4.0], [9.0], [0.3], [4.2], [9.1]], dtype=torch.float64)
    gap = math.nan
    for labels, free in (
        ([gap] * 6, [0, 1, 2]),
        ([0, gap, gap, gap, gap, gap], [1, 2]),
        ([0, 1, gap, gap, gap, gap], [2]),
    ):
        components, drawn = looked(PoissonMixture(3, 1), x=x.round(), z=labels)
        assert components.free == free
        with isolated(0):
            found = rename(components, drawn)
        moved = [k for k in range(3) if not torch.equal(found.values["lam"][:, k], drawn["lam"][:, k])]
        assert set(moved) <= set(free if len(free) > 1 else [])
        assert (found.pivot is None) == (len(free) < 2)


def test_look_is_the_joint_density_and_bayes_rule():
    model, kind = KINDS["gaussian"] if "gaussian" in KINDS else next(iter(KINDS.values()))
    x = rows(kind)[:20]
    components, drawn = looked(model, x=x)
    one = {k: v[0] for k, v in drawn.items()}
    with isolated(0):
        look = components.look(one)
    bar = ", ".join(one)
    density = ask(model, f"p(x | {bar})", **one).log_prob(x=x)
    torch.testing.assert_close(look.log_rows, density, rtol=1e-9, atol=1e-9)
    prior = ask(model, f"p({bar})").log_prob(**one)
    torch.testing.assert_close(look.log_joint, density.sum() + prior, rtol=1e-9, atol=1e-9)
    probs = ask(model, f"p(z | x, {bar})", x=x, **one).probs
    torch.testing.assert_close(look.weights.T, probs, rtol=1e-8, atol=1e-10)


def test_nuts_renames_and_says_so():
    """Four chains start wherever they like; without renaming, a component is now here, now there."""
    x = torch.tensor([[0.0], [1.0], [0.0], [1.0], [9.0], [8.0], [11.0], [10.0]])
    model = PoissonMixture(2, 1, concentration=5.0)
    named = fit(model, NUTS(draws=15, warmup=15, chains=2), x=x)
    assert "components renamed alike in all draws" in named.note
    lam = named.guide.values["lam"][..., 0]
    assert bool(((lam[..., 0] > lam[..., 1]) == (lam[0, 0, 0] > lam[0, 0, 1])).all())
    raw = fit(model, NUTS(draws=15, warmup=15, chains=2, relabel=False), x=x)
    assert "renamed" not in raw.note
    flipped = {
        k: torch.cat([v[:1], v[1:].flip(-1 if k == "pi" else -2)]) for k, v in raw.guide.values.items()
    }
    switched = relabelled(replace(raw, guide=Draws(flipped), _drawn={}))
    assert "labels had switched in 15 of 30" in switched.note
    lam = switched.guide.values["lam"][..., 0]
    assert bool(((lam[..., 0] > lam[..., 1]) == (lam[0, 0, 0] > lam[0, 0, 1])).all())
    answer = ask(switched, "p(z | x)", Importance(draws=20), x=x).probs  # worthless were labels to switch
    assert (answer.amax(1) > 0.9).all()


def test_what_is_no_mixture_is_left_alone_or_refused():
    x, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0]
    posterior = fit(LinearRegression(1), NUTS(draws=5, warmup=5, chains=1), x=x, y=y)
    assert "renamed" not in posterior.note
    with pytest.raises(Unanswerable, match="exactly one hidden variable of the rows"):
        relabelled(posterior)
    with pytest.raises(Unanswerable, match="expected draws of NUTS"):
        relabelled(fit(PoissonMixture(2, 1), VariationalBayes(), x=[[0], [9]]))
