"""Answers against oracles that share no code with them: Bayes' rule by hand, quadrature, closed forms, draws.

Statistical tests raise a false alarm with probability 1e-6 each, whatever the seed.
"""

import math
import warnings

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import scipy.stats as st
import torch
from torch import nn

from ppl_gen import SVI, Answer, Importance, LowerBound, ProbabilisticModel, ask, fit
from ppl_gen.distributions import Gaussian
from ppl_gen.errors import (
    BrokenModel,
    DataError,
    NoDensity,
    NoSampler,
    NotationError,
    NotGenerated,
    Unanswerable,
    UnknownVariable,
    Unreliable,
)
from ppl_gen.inference import elbo
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression
from tests.broken_models.densities import Flattened, Halves, OneByOne, Switch

RATE = 1e-6
Z = st.norm.isf(RATE / 2)
RNG = np.random.default_rng(0)
Y = np.r_[0, 1, 2, RNG.integers(0, 3, 40)]
X = RNG.normal(size=(43, 2)) + Y[:, None]
NEW = RNG.normal(size=(7, 2)) + 1
CODES = np.array([0, 1, 2, 2, 1, 0, 0])
P = {"pi": [0.2, 0.3, 0.5], "mu": RNG.normal(size=(3, 2)), "tau": RNG.gamma(2.0, size=(3, 2))}


def naive_bayes(features=2):
    return fit(GaussianNaiveBayes(classes=3, features=features), x=X[:, :features], y=Y)


def by_hand(features=2):
    """Class probabilities and the Student-t of each class and feature, from the textbook's update."""
    count = np.bincount(Y)[:, None]
    mean = np.stack([X[c == Y, :features].mean(0) for c in range(3)])
    squares = np.stack([((X[c == Y, :features] - mean[c]) ** 2).sum(0) for c in range(3)])
    strength, shape = 0.01 + count, 1 + count / 2
    rate = 0.01 + squares / 2 + 0.01 * count * mean**2 / (2 * strength)
    scale = np.sqrt(rate * (strength + 1) / (shape * strength))
    t = st.t(df=2 * shape, loc=count * mean / strength, scale=scale)
    return (1 + count[:, 0]) / (3 + count.sum()), t


def joint_by_hand(x):
    pi, t = by_hand(x.shape[1])
    return np.log(pi) + t.logpdf(x[:, None]).sum(2)


def close(ours, theirs, atol=1e-10):
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=atol)


def uniform(u):
    """Dvoretzky, Kiefer, Wolfowitz and Massart: the largest gap to the diagonal, at the stated rate."""
    return st.kstest(np.asarray(u), "uniform").statistic < math.sqrt(math.log(2 / RATE) / (2 * len(u)))


def frequencies(drawn, probs):
    counts = np.bincount(np.asarray(drawn), minlength=len(probs))
    return st.chisquare(counts, len(drawn) * np.asarray(probs)).pvalue > RATE


class Chain(ProbabilisticModel):
    joint = "p(x3) p(x2 | x3) p(x1 | x2)"

    def __init__(self):
        super().__init__()
        self.register_buffer("one", torch.ones((), dtype=torch.float64))

    def model(self, n):
        with pyro.plate("data", n):
            x3 = pyro.sample("x3", dist.Normal(0 * self.one, self.one))
            x2 = pyro.sample("x2", dist.Normal(x3, self.one))
            pyro.sample("x1", dist.Normal(x2, self.one))


class Twice(Chain):
    """Two discrete variables in each row."""

    joint = "p(a) p(b | a) p(x | a, b)"
    table = torch.tensor([[0.1, 0.15, 0.05], [0.2, 0.1, 0.4]], dtype=torch.float64)
    means = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)

    def model(self, n):
        with pyro.plate("data", n):
            a = pyro.sample("a", dist.Categorical(self.table.sum(1)))
            b = pyro.sample("b", dist.Categorical(self.table[a]))
            pyro.sample("x", dist.Normal(self.means[a, b], self.one))


class Counts(Chain):
    joint = "p(rate) p(x | rate)"

    def model(self, n):
        rate = pyro.sample("rate", dist.Gamma(2 * self.one, self.one))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Poisson(rate))


