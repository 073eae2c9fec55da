"""Mixtures whose weights are broken off a stick: every mixture, every method, against enumeration."""

import itertools
import math

import pytest
import torch
from scipy.stats import t as student_t

from ppl_gen import (
    EM,
    MAP,
    NUTS,
    SVI,
    Exact,
    Importance,
    MaximumLikelihood,
    VariationalBayes,
    ask,
    assignments,
    check_model,
    fit,
    load,
    log_evidence,
    relabelled,
    save,
    to_arviz,
)
from ppl_gen.core import run
from ppl_gen.distributions import stick_lengths
from ppl_gen.errors import DataError, Unanswerable, UnknownVariable
from ppl_gen.models import BernoulliMixture, GaussianMixture
from tests.distributions.test_sticks import log_marginal
from tests.inference.test_em import KINDS, rows
from tests.thinned import thinned

ALPHA = 0.8
PROCESS = {"weights": "dirichlet process", "concentration": ALPHA}


def process(name):
    model, kind = KINDS[name]
    return type(model)(**model.configuration, **PROCESS), kind


@pytest.mark.parametrize("name", thinned(KINDS, 4))
def test_keeps_the_contract(name):
    check_model(process(name)[0])


def test_the_joint_is_printed_with_its_sticks():
    model = GaussianMixture(components=20, features=2, weights="dirichlet process", concentration=1.0)
    assert str(model) == "p(v) p(tau) p(mu | tau) p(z | v) p(x | z, mu, tau)"
    assert model.approximation == "q(v) q(tau) q(mu)"
    assert "weights='dirichlet process'" in repr(model)
    assert str(GaussianMixture(20, 2)) == "p(pi) p(tau) p(mu | tau) p(z | pi) p(x | z, mu, tau)"


def test_what_is_no_process_is_refused():
    with pytest.raises(DataError, match="weights: expected dirichlet, dirichlet process, got 'stick'"):
        GaussianMixture(2, 2, weights="stick")
    with pytest.raises(DataError, match="components: expected a whole number from 2 up, got 1"):
        GaussianMixture(1, 2, weights="dirichlet process")
    with pytest.raises(DataError, match=r"concentration: expected a positive number, got tensor\(\[1., 1.\]"):
        BernoulliMixture(2, 2, weights="dirichlet process", concentration=torch.ones(2))
    with pytest.raises(UnknownVariable, match="'pi' is not a variable"):
        ask(GaussianMixture(2, 2, **PROCESS), "p(pi)")


def test_the_program_breaks_the_stick_by_the_formula():
    v = torch.tensor([0.5, 0.25], dtype=torch.float64)
    found = run(BernoulliMixture(3, 1, **PROCESS).model, {"n": 1}, {"v": v}).nodes
    torch.testing.assert_close(found["z"]["fn"].probs[0], torch.tensor([0.5, 0.125, 0.375]).double())
    log_prior = sum(math.log(ALPHA) + (ALPHA - 1) * math.log(1 - share) for share in v.tolist())
    assert found["v"]["fn"].log_prob(v).item() == pytest.approx(log_prior, abs=1e-12)


X = [[1.0], [0.0], [1.0], [1.0], [0.0]]


def by_hand(x, components):
    """Log p(x, z) of every labelling of zeros and ones, by Beta functions alone."""
    found = {}
    for z in itertools.product(range(components), repeat=len(x)):
        score = log_marginal([z.count(k) for k in range(components)], ALPHA)
        for k in range(components):
            own = [row[0] for row, label in zip(x, z, strict=True) if label == k]
            score += (
                math.lgamma(1 + sum(own)) + math.lgamma(1 + len(own) - sum(own)) - math.lgamma(2 + len(own))
            )
        found[z] = score
    return found


def test_enumeration_equals_the_marginal_of_counts():
    """Evidence and p(z | x) to 1e-8; the weights' posterior mean, which no method of one pass knows, too."""
    scores = by_hand(X, 3)
    total = torch.tensor(list(scores.values()), dtype=torch.float64).logsumexp(0)
    found = assignments(BernoulliMixture(3, 1, **PROCESS), x=X)
    assert found.log_evidence == pytest.approx(total.item(), abs=1e-8)
    for labels, log_prob in zip(found.labels.tolist(), found.log_probs.tolist(), strict=True):
        assert log_prob == pytest.approx(scores[tuple(labels)] - total.item(), abs=1e-8)
    finite = assignments(BernoulliMixture(3, 1), x=X).log_evidence
    assert abs(finite - found.log_evidence) > 1e-3  # another prior


