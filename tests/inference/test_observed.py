"""Classes that only some rows show: summed out, or averaged over by the guide, where they are missing."""

import itertools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, config_enumerate

from ppl_gen import NUTS, SVI, Importance, Laplace, ask, fit, to_arviz
from ppl_gen.errors import Unexplained
from ppl_gen.inference import elbo
from ppl_gen.inference.elbo import bound, log_weights, terms
from ppl_gen.isolation import isolated
from ppl_gen.models import GaussianNaiveBayes, SemiSupervisedVAE

N, K, F = 9, 3, 4
NAN = float("nan")


def bits(rows=N, seed=0):
    return torch.randint(0, 2, (rows, F), generator=torch.Generator().manual_seed(seed)).double()


Y = torch.arange(N) % K
SEEN = torch.tensor([True, False, True, True, False, False, True, False, True])
GAPS = torch.where(SEEN, Y.double(), NAN)


def vae():
    model = SemiSupervisedVAE(classes=K, features=F, latent=2, hidden=(8,)).double()
    with torch.no_grad():  # classes matter from the start
        model.classifier[-1].weight.mul_(5)
    return model


def naive_bayes_terms(x):
    pi = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    mu = torch.arange(3.0 * F, dtype=torch.float64).reshape(3, F) / 5
    tau = torch.ones(3, F, dtype=torch.float64)
    rows = pi.log() + dist.Normal(mu, 1.0).to_event(1).log_prob(x[:, None])  # (n, classes)
    return {"pi": pi, "mu": mu, "tau": tau}, rows


def test_a_model_s_open_class_is_summed_out_and_a_seen_one_is_not():
    x, p = bits(), GaussianNaiveBayes(classes=3, features=F)
    parameters, rows = naive_bayes_terms(x)
    with isolated(0):
        shared = elbo(p.model, None, {"n": 1}, {"x": x[:1], "y": Y[:1], **parameters}) - rows[0, Y[0]]
        found = elbo(p.model, None, {"n": N}, {"x": x, "y": Y, **parameters}, seen={"y": SEEN})
    each = torch.where(SEEN, rows[torch.arange(N), Y], rows.logsumexp(1))
    assert found.item() == pytest.approx((shared + each.sum()).item(), rel=1e-12)


@pytest.mark.parametrize("name", ["naive Bayes", "VAE"])
def test_all_seen_is_observed_and_none_seen_is_hidden(name):
    p = GaussianNaiveBayes(classes=3, features=F) if name == "naive Bayes" else vae()
    x = bits()
    values = {"n": N, "x": x}

    def value(observed, seen=None):
        with isolated(3):
            return elbo(
                p.model, p.guide, values, {"x": x, **observed}, plates=2 - (name == "VAE"), seen=seen
            ).item()

    assert value({"y": Y}, {"y": ~SEEN & False}) == pytest.approx(value({}), rel=1e-12)
    if name == "naive Bayes":  # the VAE's guide draws a code for each class, or one
        assert value({"y": Y}, {"y": SEEN | True}) == pytest.approx(value({"y": Y}), rel=1e-12)


def test_averaging_over_the_guide_s_class_equals_pyro():
    p, x = vae().float(), bits().float()

    def conditioned(n, x):
        return pyro.condition(p.model, data={"x": x})(n)

    with isolated(0, validate=True):
        pyro.set_rng_seed(3)
        ours = elbo(p.model, p.guide, {"n": N, "x": x}, {"x": x}, plates=1)
        pyro.set_rng_seed(3)
        pyros = -TraceEnum_ELBO(max_plate_nesting=1).loss(conditioned, config_enumerate(p.guide), N, x)
        assert ours.item() == pytest.approx(pyros, rel=1e-5)
        pyro.set_rng_seed(3)
        ours = elbo(p.model, p.guide, {"n": N, "x": x}, {"x": x, "y": Y}, plates=1)
        pyro.set_rng_seed(3)

        def labelled(n, x):
            return pyro.condition(p.model, data={"x": x, "y": Y})(n)

        def given(n, x):  # q(y | x) is no factor of a labelled row
            with poutine.block(hide=["y"]), pyro.condition(data={"y": Y}):
                p.guide(n, x)

        pyros = -Trace_ELBO().loss(labelled, given, N, x)
        assert ours.item() == pytest.approx(pyros, rel=1e-5)


