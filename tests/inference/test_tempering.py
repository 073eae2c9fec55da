"""beta and free bits change what is climbed and leave the history the ELBO."""

import pytest
import torch

from ppl_gen import SVI, fit
from ppl_gen.distributions import CouplingFlow
from ppl_gen.errors import DataError, NotCompiled
from ppl_gen.inference import steps
from ppl_gen.inference.elbo import bound, terms
from ppl_gen.inference.graphs import capture
from ppl_gen.inference.tempering import kl_of_rows, tempering
from ppl_gen.isolation import isolated
from ppl_gen.models import VAE, SemiSupervisedVAE

X = torch.randint(0, 2, (20, 6), generator=torch.Generator().manual_seed(0)).float()
Y = torch.arange(20) % 3


def drawn(model, **observed):
    observed = {"x": X.to(next(model.parameters()).dtype), **observed}
    seen = {"y": torch.arange(20) < 5} if "y" in observed else {}
    return terms(model.model, model.guide, {**observed, "n": 20}, observed, seen=seen), seen


def vae(**options):
    return VAE(features=6, latent=3, hidden=(8,), **options).double()


@pytest.mark.parametrize("prior", [None, CouplingFlow(2, 4)])
def test_the_bound_is_the_reconstruction_less_the_kl(prior):
    model = vae(prior=prior)
    with isolated(0):
        t, _ = drawn(model)
        kl = kl_of_rows(t)
        reconstruction = t.p["x"]["fn"].log_prob(t.p["x"]["value"]).sum()
        assert kl.shape == (3 if prior is None else 1, 20)
        assert (reconstruction - kl.sum()).item() == pytest.approx(bound(t).item(), rel=1e-10)
        assert tempering(t, 1.0, 0.0, 1.0).item() == 0


def test_the_kl_of_open_and_seen_classes():
    """By the bound: what it is short of the average reconstruction is the KL, less log p(y) of seen rows."""
    model = SemiSupervisedVAE(classes=3, features=6, latent=2, hidden=(8,)).double()
    with isolated(0):
        t, seen = drawn(model, y=Y)
        kl = kl_of_rows(t).sum()
        weights = t.q["y"]["fn"].probs.T
        shown = torch.nn.functional.one_hot(Y, 3).T.double()
        weights = torch.where(seen["y"], shown, weights)
        reconstruction = (weights * t.p["x"]["fn"].log_prob(t.p["x"]["value"])).sum()
        prior_of_seen = 5 * torch.tensor(1 / 3).log()
        expected = reconstruction + prior_of_seen - kl
        assert bound(t, seen=seen).item() == pytest.approx(expected.item(), rel=1e-6)


def test_what_is_climbed():
    model = vae()
    weights = list(model.parameters())
    with isolated(0, grad=True):
        t, _ = drawn(model)
        reconstruction = t.p["x"]["fn"].log_prob(t.p["x"]["value"]).sum()
        kl = kl_of_rows(t).sum(1)
        for beta, free, truth in [
            (0.0, 0.0, reconstruction),
            (1.0, 1e3, reconstruction),  # all of it lies below what is free
            (4.0, 0.0, reconstruction - 4 * kl.sum()),
            (1.0, kl[0].item() / 20, reconstruction - kl.clamp(min=kl[0].item()).sum()),
        ]:
            found = bound(t) + tempering(t, beta, free, 1.0)
            pairs = (
                torch.autograd.grad(v, weights, retain_graph=True, allow_unused=True) for v in (found, truth)
            )
            for a, b in zip(*pairs, strict=True):
                torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b, rtol=1e-9, atol=1e-9)


def test_the_history_is_the_elbo_and_the_note_says_what_was_climbed():
    model = VAE(features=6, latent=3, hidden=(8,))
    plain, heavy, free = (
        fit(model, SVI(steps=300, learning_rate=1e-2, batch_size=0, progress=False, **options), x=X)
        for options in ({}, {"beta": lambda done: 4.0}, {"free_bits": 2.0})
    )
    assert plain.elbo[0] == heavy.elbo[0] == free.elbo[0]  # the same draw of the same start
    assert plain.note == ""
    for posterior in (heavy, free):
        assert "no bound on the evidence; elbo is the ELBO" in posterior.note
        assert posterior.note in str(posterior)
        value, error = posterior.estimate_elbo(200)
        scatter = posterior.elbo[-50:].std() / 50**0.5
        assert (
            abs(value - posterior.elbo[-50:].mean()) < 6 * (error + scatter) + 1.0
        )  # it still climbed a little
    sizes = []
    for posterior in (heavy, plain, free):
        with isolated(0):
            t = terms(posterior.model.model, posterior.guide, {"x": X, "n": 20}, {"x": X})
            sizes.append(kl_of_rows(t).sum().item())
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("options", [{"free_bits": 0.2}, {"beta": 3.0, "batch_size": 10}])
def test_a_captured_step_climbs_the_same(options, monkeypatch):
    model, method = VAE(features=6, latent=3, hidden=(8,)), SVI(steps=50, compile=False, **options)
    written = fit(model, method, x=X)
    captured = []

    def kept(*given):
        captured.append(capture(*given))
        return captured[-1]

    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 1)
    monkeypatch.setattr(steps, "capture", kept)
    found = fit(model, method, x=X)
    assert len(captured) == 1
    torch.testing.assert_close(found.elbo, written.elbo, rtol=1e-4, atol=0)
    assert "nats beside it" in found.note


def test_a_changing_beta_is_never_captured(monkeypatch):
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 1)
    model = VAE(features=6, latent=3, hidden=(8,))
    with pytest.warns(NotCompiled, match="beta is another number at every step"):
        found = fit(model, SVI(steps=20, learning_rate=1e-2, beta=lambda done: 4 * done, compile=True), x=X)
    written = fit(model, SVI(steps=20, learning_rate=1e-2, beta=lambda done: 4 * done, compile=False), x=X)
    assert torch.equal(found.elbo, written.elbo)
    constant = fit(model, SVI(steps=20, learning_rate=1e-2, beta=0.0, compile=False), x=X)
    assert found.elbo[1].item() == pytest.approx(constant.elbo[1].item(), rel=1e-5)  # beta was 0 there
    assert abs(found.elbo[-1] - constant.elbo[-1]) > 1e-3  # and is no longer
    with pytest.raises(DataError, match="tolerance: a beta that changes"):
        SVI(beta=lambda done: done, tolerance=1.0)


@pytest.mark.parametrize(
    "options", [{"beta": -1.0}, {"beta": "linear"}, {"free_bits": -0.1}, {"free_bits": abs}]
)
def test_settings_are_checked(options):
    with pytest.raises(DataError, match=f"{next(iter(options))}: expected a number from 0 up"):
        SVI(**options)
