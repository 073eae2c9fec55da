"""Factors that score the data: totals over these too; and lengths that are given."""

import itertools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from ppl_gen import check_normalised


def factors(found):
    [total] = [t for t in found.totals if t.site == "(factors)"]
    return total


def bonds(x):
    return (x[:, 1:] * x[:, :-1]).sum(-1)


STATES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)))
Z = float((0.7 * bonds(STATES)).exp().mean())


def ising(x, shift=0.0):
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Bernoulli(0.5).expand([4]).to_event(1), obs=x)
        pyro.factor("bonds", 0.7 * bonds(x) - shift)


@pytest.mark.parametrize("rows", [[[1, 0, 1, 0]], [[1, 0, 0, 0], [0, 1, 0, 1]], [[1, 1, 1, 1]]])
def test_an_energy_is_summed_over_the_data(rows):
    """At the first two data the energy is zero."""
    x = torch.tensor(rows).float()
    found = check_normalised(ising, x)
    assert found.ok is False
    assert factors(found).value == pytest.approx(Z ** len(x), rel=1e-5)
    normalised = check_normalised(ising, x, math.log(Z))
    assert normalised.ok, normalised
    assert normalised.complete


def test_of_many_rows_the_first_is_summed():
    found = check_normalised(ising, STATES.repeat(3, 1)[::5])
    assert found.at_fault == ["(factors)"]
    assert factors(found).value == pytest.approx(Z, rel=1e-5)
    assert "the first row alone" in str(found)


def test_an_energy_with_a_latent():
    """Of J ~ N(0, 1), exp(J s) has the mean exp(s^2 / 2)."""

    def model(x):
        j = pyro.sample("J", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Bernoulli(0.5).expand([4]).to_event(1), obs=x)
            pyro.factor("bonds", j * bonds(x))

    found = check_normalised(model, torch.zeros(1, 4))
    assert found.ok is False
    assert factors(found).value == pytest.approx(float((bonds(STATES) ** 2 / 2).exp().mean()), rel=1e-3)


@pytest.mark.parametrize("rows", [1, 20])
def test_an_energy_of_numbers(rows):
    """E exp(relu(x - 3)) of a standard Normal, where the energy is zero at the data."""

    def model(x):
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)
            pyro.factor("energy", torch.relu(x - 3))

    found = check_normalised(model, torch.linspace(-2, 2, rows))
    assert found.ok is False
    normal = torch.distributions.Normal(0.0, 1.0)
    exact = math.exp(-2.5) * normal.cdf(torch.tensor(-2.0)) + normal.cdf(torch.tensor(3.0))
    assert factors(found).value == pytest.approx(float(exact), rel=1e-5)


def only_a_factor(x):
    s = pyro.sample("s", dist.LogNormal(0.0, 1.0))
    pyro.factor("energy", -s * torch.as_tensor(x).square().sum())


@pytest.mark.parametrize("x", [torch.zeros(8, 2), torch.zeros(3).numpy(), [0.0, 0.0], [0, 0], 0.0])
def test_data_that_no_site_observes_are_not_passed(x):
    found = check_normalised(only_a_factor, x)
    assert not found.ok
    assert "sums to one" not in found.verdict


def test_labels_that_only_a_factor_scores():
    """A logistic regression given its columns, with and without its constant."""

    def model(y, normalise):
        a = pyro.sample("a", dist.Normal(0.0, 1.0))
        log_z = torch.nn.functional.softplus(a) if normalise else 0.0
        pyro.factor("score", (a * y - log_z).sum())

    y = torch.tensor([0, 1])
    good = check_normalised(model, y, normalise=True)
    assert good.ok, good
    bad = check_normalised(model, y, normalise=False)
    assert bad.ok is False
    assert factors(bad).value == pytest.approx(1 + 2 * math.exp(0.5) + math.exp(2), rel=1e-4)