class Coin(Chain):
    """A discrete variable that all rows share."""

    joint = "p(k) p(x | k)"

    def model(self, n):
        k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7], dtype=torch.float64)))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(2.0 * k * self.one, self.one))


class Level(Chain):
    joint, approximation = "p(mu) p(x | mu)", "q(mu)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(0 * self.one, self.one))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, self.one))

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, self.one))


class Slope(Chain):
    joint, features = "p(w) p(y | x, w)", ()

    def model(self, x):
        w = pyro.sample("w", dist.Normal(0 * self.one, self.one))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(w * x, self.one))


class Generator(Chain):
    joint = "p(z) p(x | z)"

    def model(self, n):
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(0 * self.one, self.one))
            pyro.deterministic("x", z.exp(), event_dim=0)


class Energy(Chain):
    joint = "p(x)"

    def model(self, n):
        with pyro.plate("data", n):
            x = pyro.sample("x", dist.Normal(0 * self.one, self.one))
            pyro.factor("energy", -(x**4))


class Improper(Chain):
    joint = "p(x)"

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", dist.ImproperUniform(dist.constraints.real, (), ()))


def linear_vae(stretch=1.0):
    """A VAE whose evidence is a Normal's, and whose encoder is exact if ``stretch`` is 1."""
    w, scale = torch.tensor([[1.0], [-0.5], [2.0]]).double(), 0.5
    decoder, encoder = nn.Linear(1, 6).double(), nn.Linear(3, 2).double()
    precision = 1 + (w**2).sum() / scale**2
    with torch.no_grad():
        decoder.weight.zero_()
        decoder.weight[::2] = w
        decoder.bias.copy_(torch.tensor([0.0, math.log(math.expm1(scale - 1e-3))] * 3, dtype=torch.float64))
        encoder.weight.zero_()
        encoder.weight[0] = w[:, 0] / scale**2 / precision
        encoder.bias.copy_(torch.stack([0 * precision, math.log(stretch) - precision.log() / 2]))
    p = VAE(features=3, latent=1, likelihood=Gaussian(), encoder=encoder, decoder=decoder).double()
    evidence = st.multivariate_normal(np.zeros(3), (w @ w.T).numpy() + scale**2 * np.eye(3))
    return p, evidence, (w[:, 0] / scale**2 / precision).detach().numpy(), float(precision.detach()) ** -0.5


# Exact answers ------------------------------------------------------------------------------------------


def test_naive_bayes_is_bayes_rule_by_hand():
    post, joint, (pi, t) = naive_bayes(), joint_by_hand(NEW), by_hand()
    evidence = np.logaddexp.reduce(joint, 1)
    each = np.arange(7)
    close(ask(post, "p(x)").log_prob(x=NEW), evidence)
    close(ask(post, "p(x, y)").log_prob(x=NEW, y=CODES), joint[each, CODES])
    close(ask(post, "p(y)").probs, pi)
    close(ask(post, "p(x | y)", y=CODES).log_prob(x=NEW), t.logpdf(NEW[:, None]).sum(2)[each, CODES])
    answer = ask(post, "p(y | x)", x=NEW)
    close(answer.probs, np.exp(joint - evidence[:, None]))
    close(answer.probs.sum(1), 1)
    close(answer.log_joint, joint)
    close(ask(post, "p(y | x)", x=NEW[0]).log_joint, joint[0])
    for level in range(3):
        close(answer.log_prob(y=level).exp(), answer.probs[:, level])
    assert answer.how == "enumerated"
    assert answer.standard_error is None
    close(ask(post, "p(x | y)", y=1).mean, t.mean()[1])
    close(ask(post, "p(x)").mean, pi @ t.mean())


def test_parameters_of_an_exact_posterior():
    post, count = naive_bayes(), np.bincount(Y)
    pi = np.array([0.3, 0.3, 0.4])
    close(ask(post, "p(pi)").log_prob(pi=pi), st.dirichlet(1 + count).logpdf(pi))
    close(ask(post, "p(pi)").mean, (1 + count) / (1 + count).sum())
    assert ask(post, "p(mu)").how == "posterior average (1,000 draws)"


