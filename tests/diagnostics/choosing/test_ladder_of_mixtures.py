"""The ladder of mixtures: labels that switch, components that are ordered, and what a mean field loses."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch

from ppl_gen import NUTS, SVI, ProbabilisticModel, VariationalBayes, assignments, check_model, fit
from ppl_gen.diagnostics import ladder
from ppl_gen.diagnostics.choosing.ladder import _Naming
from ppl_gen.diagnostics.choosing.moments import SURE
from ppl_gen.distributions import Ordered
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import GaussianMixture, PoissonMixture
from tests.thinned import thinned

ONE = torch.ones((), dtype=torch.float64)


class OrderedMeans(ProbabilisticModel):
    """Two Normals of known scale and weight; their means ascend."""

    joint = "p(mu) p(z) p(x | z, mu)"

    def model(self, n):
        mu = pyro.sample("mu", Ordered(dist.Normal(0 * ONE, 2 * ONE), 2))
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(torch.tensor([0.6, 0.4], dtype=torch.float64)))
            return pyro.sample("x", dist.Normal(mu[z], ONE))


def rows(n=60):
    generator = torch.Generator().manual_seed(0)
    z = (torch.rand(n, generator=generator) > 0.6).double()
    return torch.randn(n, generator=generator, dtype=torch.float64) + 5 * z - 2.5


def quadrature(x, points=240):
    """Means, sds and log evidence of `OrderedMeans`, on a grid about the two means."""
    low, high = (torch.linspace(c - 1.3, c + 1.3, points, dtype=torch.float64) for c in (-2.5, 2.5))
    a, b = torch.meshgrid(low, high, indexing="ij")
    prior = sum(dist.Normal(0.0, 2.0).log_prob(m) for m in (a, b)) + math.log(2)
    each = [
        w + dist.Normal(m[..., None], 1.0).log_prob(x) for w, m in ((math.log(0.6), a), (math.log(0.4), b))
    ]
    log = prior + torch.logaddexp(*each).sum(-1)
    evidence = log.logsumexp((0, 1)) + ((low[1] - low[0]) * (high[1] - high[0])).log()
    p = (log - log.logsumexp((0, 1))).exp()
    means = torch.stack([(p * m).sum() for m in (a, b)])
    sds = torch.stack([(p * (m - c) ** 2).sum().sqrt() for m, c in zip((a, b), means, strict=True)])
    return means, sds, evidence.item()


@pytest.fixture(scope="module")
def ordered():
    x = rows()
    rungs = {
        "SVI, mean-field": SVI(steps=800, guide="mean_field", progress=False),
        "SVI, full-rank": SVI(steps=800, guide="full_rank", progress=False),
        "importance-weighted": None,
        "NUTS": NUTS(draws=120, warmup=80, chains=2, progress=False),
    }
    return ladder(OrderedMeans(), rungs=rungs, draws=2000, x=x), quadrature(x)


def test_an_ordered_mixture_keeps_the_contract():
    check_model(OrderedMeans())


@pytest.mark.slow
def test_ordered_means_equal_the_quadrature(ordered):
    """NUTS and importance weights within their Monte-Carlo error; full rank within 0.1 sd besides."""
    found, (means, sds, evidence) = ordered
    assert found.labels == ""  # ordered components have names: nothing was renamed
    weighted = found["importance-weighted"]
    assert abs(weighted.bound - evidence) < 5 * weighted.error + 0.01
    for name, bias in (("NUTS", 0.0), ("importance-weighted", 0.0), ("SVI, full-rank", 0.1)):
        got = found[name].moments
        noise = SURE * got.effective["mu"].rsqrt()
        assert (((got.means["mu"] - means) / sds).abs() < noise + bias).all(), name
        assert ((got.sds["mu"] / sds).log().abs() < SURE * got.sd_errors["mu"] + bias).all(), name


@pytest.mark.slow
def test_the_ladder_says_what_a_mean_field_loses(ordered):
    """The order couples mu[1] to mu[0], which a mean field cannot follow: without gold draws it is told."""
    found, (_, sds, evidence) = ordered
    start = fit(OrderedMeans(), SVI(steps=1, guide="full_rank", progress=False), x=rows())
    assert start.estimate_elbo(50)[0] < evidence - 10
    field, full = found["SVI, mean-field"], found["SVI, full-rank"]
    assert (field.sds["mu"] / sds)[0] < 0.9  # it is so
    said = found.shortfalls()
    assert "nats below the log evidence" in said["SVI, mean-field"]
    assert "sds too small, as multiples of those of NUTS: mu[0] 0." in said["SVI, mean-field"]
    assert "SVI, full-rank" not in said
    assert "SVI, mean-field falls short" in found.words()
    assert full.bound > field.bound + 0.1


@pytest.mark.slow
def test_every_cell_is_filled_or_explained(ordered):
    found, _ = ordered
    table, words = found.table(), found.words()
    empty = [name for name in table.index if math.isnan(table.loc[name, "bound (nats)"])]
    assert empty == ["NUTS"]
    assert "no bound (NUTS: draws have no density)" in words
    assert not table[["error of means (sd)", "error of sds (fraction)", "seconds"]].isna().any().any()
    assert "nan" not in str(found).lower().split("\n", 1)[1]
    assert "–" in str(found)
    assert set(found.trees(draws=3)) == {"SVI, mean-field", "SVI, full-rank", "NUTS"}


@pytest.mark.parametrize("seed", thinned(range(4), 4))
def test_labels_that_switch_between_rungs_spoil_no_error(seed):
    """Every start may name components as it likes; four seeds all alike have one chance in 64 and more."""
    x = torch.tensor([[0.0], [0.3], [0.5], [9.0], [9.4], [9.9], [9.1]])
    model = GaussianMixture(2, 1)
    found = ladder(model, rungs=["EM", "enumeration", "variational Bayes"], draws=200, seed=seed, x=x)
    assert found.reference == "enumeration"
    assert found.log_evidence == pytest.approx(assignments(model, x=x).log_evidence, abs=1e-9)
    assert "after components were renamed alike" in found.words()
    assert found["variational Bayes"].bound < found.log_evidence + 5 * found["variational Bayes"].error
    for name in ("EM", "variational Bayes"):
        assert found.errors(name)[0] < 2  # a switched mean would be off by ten and more


def test_naming_undoes_a_permutation():
    x = torch.tensor([[0.0], [1.0], [0.0], [9.0], [8.0], [12.0]])
    model = PoissonMixture(2, 1)
    drawn = fit(model, VariationalBayes(), x=x).draw(20, seed=0)
    with isolated(0):
        naming = _Naming(model, admit(model, {"x": x}, missing=True))
    first = naming(model, drawn)
    again = naming(model, {name: v.flip(1) for name, v in drawn.items()})
    for name, value in first.items():
        assert torch.equal(value, again[name])
    assert naming.note


def test_weights_of_one_naming_say_what_they_may_miss():
    x = [[1], [2], [100], [110], [4000], [4050]]
    model, rungs = PoissonMixture(components=3, features=1), ["variational Bayes", "importance-weighted"]
    found = ladder(model, rungs=rungs, draws=100, x=x)
    assert assignments(model, x=x).log_evidence - found.log_evidence > 1.0
    assert "up to 1.79 nats too low" in found.evidence_by
    assert "up to 1.79 nats too low" in found.words()
    whole = ladder(model, rungs=["enumeration", *rungs], draws=100, x=x)
    assert whole.evidence_by == "enumeration"