@pytest.mark.slow
def test_the_bound_and_the_elbo_lie_below_the_enumerated_evidence():
    model = BernoulliMixture(3, 1, **PROCESS)
    evidence = assignments(model, x=X).log_evidence
    assert evidence - 3 < fit(model, VariationalBayes(), x=X).elbo[-1] <= evidence
    svi = fit(model, SVI(steps=400), x=X)
    start = fit(model, SVI(steps=1, learning_rate=1e-9), x=X)
    bound, error = svi.estimate_elbo(400)
    first, scatter = start.estimate_elbo(100)
    assert bound - 5 * error > first + 5 * scatter
    assert evidence - 1 < bound < evidence + 5 * error
    weighted = log_evidence(svi, Importance(400))
    assert abs(float(weighted) - evidence) < 6 * weighted.standard_error + 0.05  # k-hat allows no less


@pytest.mark.parametrize("name", KINDS)
def test_coordinate_ascent_is_monotone_and_below_the_evidence(name):
    model, kind = process(name)
    history = fit(model, VariationalBayes(restarts=2), x=rows(kind)).elbo
    assert history[-1] > history[0] + 1e-6
    assert (history.diff() >= -1e-12 * history[1:].abs()).all()
    x = rows(kind, n=6)
    bound = fit(model, VariationalBayes(restarts=3), x=x).elbo[-1]
    assert bound <= assignments(model, x=x).log_evidence


@pytest.mark.parametrize("name", KINDS)
def test_labels_given_are_exact(name):
    """The evidence of labels apart from that of the rows is the marginal of counts."""
    model, kind = process(name)
    x, z = rows(kind), torch.arange(90) % 3
    posterior = fit(model, x=x, z=z)
    assert isinstance(posterior.method, Exact)
    finite = fit(KINDS[name][0], x=x, z=z).log_evidence
    labels = math.lgamma(3) + 3 * math.lgamma(31) - math.lgamma(93)  # of Dirichlet(1, 1, 1)
    expected = finite - labels + log_marginal([30, 30, 30], ALPHA)
    assert posterior.log_evidence == pytest.approx(expected, rel=1e-10)
    parts = [fit(model, x=x[rows_], z=z[rows_]) for rows_ in (slice(0, 40), slice(40, 90))]
    assert (parts[0] + parts[1]).log_evidence == pytest.approx(posterior.log_evidence, rel=1e-10)
    batches = ({"x": x[i : i + 30], "z": z[i : i + 30]} for i in (0, 30, 60))
    assert fit(model, Exact(), batches).log_evidence == pytest.approx(posterior.log_evidence, rel=1e-10)


def test_questions_about_sticks_weights_and_rows():
    x, z = rows("bernoulli"), torch.tensor([0] * 60 + [1] * 30)
    posterior = fit(BernoulliMixture(3, 4, **PROCESS), x=x, z=z)
    v = ask(posterior, "p(v)")
    torch.testing.assert_close(v.mean, torch.tensor([61 / (91 + ALPHA), 31 / (31 + ALPHA)]).double())
    assert v.how == "exact"
    weights = stick_lengths(v.sample(4000, seed=0))
    error = weights.std(0) / 4000**0.5
    probs = ask(posterior, "p(z)").probs
    assert ((weights.mean(0) - probs).abs() < 5.5 * error).all()  # 1e-6, three numbers
    given = torch.tensor([0.2, 0.5], dtype=torch.float64)
    answer = ask(posterior, "p(z | x, v)", x=x, v=given)
    densities = torch.stack([ask(posterior, "p(x | z)", z=k).log_prob(x=x) for k in range(3)], -1)
    expected = (densities + stick_lengths(given).log()).softmax(-1)
    torch.testing.assert_close(answer.probs, expected, rtol=1e-10, atol=1e-12)
    assert answer.how == "enumerated"
    total = (densities + probs.log()).logsumexp(-1)
    torch.testing.assert_close(ask(posterior, "p(x)").log_prob(x=x), total)


def test_points_of_largest_likelihood_do_not_see_the_prior():
    x, z = rows("gaussian"), torch.arange(90) % 3
    one, two = (fit(GaussianMixture(3, 4, **w), MaximumLikelihood(), x=x, z=z).point for w in ({}, PROCESS))
    torch.testing.assert_close(stick_lengths(two["v"]), one["pi"])
    torch.testing.assert_close(two["mu"], one["mu"])