def test_the_joint_integrates_to_one():
    post = naive_bayes(features=1)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    u, weights = math.pi / 2 * nodes, math.pi / 2 * weights  # x = tan u maps the line to an interval
    x = np.tan(u)[:, None]
    total = sum(
        (np.exp(ask(post, "p(x, y)").log_prob(x=x, y=c).numpy()) * weights / np.cos(u) ** 2).sum()
        for c in range(3)
    )
    assert abs(total - 1) < 1e-8


@pytest.mark.parametrize("cls", [GaussianNaiveBayes, GaussianMixture])
def test_given_all_parameters_everything_is_exact(cls):
    p, z = (GaussianNaiveBayes(classes=3, features=2), "y") if cls is GaussianNaiveBayes else (cls(3, 2), "z")
    scores = np.log(P["pi"]) + st.norm(P["mu"], P["tau"] ** -0.5).logpdf(NEW[:, None]).sum(2)
    evidence = np.logaddexp.reduce(scores, 1)
    answer = ask(p, "p(x | pi, mu, tau)", **P)
    close(answer.log_prob(x=NEW), evidence)
    assert answer.how == "enumerated"
    close(ask(p, f"p({z} | x, pi, mu, tau)", x=NEW, **P).probs, np.exp(scores - evidence[:, None]))
    data = {"x": X, "y": Y} if z == "y" else {"x": X}
    svi = fit(p, SVI(steps=2, progress=False), **data)  # a guide has nothing to add
    close(ask(svi, "p(x | pi, mu, tau)", **P).log_prob(x=NEW), evidence)


def test_missing_cells_are_summed_out():
    whole, narrow = naive_bayes(), naive_bayes(features=1)
    holed = np.where([True, False], NEW, np.nan)
    close(ask(whole, "p(y | x)", x=holed).probs, ask(narrow, "p(y | x)", x=NEW[:, :1]).probs)
    close(ask(whole, "p(x)").log_prob(x=holed), ask(narrow, "p(x)").log_prob(x=NEW[:, :1]))
    close(ask(whole, "p(y | x)", x=np.full(2, np.nan)).probs, ask(whole, "p(y)").probs)
    with pytest.raises(DataError, match=r"^y: other variables depend on it"):
        ask(whole, "p(x, y)").log_prob(x=NEW[:1], y=[np.nan])


def test_two_hidden_discrete_variables():
    p, x = Twice(), np.array([0.1, 2.0, 4.4])
    table, means = p.table.numpy(), p.means.numpy()
    joint = np.log(table) + st.norm(means, 1).logpdf(x[:, None, None])
    probs = np.exp(joint - np.logaddexp.reduce(joint, (1, 2), keepdims=True))
    close(ask(p, "p(x)").log_prob(x=x), np.logaddexp.reduce(joint, (1, 2)))
    close(ask(p, "p(a | x)", x=x).probs, probs.sum(2))
    close(ask(p, "p(b | x)", x=x).probs, probs.sum(1))
    close(ask(p, "p(a, b | x)", x=x).log_prob(a=1, b=2).exp(), probs[:, 1, 2])
    close(ask(p, "p(a | b)", b=[0, 1, 2]).probs, (table / table.sum(0)).T)
    answer = ask(p, "p(x | b)", b=[0, 2])
    close(answer.mean, ((table * means).sum(0) / table.sum(0))[[0, 2]])
    assert answer.how == "enumerated"
    assert answer.standard_error is None


def test_rows_tell_of_what_they_share_together():
    x = np.array([0.9, 1.2, 1.3])
    scores = np.log([0.3, 0.7]) + st.norm([0, 2], 1).logpdf(x[:, None]).sum(0)
    answer = ask(Coin(), "p(k | x)", x=x)
    close(answer.probs, np.exp(scores - np.logaddexp.reduce(scores)))
    assert answer.sample(5).shape == (5,)
    rate = ask(Counts(), "p(rate | x)", Importance(draws=1000), x=[0, 1, 3])
    exact = st.gamma(6, scale=1 / 4)
    assert abs(rate.log_prob(rate=1.5) - exact.logpdf(1.5)) < Z * rate.standard_error
    assert abs(rate.mean - exact.mean()) < Z * rate.standard_error
    pi = ask(GaussianNaiveBayes(classes=3, features=2), "p(pi | y)", y=[0, 1, 1, 1])
    value = pi.log_prob(pi=P["pi"])
    assert abs(value - st.dirichlet([2, 4, 1]).logpdf(P["pi"])) < Z * pi.standard_error
    assert pi.mean.shape == (3,)


