"""The No-U-Turn sampler against exact posteriors, and its way through every verb."""

import warnings

import arviz_stats
import pytest
import torch

from ppl_gen import NUTS, Importance, ask, fit, load, save, summary, to_arviz
from ppl_gen.errors import DataError, NoDensity, NoEvidence, Unanswerable, Unreliable
from ppl_gen.models import GaussianMixture, LinearRegression

X = torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None]
Y = 0.5 + X[:, 0] + 0.4 * torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PRIOR = LinearRegression(1, shape=3.0, rate=2.0)


@pytest.fixture(scope="module")
def posterior():
    return fit(PRIOR, NUTS(draws=250, warmup=150, chains=2), x=X, y=Y)


def test_means_and_spreads_are_those_of_the_exact_posterior(posterior):
    """Within 5.5 standard errors by the effective sample size, Monte-Carlo error on both sides."""
    exact = fit(PRIOR, x=X, y=Y)
    tree = to_arviz(posterior)
    ess = arviz_stats.ess(tree)
    drawn = exact.draw(4000, seed=0)
    for power in (1, 2):
        for name, values in posterior.guide.values.items():
            found, truth = values.flatten(0, 1) ** power, drawn[name] ** power
            effective = torch.as_tensor(ess[name].values) / 2  # squares mix more slowly
            error = (truth.var(0) * (1 / effective + 1 / len(truth))).sqrt()
            assert (ess[name].values > 50).all()
            assert ((found.mean(0) - truth.mean(0)).abs() < 5.5 * error).all()
    answer, expected = ask(posterior, "p(y | x)", x=X), ask(exact, "p(y | x)", x=X)
    assert (answer.mean - expected.mean).abs().max() < 0.1
    assert (answer.log_prob(y=Y) - expected.log_prob(y=Y)).abs().max() < 0.1


@pytest.mark.parametrize("draws", [1, 3])
def test_any_number_of_draws(draws):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unreliable)  # after so short a warmup some may diverge
        posterior = fit(PRIOR, NUTS(draws=draws, warmup=20, chains=2), x=X, y=Y)
    assert posterior.guide.values["w"].shape == (2, draws, 2)
    assert posterior.note.startswith(f"2 chains of {draws} draws")
    assert ask(posterior, "p(w)").sample(3).shape == (3, 2)


def test_chains_come_to_arviz_as_chains(posterior):
    tree = to_arviz(posterior, draws=100)
    assert tree.posterior["w"].shape == (2, 100, 2)
    assert tree.prior["w"].shape == (2, 100, 2)
    assert "log_q" not in tree.sample_stats
    every = to_arviz(posterior).posterior["w"]
    assert torch.equal(torch.as_tensor(every.values), posterior.guide.values["w"])
    assert (summary(posterior)["r_hat"].astype(float) < 1.1).all()


def test_draws_are_stored_saved_and_drawn_again(posterior, tmp_path):
    save(posterior, tmp_path / "nuts")
    again = load(tmp_path / "nuts")
    assert torch.equal(again.draw(20, seed=1)["w"], posterior.draw(20, seed=1)["w"])
    assert torch.equal(ask(again, "p(y | x)", x=X).mean, ask(posterior, "p(y | x)", x=X).mean)
    drawn = posterior.draw(50, seed=0)
    pairs = torch.cat([drawn["tau"][:, None], drawn["w"]], 1)
    stored = torch.cat([posterior.guide.values["tau"][..., None], posterior.guide.values["w"]], -1).flatten(
        0, 1
    )
    assert all((stored == pair).all(1).any() for pair in pairs)  # tau and w of one draw stay together


def test_what_draws_cannot_do_is_refused(posterior):
    with pytest.raises(NoEvidence, match="have no density"):
        posterior.estimate_elbo()
    with pytest.raises(NoDensity):
        ask(posterior, "p(w)").log_prob(w=[0.0, 0.0])
    with pytest.raises(DataError, match="no prior for new rows"):
        fit(posterior, x=X + 1, y=Y)
    assert "none: draws have no density" in str(posterior)
    with pytest.raises(DataError, match="chains: expected"):
        NUTS(chains=0)


def test_the_seed_decides_and_discrete_variables_of_a_row_are_summed_out():
    x = torch.tensor([[-5.0], [-4.0], [-4.5], [4.0], [5.0], [4.5]], dtype=torch.float64)
    method = NUTS(draws=20, warmup=30, chains=1)
    one, two = (fit(GaussianMixture(2, 1, strength=0.1, rate=1.0), method, x=x) for _ in range(2))
    assert torch.equal(one.guide.values["mu"], two.guide.values["mu"])
    mu = one.guide.values["mu"].squeeze()
    assert (mu[:, 0] - mu[:, 1]).abs().mean() > 5
    answer = ask(one, "p(z | x)", Importance(draws=20), x=x)  # too few for a k-hat
    assert answer.probs.shape == (6, 2)


def test_chains_begin_somewhere_where_no_mode_is(monkeypatch):
    def nowhere(*_):
        raise Unanswerable("the climb to the mode met inf or nan")

    monkeypatch.setattr("ppl_gen.inference.nuts.climbed", nowhere)  # as of a centred hierarchy
    found = fit(PRIOR, NUTS(draws=4, warmup=4, chains=1, progress=False), x=X, y=Y)
    assert torch.isfinite(found.guide.values["w"]).all()