def test_map_of_the_sticks():
    """EM(prior=True) climbs the density of the sticks; each is then at the mode of its own Beta."""
    x = rows("bernoulli")
    model = BernoulliMixture(3, 4, ones=2.0, zeros=2.0, weights="dirichlet process", concentration=2.0)
    posterior = fit(model, EM(prior=True, restarts=2, tolerance=1e-12), x=x)
    assert (posterior.elbo.diff() >= -1e-12 * posterior.elbo[1:].abs()).all()
    assert posterior.elbo[-1] > posterior.elbo[0] + 1e-6
    counts = ask(posterior, "p(z | x)", x=x).probs.sum(0)
    later = counts.flip(0).cumsum(0).flip(0)[1:]
    expected = counts[:-1] / (counts[:-1] + later + 2.0 - 1)
    torch.testing.assert_close(posterior.point["v"], expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(DataError, match="prior: expected one whose density of v has a peak"):
        fit(BernoulliMixture(9, 4, ones=2, zeros=2, **PROCESS), EM(prior=True), x=[[1.0, 0, 1, 0]] * 4)
    assert "v" in fit(model, MAP(), x=x).point


@pytest.mark.slow
def test_draws_agree_with_enumeration():
    """E[pi | x] by NUTS, within the scatter of its chains, which are independent of one another."""
    model = BernoulliMixture(2, 1, **PROCESS)
    found = assignments(model, x=X)
    counts = torch.nn.functional.one_hot(found.labels, 2).sum(1).double()
    each = torch.stack([model.family("classes").updated(c).predictive().probs for c in counts])
    expected = (found.log_probs.exp()[:, None] * each).sum(0)[0].item()
    posterior = fit(model, NUTS(draws=50, warmup=50, chains=8), x=X)
    means = posterior.guide.values["v"].mean((1, 2))
    allowed = student_t(7).ppf(1 - 5e-7) * means.std().item() / 8**0.5  # false alarms: 1e-6
    assert abs(means.mean().item() - expected) < allowed
    with pytest.raises(Unanswerable, match="earlier components are larger a priori"):
        relabelled(posterior)
    assert "none is renamed" in to_arviz(posterior, draws=5).attrs["note"]


def test_it_is_saved(tmp_path):
    x = rows("gaussian")
    posterior = fit(GaussianMixture(5, 4, **PROCESS), VariationalBayes(restarts=1), x=x)
    save(posterior, tmp_path / "dp.pplgen")
    again = load(tmp_path / "dp.pplgen")
    assert again.model.joint == posterior.model.joint
    assert not again.model.exchangeable
    assert torch.equal(ask(posterior, "p(z | x)", x=x).probs, ask(again, "p(z | x)", x=x).probs)


@pytest.mark.parametrize("covariance", ["diagonal", "spherical", "tied", "full"])
def test_unused_components_are_worth_less_than_under_a_finite_dirichlet(covariance):
    """Labels of three components out of twenty: the rest keep 17 / (n + 20), or what falls off the stick."""
    x, z = rows("gaussian"), torch.arange(90) % 3
    finite, endless = (
        ask(fit(GaussianMixture(20, 4, covariance=covariance, **w), x=x, z=z), "p(z)").probs
        for w in ({}, PROCESS)
    )
    assert finite[3:].sum().item() == pytest.approx(17 / 110)
    left = (60 + ALPHA) / (91 + ALPHA) * (30 + ALPHA) / (61 + ALPHA) * ALPHA / (31 + ALPHA)
    assert endless[3:].sum().item() == pytest.approx(left)


@pytest.mark.parametrize("seed", range(3))
def test_three_clusters_keep_three_of_twenty_components(seed):
    """Clusters of normal scores, so that no split has a reason; the finite Dirichlet's bound is below."""
    grid = (torch.arange(30, dtype=torch.float64) + 0.5) / 30
    x = torch.cat([torch.special.ndtri(grid) + 30 * k for k in range(3)])[:, None]
    method = VariationalBayes(seed=seed, tolerance=1e-6)
    endless, finite = (fit(GaussianMixture(20, 1, **w), method, x=x) for w in (PROCESS, {}))
    assert (ask(endless, "p(z)").probs > 0.05).sum() == 3
    assert (ask(finite, "p(z)").probs > 0.05).sum() >= 3
    assert endless.elbo[-1] > finite.elbo[-1]