# Averages and their errors ------------------------------------------------------------------------------


def test_averages_agree_with_closed_forms_within_their_error():
    for question, given, exact, name in (
        ("p(x1)", {}, st.norm(0, 3**0.5), "x1"),
        ("p(x1 | x3)", {"x3": 1.0}, st.norm(1, 2**0.5), "x1"),
        ("p(x3 | x1)", {"x1": 0.9}, st.norm(0.3, (2 / 3) ** 0.5), "x3"),
        ("p(x2 | x1, x3)", {"x1": [0.9, 0.9], "x3": 0.0}, st.norm(0.45, 0.5**0.5), "x2"),
    ):
        answer = ask(Chain(), question, Importance(draws=2000), **given)
        error = (answer.log_prob(**{name: 0.4}) - exact.logpdf(0.4)).abs()
        assert (error < Z * answer.standard_error).all(), question
        assert answer.how.startswith("importance sampled (2,000 draws, s.e. ")
        error = (answer.mean - exact.mean()).abs()
        assert (error <= Z * answer.standard_error).all(), question
    counts = ask(Counts(), "p(x)", Importance(draws=2000))
    error = counts.log_prob(x=[0, 1, 3]) - torch.tensor(st.nbinom(2, 0.5).logpmf([0, 1, 3]))
    assert (error.abs() < Z * counts.standard_error).all()
    assert counts.how == "prior average (2,000 draws)"


def test_the_posterior_predictive_of_a_guide():
    post = fit(Level(), SVI(steps=1, progress=False), x=[0.0])
    loc = post.model.loc.item()
    answer, exact = ask(post, "p(x)", Importance(draws=1000)), st.norm(loc, 2**0.5)
    assert abs(answer.log_prob(x=0.7) - exact.logpdf(0.7)) < Z * answer.standard_error
    assert answer.how == "posterior average (1,000 draws)"
    close(ask(post, "p(mu)").log_prob(mu=0.3), st.norm(loc, 1).logpdf(0.3))
    for seed in (0, 1, None):  # the draws of mu and of the rows are independent
        assert uniform(exact.cdf(answer.sample(1000, seed=seed).numpy()))


def test_linear_vae_has_the_evidence_of_its_normal():
    p, evidence, weights, scale = linear_vae()
    x = evidence.rvs(200, random_state=0)
    answer = ask(p, "p(x)", Importance(draws=100))
    close(answer.log_prob(x=x), evidence.logpdf(x), 1e-9)
    assert "k-hat -inf" in answer.how
    z = ask(p, "p(z | x)", x=x)
    close(z.log_prob(z=[0.3]), st.norm(x @ weights, scale).logpdf(0.3), 1e-9)
    assert (
        (z.mean[:, 0] - torch.tensor(x @ weights)).abs() < st.norm.isf(RATE / 400) * z.standard_error[:, 0]
    ).all()
    drawn = ask(p, "p(z | x)", x=x[0]).sample(1000)[:, 0].numpy()
    assert len(np.unique(drawn)) > 900  # with 10,000 equal weights about 950 of 1,000 choices are distinct
    p, evidence, *_ = linear_vae(stretch=1.5)
    answer = ask(p, "p(x)", Importance(draws=2000))
    z = (answer.log_prob(x=x) - torch.tensor(evidence.logpdf(x))) / answer.standard_error
    low, high = st.chi2.isf([1 - RATE / 2, RATE / 2], 200) / 200
    assert low < z.square().mean() < high  # calibrated: half or twice the error would fall outside
    bound = ask(p, "p(x)", LowerBound(draws=400))
    gap = bound.log_prob(x=x) - torch.tensor(evidence.logpdf(x))
    assert (gap < Z * bound.standard_error).all()
    # E_q log w = -KL(q || p(z | x)); of Normals whose scales have the ratio 1.5: log 1.5 + 1 / 2 - 1.5² / 2
    expected = -(1.5**2 / 2 - 0.5 - math.log(1.5))
    assert abs((gap - expected).mean()) < Z * bound.standard_error.square().sum().sqrt() / 200
    assert bound.how == "lower bound"


