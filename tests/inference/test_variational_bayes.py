"""Variational Bayes: a bound that rises, below the enumerated evidence, and exact where labels are known."""

import pytest
import torch

from ppl_gen import VariationalBayes, ask, assignments, fit, load, merge, save
from ppl_gen.errors import DataError, NoEvidence
from ppl_gen.models import (
    BernoulliMixture,
    FullGaussianMixture,
    GaussianMixture,
    GaussianNaiveBayes,
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
    TiedGaussianMixture,
)
from tests.inference.test_em import KINDS, rows, two, with_gaps
from tests.thinned import thinned


@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("name", KINDS)
def test_every_step_raises_the_bound(name, gaps):
    model, kind = KINDS[name]
    x = with_gaps(rows(kind)) if gaps else rows(kind)
    history = fit(model, VariationalBayes(restarts=2), x=x).elbo
    assert history[-1] > history[0] + 1e-6
    assert (history.diff() >= -1e-12 * history[1:].abs()).all()


@pytest.mark.parametrize("name", thinned(KINDS, 3))
def test_the_bound_lies_below_the_enumerated_evidence(name):
    """And above it less log K! and what few rows leave uncertain."""
    model, kind = KINDS[name]
    x = rows(kind, n=6)
    evidence = assignments(model, x=x).log_evidence
    bound = fit(model, VariationalBayes(), x=x).elbo[-1]
    assert evidence - 8 < bound <= evidence


@pytest.mark.parametrize("name", thinned(KINDS, 3))
def test_the_bound_is_what_its_parts_say(name):
    """E_q[log p(x, z, θ) - log q(z, θ)] by draws of θ and the labels' own q, within 5 standard errors."""
    model, kind = KINDS[name]
    x = rows(kind, n=12)
    posterior = fit(model, VariationalBayes(tolerance=1e-13), x=x)
    collapsed, error = posterior.estimate_elbo(400)  # labels summed out: the gap is E_q KL(q(z) | p(z | θ))
    assert collapsed > posterior.elbo[-1] - 5 * error
    assert collapsed - posterior.elbo[-1] < len(x)


def test_known_labels_are_exact():
    """With one label hidden that is certain, the bound is the exact evidence of all labelled rows."""
    x = torch.tensor([[0.0], [0.1], [0.2], [500.0], [500.1], [500.2]], dtype=torch.float64)
    nb = GaussianNaiveBayes(2, 1)
    exact = fit(nb, x=x, y=[0, 0, 0, 1, 1, 1])
    hidden = fit(nb, VariationalBayes(restarts=1), x=x, y=[0, 0, 0, 1, 1, float("nan")])
    assert hidden.elbo[-1].item() == pytest.approx(exact.log_evidence, rel=1e-9)
    torch.testing.assert_close(hidden.model.rate, exact.model.rate, rtol=1e-9, atol=0)


def test_yesterdays_posterior_is_todays_prior_and_the_same_rows_do_not_count_twice(tmp_path):
    x = rows("bernoulli")
    model = BernoulliMixture(2, 4)
    first = fit(model, VariationalBayes(), x=x[:45])
    second = fit(first, VariationalBayes(), x=x[45:])
    assert second.model.concentration.sum() == pytest.approx(2 + 90)
    with pytest.raises(DataError, match="counted twice"):
        fit(first, VariationalBayes(), x=x[:45])
    with pytest.raises(NoEvidence, match="has no closed form"):
        _ = first.log_evidence
    with pytest.raises(DataError, match="merge"):
        merge(first, fit(model, VariationalBayes(), x=x[45:]))
    save(first, tmp_path / "vb.pplgen")
    again = load(tmp_path / "vb.pplgen")
    assert torch.equal(ask(first, "p(z | x)", x=x).probs, ask(again, "p(z | x)", x=x).probs)


def test_superfluous_components_stay_empty():
    """Bishop 2006, figure 10.6: with a small concentration the bound itself empties components."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=generator, dtype=torch.float64) + 8.0 * (torch.arange(200) % 2)[:, None]
    model = GaussianMixture(6, 2, concentration=1e-3)
    climbed = [fit(model, VariationalBayes(restarts=1, seed=seed), x=x) for seed in range(6)]
    highest = max(climbed, key=lambda posterior: posterior.elbo[-1])
    assert (highest.model.concentration < 0.1).sum() >= 2  # no rows but the prior's


@pytest.mark.parametrize("cls", [QuadraticDiscriminantAnalysis, LinearDiscriminantAnalysis])
def test_with_one_missing_cell_the_bound_lies_just_below_the_integrated_evidence(cls):
    """log p(x_o, y) is the exact evidence integrated over the cell, by the trapezoid rule."""
    x = two(n=14)[:, :2].nan_to_num(nan=0.5)
    y = torch.arange(14) % 2
    gap = x.clone()
    gap[5, 1] = torch.nan
    model, grid = cls(2, 2), torch.linspace(-60, 60, 2401, dtype=torch.float64)
    prior, whole = (
        model.log_normalizer(),
        model.updated(x=x[torch.arange(14) != 5], y=y[torch.arange(14) != 5]),
    )

    def evidence(cell):
        row = torch.stack([x[5, 0], cell])[None]
        return whole.updated(x=row, y=y[5:6]).log_normalizer() - prior

    exact = torch.stack([evidence(cell) for cell in grid]).logsumexp(0) + (grid[1] - grid[0]).log()
    posterior = fit(model, VariationalBayes(tolerance=1e-12), x=gap, y=y)
    assert posterior.elbo[0] < posterior.elbo[-1] < exact
    assert exact - posterior.elbo[-1] < 0.3  # q makes the cell independent of the parameters: no more is lost


@pytest.mark.slow
@pytest.mark.parametrize("cls", [FullGaussianMixture, TiedGaussianMixture])
def test_with_gaps_the_bound_is_what_its_parts_say(cls):
    """The bound without q of labels and cells, by draws of the parameters, lies above, but not far."""
    x = two(n=60)
    posterior = fit(cls(2, 3), VariationalBayes(tolerance=1e-12), x=x)
    collapsed, error = posterior.estimate_elbo(400)
    assert posterior.elbo[0] < posterior.elbo[-1] - 1
    assert posterior.elbo[-1] - 5 * error < collapsed < posterior.elbo[-1] + 0.2 * x.isnan().sum() + 5 * error


@pytest.mark.parametrize("cls", [FullGaussianMixture, TiedGaussianMixture])
def test_rows_of_which_nothing_is_there_tell_of_nothing(cls):
    x = two(n=60)
    empty = torch.cat([x, torch.full((5, 3), torch.nan, dtype=x.dtype)])
    one = fit(cls(1, 3), VariationalBayes(tolerance=1e-13), x=x)
    other = fit(cls(1, 3), VariationalBayes(tolerance=1e-13), x=empty)
    for name in ("loc", "strength", "df", "factor"):
        torch.testing.assert_close(getattr(one.model, name), getattr(other.model, name), rtol=1e-5, atol=1e-5)
    assert other.elbo[-1].item() == pytest.approx(one.elbo[-1].item(), rel=1e-9)


def test_the_bound_that_is_shown_is_the_last():
    posterior = fit(GaussianMixture(2, 1), VariationalBayes(), x=[[0.0], [1.0], [5.0], [6.0]])
    assert f"ELBO {posterior.elbo[-1]:,.3f} nats\n" in str(posterior)