def by_hand(p, x, z):
    """The bound of Kingma et al. 2014, equations 6 and 7, with the draws z (classes, rows, latent)."""
    each = []
    log_q = dist.Categorical(logits=p.classifier(x)).logits  # (n, classes)
    for y in range(K):
        marks = torch.nn.functional.one_hot(torch.tensor(y), K).double().expand(N, K)
        loc, log_scale = p.encoder(torch.cat([x, marks], 1)).chunk(2, -1)
        value = dist.Normal(0.0, 1.0).log_prob(z[y]).sum(1) - dist.Normal(loc, log_scale.exp()).log_prob(
            z[y]
        ).sum(1)
        value = value + dist.Bernoulli(logits=p.decoder(torch.cat([z[y], marks], 1))).log_prob(x).sum(1)
        each.append(value - math.log(K))
    each = torch.stack(each, 1)
    labelled = each[torch.arange(N), Y]
    unlabelled = (log_q.exp() * (each - log_q)).sum(1)
    return torch.where(SEEN, labelled, unlabelled).sum()


def test_labelled_and_unlabelled_rows_of_one_fit_by_hand_and_its_gradient():
    p, x = vae(), bits()
    with isolated(0, grad=True):
        t = terms(p.model, p.guide, {"n": N, "x": x}, {"x": x, "y": Y}, seen={"y": SEEN})
        ours, hand = bound(t, seen={"y": SEEN}), by_hand(p, x, t.q["z"]["value"])
        assert ours.item() == pytest.approx(hand.item(), rel=1e-12)
        weights = list(p.parameters())
        for a, b in zip(
            *(torch.autograd.grad(v, weights, retain_graph=True) for v in (ours, hand)), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_certain_guides_leave_nothing_undefined():
    """0 log 0 = 0: a class that q(y | x) rules out contributes nothing, nor to the gradient."""
    p, x = vae(), bits()
    with torch.no_grad():
        p.classifier[-1].bias[0] = 5000.0
    with isolated(0, grad=True):
        value = elbo(p.model, p.guide, {"n": N, "x": x}, {"x": x, "y": Y}, seen={"y": SEEN})
        found = torch.autograd.grad(value, list(p.parameters()))
    assert torch.isfinite(value)
    assert all(bool(torch.isfinite(g).all()) for g in found)


def test_a_switch_of_all_rows_and_an_average_in_each_row_do_not_mix():
    def model(n):
        s = pyro.sample("s", dist.Bernoulli(0.3))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Bernoulli(0.5))
            pyro.sample("x", dist.Normal(s + y, 1.0))

    def guide(n):
        with pyro.plate("data", n):
            pyro.sample("y", dist.Bernoulli(torch.full((n,), 0.4)), infer={"enumerate": "parallel"})

    with isolated(0), pytest.raises(Unexplained, match="'s' is summed out for all rows together"):
        elbo(model, guide, {"n": N}, {"x": torch.zeros(N)})


def heaps(rows=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(rows) % 3
    x = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], dtype=torch.float64)[y]
    return x + torch.randn(rows, 2, generator=generator, dtype=torch.float64), y


def test_svi_with_missing_labels_stays_below_the_evidence_of_all_labellings():
    """The evidence is a sum over the 3³ labellings of three open rows, each of which is exact."""
    x, y = heaps(24)
    gaps = torch.where(torch.arange(24) < 3, NAN, y.double())
    nb = GaussianNaiveBayes(classes=3, features=2)
    every = []
    for some in itertools.product(range(3), repeat=3):
        labels = torch.cat([torch.tensor(some), y[3:]])
        every.append(fit(nb, x=x, y=labels).log_evidence)
    evidence = torch.tensor(every, dtype=torch.float64).logsumexp(0).item()
    start = fit(nb, SVI(steps=1, progress=False), x=x, y=gaps).estimate_elbo(100)
    posterior = fit(nb, SVI(steps=400, progress=False), x=x, y=gaps)
    value, error = posterior.estimate_elbo(150)
    assert start[0] < evidence - 20
    assert value < evidence + 5 * error
    assert value > evidence - 5  # mean field loses some
    dropped = fit(nb, x=x[3:], y=y[3:]).log_evidence
    assert dropped > evidence + 5  # leaving the rows out would be another number