def test_an_untrustworthy_average_warns():
    far = ask(Chain(), "p(x1)", Importance(draws=200))
    with pytest.warns(Unreliable, match=r"k-hat exceeds 0.7.*LowerBound"):
        far.log_prob(x1=40.0)


# Draws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, None])
def test_draws_agree_with_the_density(seed):
    post, n = naive_bayes(), 4000
    pi, t = by_hand()
    drawn = ask(post, "p(x, y)").sample(n, seed=seed)
    y = drawn["y"].numpy()
    assert frequencies(y, pi)
    for feature in range(2):
        u = st.t(t.kwds["df"][y, 0], t.kwds["loc"][y, feature], t.kwds["scale"][y, feature]).cdf(
            drawn["x"][:, feature]
        )
        assert uniform(u)
    assert uniform(t.cdf(ask(post, "p(x | y)", y=1).sample(n, seed=seed).numpy()[:, None])[:, 1, 0])
    answer = ask(post, "p(y | x)", x=NEW[0])
    assert frequencies(answer.sample(n, seed=seed), answer.probs)
    assert not frequencies(answer.sample(n, seed=seed), answer.probs.flip(0))  # and the test can fail
    first, rest = 1 + np.bincount(Y)[0], 2 + np.bincount(Y)[1:].sum()
    assert uniform(st.beta(first, rest).cdf(ask(post, "p(pi)").sample(1000, seed=seed)[:, 0]))
    joint = ask(post, "p(mu, tau)").sample(500, seed=seed)
    strength = 0.01 + np.bincount(Y)[0]
    loc = np.bincount(Y)[0] * X[Y == 0].mean(0)[0] / strength
    assert uniform(st.norm(loc, (strength * joint["tau"][:, 0, 0]) ** -0.5).cdf(joint["mu"][:, 0, 0]))


def test_shapes():
    post = naive_bayes()
    assert ask(post, "p(x | y)", y=2).sample(16).shape == (16, 2)
    assert ask(post, "p(x | y)", y=2).sample().shape == (2,)
    assert ask(post, "p(x | y)", y=[2, 0, 1]).sample(16).shape == (16, 3, 2)
    assert ask(post, "p(x | y)", y=2).log_prob(x=NEW).shape == (7,)
    assert ask(post, "p(x | y)", y=2).log_prob(x=NEW[0]).shape == ()
    assert ask(post, "p(y | x)", x=NEW[0]).probs.shape == (3,)
    assert ask(post, "p(y | x)", x=NEW[:1]).probs.shape == (1, 3)
    assert ask(post, "p(mu)").sample(4).shape == (4, 3, 2)
    lr = LogisticRegression(classes=3, features=2)
    assert ask(lr, "p(y | x)", Importance(draws=20), x=NEW[0]).probs.shape == (3,)
    assert ask(lr, "p(y | x)", x=NEW).sample(5).shape == (5, 7)
    same = ask(post, "p(x)")
    assert torch.equal(same.sample(3, seed=1), same.sample(3, seed=1))
    assert not torch.equal(same.sample(3), same.sample(3))


# How it is done -----------------------------------------------------------------------------------------


def fitted(name):
    method, labels = SVI(steps=2, progress=False), Y
    return {
        "naive Bayes": lambda: (fit(GaussianNaiveBayes(3, 2), method, x=X, y=labels), "p(y | x)"),
        "mixture": lambda: (fit(GaussianMixture(3, 2), method, x=X), "p(z | x)"),
        "regression": lambda: (fit(LogisticRegression(3, 2), method, x=X, y=labels), "p(y | x)"),
        "mean field": lambda: (
            fit(GaussianMixture(3, 2), SVI(2, guide="mean_field", progress=False), x=X),
            "p(z | x)",
        ),
    }[name]()