def test_data_that_a_program_holds_itself():
    x = torch.tensor([[1.0, 0, 1, 0]])
    found = check_normalised(lambda: ising(x))
    assert found.ok is None
    assert "pass the data as arguments" in str(found)


def test_factors_of_latents_alone_do_not_score_the_data():
    p, q = dist.Normal(0.0, 1.0), dist.Normal(0.5, 1.5)

    def model(x):
        z = pyro.sample("z", q)
        pyro.factor("change", p.log_prob(z) - q.log_prob(z))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    found = check_normalised(model, torch.randn(5))
    assert found.ok, found
    assert found.complete


NEXT = torch.tensor([[0.6, 0.3, 0.1], [0.3, 0.2, 0.5], [0.1, 0.2, 0.7]])
TOKENS = torch.tensor([[1, 2, 0, 0], [2, 2, 1, 1], [1, 0, 0, 0]])


def padded(tokens, lengths, hide=True):
    word = torch.zeros(len(tokens), dtype=torch.long)
    with pyro.plate("texts", len(tokens)):
        for t in range(tokens.shape[1]):
            with poutine.mask(mask=(t < torch.as_tensor(lengths)) | (not hide)):
                word = pyro.sample(f"w_{t}", dist.Categorical(NEXT[word]), obs=tokens[:, t])


def padded_columns(tokens, lengths):
    padded(tokens.T, lengths)


def with_lengths(tokens, lengths):
    with pyro.plate("lengths", len(lengths)):
        pyro.sample("n", dist.Poisson(2.0), obs=lengths.float())
    padded(tokens, lengths)


@pytest.mark.parametrize("lengths", [torch.tensor([3, 4, 2]), [3, 4, 2], torch.tensor([4, 4, 4])])
def test_lengths_that_mask_are_given(lengths):
    for model, tokens in ((padded, TOKENS), (padded_columns, TOKENS.T)):
        found = check_normalised(model, tokens, lengths)
        assert not found.complete
        assert "p(tokens | lengths)" in str(found)
        assert "sums to one" not in found.verdict


def test_lengths_that_are_observed_or_are_none():
    lengths = torch.tensor([3, 4, 2])
    assert check_normalised(with_lengths, TOKENS, lengths).complete

    def naive_bayes(words, label):
        with pyro.plate("data", len(words)):
            c = pyro.sample("c", dist.Categorical(torch.ones(3)), obs=label)
            pyro.sample("x", dist.Categorical(NEXT[c][:, None].expand(-1, 4, -1)).to_event(1), obs=words)

    assert check_normalised(naive_bayes, TOKENS, torch.tensor([2, 1, 0])).complete


def one_hot(x, name="x"):
    before = torch.eye(3)[0]
    for t in range(len(x)):
        pyro.sample(f"{name}_{t}", dist.OneHotCategorical(before @ NEXT), obs=x[t])
        before = x[t]


def one_hot_tables(x):
    before = torch.eye(3)[0].expand(len(x), 3)
    with pyro.plate("texts", len(x)):
        for t in range(x.shape[1]):
            pyro.sample(f"x_{t}", dist.OneHotCategorical(before @ NEXT), obs=x[:, t])
            before = x[:, t]


def one_hot_texts(xs):
    for i, x in enumerate(xs):
        one_hot(x, f"x_{i}")


HOT = torch.eye(3)[TOKENS]


@pytest.mark.parametrize(
    ("model", "data"),
    [(one_hot, HOT[1]), (one_hot_tables, HOT), (one_hot_texts, [HOT[0], HOT[1][:3]])],
)
def test_one_hot_vectors_are_a_sequence_as_their_symbols_are(model, data):
    found = check_normalised(model, data)
    assert found.at_fault == ["(length)"]
    assert found.total == math.inf


def test_one_hot_rows_that_do_not_know_one_another():
    def rows(x):
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.OneHotCategorical(NEXT[0]), obs=x)

    assert check_normalised(rows, HOT[1]).complete