SAMPLER = pytest.param(NUTS(draws=50, warmup=50, chains=1), marks=pytest.mark.slow)


@pytest.mark.filterwarnings("ignore::ppl_gen.errors.Unreliable")  # of weights that so few draws of NUTS give
@pytest.mark.parametrize("method", [SVI(steps=300, progress=False), Laplace(), SAMPLER])
def test_few_labels_name_the_heaps_that_many_rows_show(method):
    x, y = heaps(60)
    gaps = torch.where(torch.arange(60) < 6, y.double(), NAN)  # two of each
    posterior = fit(GaussianNaiveBayes(classes=3, features=2, shape=2.0, rate=1.0), method, x=x, y=gaps)
    answer = ask(posterior, "p(y | x)", Importance(50), x=x[6:])
    assert (answer.mode == y[6:]).double().mean() > 0.85


def test_draws_for_arviz_keep_the_labels_that_were_seen():
    model = SemiSupervisedVAE(classes=K, features=F, latent=2, hidden=(8,))
    posterior = fit(model, SVI(steps=3, progress=False), x=bits(), y=GAPS)
    tree = to_arviz(posterior, draws=150)
    drawn = torch.as_tensor(tree.posterior["y"].values)[0]
    assert bool((drawn[:, SEEN] == Y[SEEN]).all())
    assert len(drawn[:, ~SEEN].unique()) == K
    stats = tree.sample_stats
    weights = torch.as_tensor((stats.log_p - stats.log_q).values[0]).double()
    value, error = posterior.estimate_elbo(150)
    assert abs(weights.mean() - value) < 5 * math.hypot(error, weights.std() / math.sqrt(150))
    nb = fit(GaussianNaiveBayes(classes=3, features=2), SVI(steps=3, progress=False), x=heaps(9)[0], y=GAPS)
    tree = to_arviz(nb, draws=50)
    value, error = nb.estimate_elbo(150)
    weights = torch.as_tensor((tree.sample_stats.log_p - tree.sample_stats.log_q).values[0])
    assert abs(weights.mean() - value) < 6 * math.hypot(error, weights.std() / math.sqrt(50))


def test_importance_weights_draw_what_the_guide_would_enumerate():
    """Their mean is the ELBO; and with a guide that is the posterior of each row they do not vary."""
    p, x = vae(), bits()
    given = p.model, p.guide, {"n": N, "x": x}, {"x": x, "y": Y}
    with isolated(1):
        weights, _ = log_weights(*given, 400, seen={"y": SEEN})
        values = torch.stack([elbo(*given, plates=1, seen={"y": SEEN}) for _ in range(200)])
    assert weights.shape == (400, N)
    total = weights.sum(1)
    error = math.hypot(total.std() / 400**0.5, values.std() / 200**0.5)
    assert abs(total.mean() - values.mean()) < 6 * error

    def model(n):
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(torch.tensor([0.2, 0.8])))
            pyro.sample("x", dist.Normal(y.double(), 1.0))

    x = torch.tensor([0.0, 3.0, 1.0])
    joint = torch.tensor([0.2, 0.8]).log() + dist.Normal(torch.tensor([0.0, 1.0]), 1.0).log_prob(x[:, None])

    def guide(n):
        with pyro.plate("data", n):
            pyro.sample("y", dist.Categorical(logits=joint), infer={"enumerate": "parallel"})

    with isolated(0):
        weights, _ = log_weights(
            model, guide, {"n": 3}, {"x": x, "y": torch.tensor([0, 1, 0])}, 50,
            seen={"y": torch.tensor([False, False, True])},
        )  # fmt: skip
    expected = torch.stack([joint[0].logsumexp(0), joint[1].logsumexp(0), joint[2, 0]])
    torch.testing.assert_close(weights, expected.double().expand(50, 3).to(weights), rtol=1e-5, atol=1e-5)