@pytest.mark.filterwarnings("ignore::ppl_gen.errors.Unreliable")  # thirty draws are few
@pytest.mark.parametrize("name", ["naive Bayes", "mixture", "regression", "mean field"])
def test_the_draws_are_vectorised_and_the_loop_agrees(name, monkeypatch):
    post, question = fitted(name)
    score, calls = type(ask(post, question, x=NEW))._score, []
    monkeypatch.setattr(
        type(ask(post, question, x=NEW)), "_score", lambda *a, **k: (calls.append(1), score(*a, **k))[1]
    )
    fast = ask(post, question, Importance(draws=30), x=NEW).probs
    assert len(calls) == 1
    monkeypatch.setattr(torch, "vmap", lambda *a, **k: (_ for _ in ()).throw(RuntimeError))
    close(ask(post, question, Importance(draws=30), x=NEW).probs, fast, 1e-12)
    assert len(calls) == 31


@pytest.mark.filterwarnings("ignore::ppl_gen.errors.Unreliable")  # thirty draws are few
def test_chunks_change_nothing(monkeypatch):
    post, question = fitted("mixture")
    once = ask(post, question, Importance(draws=30), x=NEW)
    expected, errors = once.probs, once.standard_error
    monkeypatch.setattr(Answer, "cells", 1)
    again = ask(post, question, Importance(draws=30), x=NEW)
    close(again.probs, expected, 1e-12)
    close(again.standard_error, errors, 1e-12)


# Refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "question", "given", "error", "words"),
    [
        (
            lambda: LogisticRegression(3, 2),
            "p(x | y)",
            {"y": 1},
            NotGenerated,
            r"is p\(w\) p\(y \| x, w\): 'x' is given, not generated. It can answer p\(y \| x\)",
        ),
        (lambda: LogisticRegression(3, 2), "p(y)", {}, NotGenerated, r"Put it right of the bar"),
        (
            lambda: GaussianMixture(2, 2),
            "p(y)",
            {},
            UnknownVariable,
            "'y' is not a variable .* pi, tau, mu, z, x",
        ),
        (lambda: GaussianMixture(2, 2), "p(z | x", {}, NotationError, "where the line ends"),
        (Energy, "p(x)", {}, NoSampler, r"Energy is p\(x\), known only up to a constant .*'energy'"),
        (Improper, "p(x)", {}, NoSampler, r"Improper is p\(x\), known only up to a constant"),
        (Generator, "p(z | x)", {"x": 1.0}, NoDensity, r"Generator is p\(z\) p\(x \| z\).*by .sample"),
        (Chain, "p(x1 | x2)", {}, DataError, "^x2: .* pass x2="),
        (Chain, "p(x1)", {"x1": 1.0}, DataError, "^x1: .*pass it to the answer"),
        (Chain, "p(x1)", {"x2": 1.0}, DataError, "^x2: does not stand right of the bar"),
    ],
)
def test_refuses(make, question, given, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        ask(make(), question, **given)


def test_answers_refuse_what_they_cannot_say():
    drawn = ask(Generator(), "p(x)")
    assert (drawn.sample(5) > 0).all()
    with pytest.raises(NoDensity, match="draws 'x', but gives it no density"):
        drawn.log_prob(x=1.0)
    bound = ask(Chain(), "p(x1)", LowerBound())
    assert bound.how == "lower bound"
    assert bound.mean.shape == ()
    assert bound.how == "importance sampled (100 draws)"  # of a mean there is no bound
    with pytest.raises(Unanswerable, match="a ratio of bounds is no bound"):
        ask(Chain(), "p(x3 | x1)", LowerBound(), x1=0.0).log_prob(x3=0.0)
    with pytest.raises(Unanswerable, match="codes have no mean"):
        _ = ask(naive_bayes(), "p(y)").mean
    with pytest.raises(Unanswerable, match="no finite list of values"):
        _ = ask(naive_bayes(), "p(x)").probs
    with pytest.raises(DataError, match=r"^method: expected Importance"):
        ask(Chain(), "p(x1)", 17)


def test_guides_that_only_draw():
    for guide in ("mean_field", "full_rank"):
        post = fit(GaussianMixture(2, 2), SVI(2, guide=guide, progress=False), x=X)
        answer = ask(post, "p(mu)", Importance(draws=200))
        mean, drawn = answer.mean, answer.sample(200)
        error = (drawn.var(0) / 200 + answer.standard_error**2).sqrt()
        assert ((mean - drawn.mean(0)).abs() < Z * error).all()
        assert answer.how == "average of 200 draws"
        with pytest.raises(NoDensity, match="the guide of GaussianMixture"):
            answer.log_prob(mu=np.zeros((2, 2)))
    with pytest.raises(Unanswerable, match="mixes both"):  # mu tells of the other parameters
        ask(post, "p(x | mu)", mu=np.zeros((2, 2)))
    with pytest.raises(NoDensity, match="together"):
        ask(post, "p(mu | tau)", tau=np.ones((2, 2)))


def test_regression_of_a_user():
    post = fit(Slope(), SVI(2, guide="mean_field", progress=False), x=[1.0, 2.0], y=[1.0, 2.0])
    assert ask(post, "p(y | x)", x=[1.0, 2.0, 3.0]).sample(4).shape == (4, 3)
    assert ask(post, "p(y | x)", x=1.0).log_prob(y=1.0).shape == ()
    close(ask(post, "p(y | x, w)", x=[1.0, 2.0], w=1.0).log_prob(y=1.0), st.norm([1, 2], 1).logpdf(1.0))


def test_repr_says_question_model_and_method():
    assert (
        repr(ask(naive_bayes(), "p(y | x)", x=NEW)) == "p(y | x) of GaussianNaiveBayes for 7 rows, enumerated"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = ask(linear_vae()[0], "p(x)")
        answer.log_prob(x=np.zeros(3))
    assert repr(answer).startswith("p(x) of VAE, importance sampled (1,000 draws, s.e. ")


class Groups(ProbabilisticModel):
    """Rows of some groups: g is an index."""

    joint = "p(e) p(y | x, g, e)"

    def model(self, x, g):
        with pyro.plate("groups", 3):
            e = pyro.sample("e", dist.Normal(torch.tensor(0.0), 1.0))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(e[g] + x, 0.1))


def test_whole_numbers_that_are_given_may_be_an_index():
    x, g = [0.5, -1.0, 2.0, 0.0], [0, 1, 2, 1]
    fitted = fit(Groups(), SVI(steps=5, progress=False), x=x, g=g, y=x)
    for asked in (fitted, Groups()):
        drawn = ask(asked, "p(y | x, g)", x=x, g=g).sample(3)
        assert drawn.shape == (3, 4)
    assert ask(fitted, "p(e)").sample(2).shape == (2, 3)
    assert torch.equal(
        ask(fitted, "p(y | x, g)", x=x, g=torch.tensor(g, dtype=torch.uint8)).mean,
        ask(fitted, "p(y | x, g)", x=x, g=g).mean,
    )


@pytest.mark.parametrize("cls", [Flattened, OneByOne])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_values_that_pass_for_rows_give_no_answer(cls, rows):
    """As many rows as values: the program runs to its end, and the prior would come for the posterior."""
    x = torch.linspace(-2, 2, rows)
    refused = pytest.raises(
        BrokenModel, match=r"(?s)cannot take all values of 'z' .*where   densities.py:\d+: "
    )
    with refused:
        _ = ask(cls(), "p(z | x)", x=x).probs
    with refused:
        ask(cls(), "p(x)").log_prob(x=x)
    with refused:
        elbo(cls().model, None, {"n": rows}, {"x": x})
    log_odds = math.log(0.7 / 0.3) + 4 * x  # of two unit Normals at -2 and 2
    assert torch.allclose(ask(Halves(), "p(z | x)", x=x).probs[:, 1], log_odds.sigmoid())


def test_a_parent_that_a_program_overlooks_is_no_wrong_answer():
    class Overlooks(Halves):
        def chosen(self, loc, z):
            return loc[0]

    probs = ask(Overlooks(), "p(z | x)", x=[0.0, 5.0]).probs
    assert torch.allclose(probs, torch.tensor([0.3, 0.7]))


def test_a_shared_code_is_tried_value_by_value():
    x = [5.0, 4.0]
    log_odds = sum((v**2 - (v - 5) ** 2) / 2 for v in x)
    assert ask(Switch(), "p(c | x)", x=x).probs[1] == pytest.approx(1 / (1 + math.exp(-log_odds)))
    with pytest.raises(BrokenModel, match=r"cannot take all values of 'c' .*it stops"):
        fit(Switch(), SVI(steps=2), x=x)
