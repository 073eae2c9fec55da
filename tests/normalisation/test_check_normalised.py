"""Totals against closed forms: densities, energies, data outside a support, programs that may not end."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch.distributions import constraints

from ppl_gen import check_normalised, models
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import BrokenModel, DataError, UnknownVariable
from ppl_gen.models import VAE, GaussianMixture
from ppl_gen.normalisation.integrals import sampled
from tests.broken_models.densities import DoesNotSumToOne, HalfNormalWithoutTwo, NormalPlusConstant
from tests.linting.test_lint import PROJECT
from tests.readme import example


@pytest.mark.parametrize(("name", "options"), PROJECT)
def test_every_model_of_the_project_is_normalised(name, options):
    model = example(getattr(models, name), **options)
    given = {"noisy": torch.randn(4, 2)} if "noisy" in model.joint else {}
    found = check_normalised(model, **given)
    assert found.ok, found
    assert found.complete, found
    assert found.require() is None


@pytest.mark.parametrize(
    ("broken", "site", "total"),
    [
        (NormalPlusConstant(), "x", math.exp(0.3)),
        (HalfNormalWithoutTwo(), "tau", 0.5),
        (DoesNotSumToOne(components=2, features=2), "z", math.exp(0.7)),
    ],
)
def test_names_the_factor_at_fault(broken, site, total):
    found = check_normalised(broken)
    assert found.at_fault == [site]
    assert found.total == pytest.approx(total, rel=1e-3)
    with pytest.raises(BrokenModel, match=f"look at {site}"):
        found.require()


def pixels(probs, data, fn=dist.Bernoulli, **options):
    def model(x):
        with pyro.plate("data", len(x)):
            pyro.sample("x", fn(probs * torch.ones(4), **options).to_event(1), obs=x)

    return check_normalised(model, data)


GREY = torch.linspace(0.1, 0.9, 20).reshape(5, 4)


def rows_of(density):
    def model(x):
        with pyro.plate("rows", len(x)):
            pyro.sample("x", density, obs=x)

    return check_normalised(model, torch.rand(5))


@pytest.mark.parametrize("sd", [2.0, 0.1])
@pytest.mark.parametrize("factor", [1.0, 1.2])
def test_mixtures_of_one_number(sd, factor):
    """A narrow component beside a wide one, whose density may be too large throughout."""
    shares = dist.Categorical(torch.tensor([0.3, 0.7]))
    mixture = dist.MixtureSameFamily(shares, dist.Normal(torch.tensor([-1.0, 3.0]), torch.tensor([sd, 2.0])))
    own = mixture.log_prob
    mixture.expand = lambda shape: expanded(shape)

    def expanded(shape):
        many = dist.MixtureSameFamily.expand(mixture, shape)
        many.log_prob = lambda x: own(x) + math.log(factor)
        return many

    found = rows_of(mixture)
    assert found.ok == (factor == 1.0), found
    assert found.complete, found
    assert found.totals[0].value == pytest.approx(factor, abs=1e-3)


class Cut(dist.Normal):
    """A Normal of positive numbers, without the constant."""

    support = constraints.positive


class CutRight(Cut):
    def log_prob(self, value):
        return (
            super().log_prob(value) - (self.loc / self.scale).double().mul(0.5**0.5).erf().add(1).div(2).log()
        )


def test_a_cut_density_without_its_constant():
    loc = torch.tensor(0.5)
    found = rows_of(Cut(loc, torch.tensor(1.0)))
    assert not found.ok, found
    kept = float(dist.Normal(0.0, 1.0).cdf(loc))
    assert found.totals[0].value == pytest.approx(kept, abs=1e-3)
    right = rows_of(CutRight(loc, torch.tensor(1.0)))
    assert right.ok, right
    assert right.complete, right


@pytest.mark.parametrize("p", [0.1, 0.3, 0.8])
def test_a_bernoulli_on_grey_pixels(p):
    """Its integral over the unit interval is that of the continuous Bernoulli's unnormalised density."""
    found = pixels(p, GREY, validate_args=False)
    assert found.at_fault == ["x"]
    expected = (1 - 2 * p) / (math.log1p(-p) - math.log(p))
    assert found.total == pytest.approx(expected, rel=1e-5)
    assert found.totals[0].how == "quadrature"
    assert "binarise" in str(found)
    assert pixels(p, GREY.round(), validate_args=False).ok
    assert pixels(p, GREY, dist.ContinuousBernoulli).ok


def test_a_declared_likelihood_on_grey_pixels():
    class Grey(VAE):
        def model(self, n):
            with pyro.plate("data", n):
                z = pyro.sample("z", self.prior())
                bits = dist.Bernoulli(logits=self.decoder(z), validate_args=False)
                return pyro.sample("x", bits.to_event(1))

    model = Grey(features=4, latent=2)
    assert check_normalised(model, x=GREY).at_fault == ["x"]
    assert check_normalised(model, x=GREY.round()).ok


def test_counts_scored_as_numbers():
    def model(x):
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Poisson(2.0, validate_args=False), obs=x)

    assert check_normalised(model, torch.tensor([0.5, 3.2, 7.7])).at_fault == ["x"]
    assert check_normalised(model, torch.tensor([0.0, 3.0, 7.0])).ok


def energy(prior, term, exact):
    def model():
        x = pyro.sample("x", prior)
        pyro.factor("energy", term(x))

    found = check_normalised(model)
    [total] = [t for t in found.totals if t.site == "(factors)"]
    assert abs(total.value - exact) <= 6 * total.error + 1e-6, found
    return found


def test_energies_by_quadrature_enumeration_and_sampling():
    line = energy(dist.Normal(0.0, 1.0), lambda x: -x.square(), 1 / math.sqrt(3))
    assert line.totals[-1].how == "quadrature"
    probs = torch.tensor([0.2, 0.3, 0.5])
    table = energy(
        dist.Categorical(probs), lambda x: -x.float(), float(probs @ torch.tensor([0.0, -1.0, -2.0]).exp())
    )
    assert table.totals[-1].how == "enumerated"
    plane = energy(
        dist.Normal(torch.zeros(2), 1.0).to_event(1), lambda x: -0.5 * x.square().sum(), 1 / 2
    )  # (1 + 1)^(-d / 2)
    assert plane.totals[-1].how == "importance sampled"
    assert [line.ok, table.ok, plane.ok] == [False] * 3


def test_factors_that_cancel_are_none():
    """The Jacobian of a change of variables is a factor, and leaves the density normalised."""
    p = dist.Normal(0.0, 1.0)
    q = dist.Normal(0.5, 1.5)
    assert energy(q, lambda x: p.log_prob(x) - q.log_prob(x), 1.0).ok


END = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]])  # the last symbol ends the sequence
NONE = torch.tensor([[0.6, 0.4], [0.3, 0.7]])
LEAK = torch.tensor([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])  # symbol 1 is never left


def language(table, end=2):
    def model():
        word, t = 0, 0
        while word != end:
            word = int(pyro.sample(f"w{t}", dist.Categorical(table[word])))
            t += 1

    return check_normalised(model)


def test_a_language_model_with_an_end_symbol_sums_to_one():
    found = language(END)
    assert found.ok, found
    assert found.totals[-1].site == "(length)"
    quick = language(torch.tensor([[0.0, 0.01, 0.99], [0.0, 0.0, 1.0]]))
    assert quick.totals[-1].how == "enumerated"
    assert quick.totals[-1].value == pytest.approx(1.0, abs=1e-6)


def test_a_language_model_without_an_end_symbol():
    found = language(NONE)
    assert found.at_fault == ["(length)"]
    assert found.totals[-1].value == 0
    assert "no end symbol" in str(found)
    assert len(str(found).splitlines()) < 30


def test_a_language_model_that_loses_mass():
    """Of the first symbol that is left, two fifths go to the end: so much of the mass ends."""
    found = language(LEAK)
    assert found.at_fault == ["(length)"]
    total = found.totals[-1]
    assert abs(total.value - 0.4) < 6 * total.error


@pytest.mark.parametrize("several", [False, True])
def test_a_language_model_whose_length_the_data_decide(several):
    def model(sentences):
        for i, sentence in enumerate(sentences if several else [sentences]):
            word = 0
            for t, seen in enumerate(sentence):
                word = pyro.sample(f"w{i}_{t}", dist.Categorical(NONE[word]), obs=torch.as_tensor(seen))

    def ended(sentences):
        for i, sentence in enumerate(sentences if several else [sentences]):
            word = 0
            for t, seen in enumerate([*(int(w) for w in sentence), 2]):
                word = pyro.sample(f"w{i}_{t}", dist.Categorical(END[word]), obs=torch.as_tensor(seen))

    one = torch.tensor([0, 1, 1, 0, 1])
    data = [torch.tensor([1, 1, 0]), one] if several else one
    found = check_normalised(model, data)
    assert found.at_fault == ["(length)"]
    assert found.total == math.inf
    assert check_normalised(ended, data).ok


WORDS = torch.tensor([[0, 1, 1, 0, 1], [1, 0, 0, 1, 1], [0, 0, 1, 1, 0]])


def by_position(w):
    for i in range(len(w)):
        pyro.sample(f"w_{i}", dist.Categorical(NONE[w[i - 1]] if i else NONE[0]), obs=w[i])


def with_a_prior(w):
    table = pyro.sample("table", dist.Dirichlet(torch.ones(2, 2)).to_event(1))
    word = 0
    for i in range(len(w)):
        word = pyro.sample(f"w_{i}", dist.Categorical(table[word]), obs=w[i])


def at_once(w):
    before = torch.cat([w.new_zeros(1), w[:-1]])
    pyro.sample("w", dist.Categorical(NONE[before]).to_event(1), obs=w)


def sentences_in_a_plate(w):
    word = torch.zeros(len(w), dtype=torch.long)
    with pyro.plate("sentences", len(w)):
        for t in range(w.shape[1]):
            word = pyro.sample(f"w_{t}", dist.Categorical(NONE[word]), obs=w[:, t])


def sentences_at_once(w):
    with pyro.plate("sentences", len(w)):
        pyro.sample("w", dist.Categorical(NONE[w[:, :-1]]).to_event(1), obs=w[:, 1:])


def cell_by_cell(w):
    for i in range(len(w)):
        for t in range(w.shape[1]):
            pyro.sample(f"w_{i}_{t}", dist.Categorical(NONE[w[i, t - 1]] if t else NONE[0]), obs=w[i, t])


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (by_position, WORDS[0]),
        (by_position, WORDS[0].tolist()),
        (with_a_prior, WORDS[0]),
        (at_once, WORDS[0]),
        (sentences_in_a_plate, WORDS),
        (lambda w: sentences_in_a_plate(w.T), WORDS.T),
        (sentences_at_once, WORDS),
        (cell_by_cell, WORDS),
    ],
)
def test_a_length_that_the_data_decide_is_found_however_it_is_written(model, data):
    found = check_normalised(model, data)
    assert found.at_fault == ["(length)"]
    assert found.total == math.inf


def test_tables_of_tokens_that_are_no_sequences():
    """Sentences that end in a symbol of their own, and columns that do not know one another."""

    def ended(w):
        with pyro.plate("sentences", len(w)):
            word = torch.zeros(len(w), dtype=torch.long)
            for t in range(w.shape[1]):
                padded = word == 2  # what follows the end is certain
                p = torch.where(padded[:, None], torch.tensor([0.0, 0.0, 1.0]), END[word.clamp(max=1)])
                word = pyro.sample(f"w_{t}", dist.Categorical(p), obs=w[:, t])

    assert check_normalised(ended, torch.tensor([[0, 1, 1, 2], [1, 0, 2, 2]])).ok

    def columns(x):
        p = pyro.sample("p", dist.Beta(torch.ones(x.shape[1]), 1.0).to_event(1))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Bernoulli(p).to_event(1), obs=x)

    assert check_normalised(columns, WORDS).ok


def next_words(table, stop=None):
    """A chain that reads as far as the data go, or as the symbol ``stop``."""

    def model(words):
        sentences = words if isinstance(words, list) else [words]
        for i, sentence in enumerate(sentences):
            word = 0
            for t, seen in enumerate(sentence):
                word = int(pyro.sample(f"w{i}_{t}", dist.Categorical(table[word]), obs=seen))
                if word == stop:
                    break

    return model


def table(n):
    torch.manual_seed(n)
    return dist.Dirichlet(torch.ones(n)).sample((n,))


@pytest.mark.parametrize("words", [[1, 2, 3, 2, 1], [1, 2, 3, 4], [3, 1, 0, 2], [0, 1]])
def test_a_last_symbol_that_stands_nowhere_else_is_no_end(words):
    found = check_normalised(next_words(table(max(words) + 1)), torch.tensor(words))
    assert found.at_fault == ["(length)"]
    assert ("let the program stop" in str(found)) == (words[-1] != words[0])


def test_an_end_symbol_is_seen_in_the_program():
    """It stops there, has no row for it, or is certain of nothing but the same symbol again."""
    p, absorbing = table(5), table(5)
    absorbing[4] = torch.eye(5)[4]
    for model in (next_words(p, stop=4), next_words(p[:4]), next_words(absorbing)):
        for words in ([1, 2, 3, 4], [1, 2, 3, 1, 4]):
            found = check_normalised(model, torch.tensor(words))
            assert found.ok, found
            assert found.complete, found
    assert check_normalised(next_words(absorbing), torch.tensor([1, 2, 4, 4])).complete


def test_lengths_that_cannot_be_told_are_not_passed_in_silence():
    documents = [torch.tensor([1, 2, 4]), torch.tensor([2, 4]), torch.tensor([3, 3, 4])]
    shared = check_normalised(next_words(table(5)), documents)
    assert (shared.ok, shared.complete, shared.totals[-1].how) == (True, False, "not checked")
    assert "every sequence ends in 4" in str(shared)

    def unigram(documents):
        p = pyro.sample("p", dist.Dirichlet(torch.ones(5)))
        for i, words in enumerate(documents):
            with pyro.plate(f"words_{i}", len(words)):
                pyro.sample(f"w_{i}", dist.Categorical(p), obs=words)

    assert "not known of (length)" in str(check_normalised(unigram, documents))
    assert check_normalised(unigram, documents[::2]).complete, "rows of equal numbers"

    def padded(words, hide):
        word, alive = torch.zeros(len(words), dtype=torch.long), torch.ones(len(words), dtype=torch.bool)
        with pyro.plate("sentences", len(words)):
            for t in range(words.shape[1]):
                with poutine.mask(mask=alive):
                    word = pyro.sample(f"w_{t}", dist.Categorical(rows[word]), obs=words[:, t])
                alive = alive & (word != 4) if hide else alive

    rows = table(5)
    words = torch.tensor([[1, 2, 4, 4], [2, 3, 1, 4], [3, 4, 4, 4]])
    assert check_normalised(padded, words, hide=True).complete
    assert not check_normalised(padded, words, hide=False).complete


def test_large_alphabets():
    words = torch.tensor([1, 2, 250, 7, 299])
    assert check_normalised(next_words(table(300)), words).at_fault == ["(length)"]
    assert check_normalised(next_words(table(300), stop=299), words).ok


def test_censored_rows_are_no_density():
    def model(t, censored):
        rate = pyro.sample("rate", dist.Gamma(2.0, 2.0))
        with pyro.plate("rows", len(t)):
            with poutine.mask(mask=~censored):
                pyro.sample("t", dist.Exponential(rate), obs=t)
            with poutine.mask(mask=censored):
                pyro.factor("longer", -rate * t)

    found = check_normalised(model, torch.tensor([0.5, 1.0, 2.0]), torch.tensor([False, True, True]))
    assert "scores censored rows" in str(found)


@pytest.mark.parametrize("a", [0.5, 2.0])
def test_a_power_of_a_density_is_none(a):
    """Of N(0, s^2)^a it is (2 pi s^2)^((1 - a) / 2) / sqrt(a); of three classes alike, 3^(1 - a)."""

    def model(y):
        with poutine.scale(scale=a):
            pyro.sample("x", dist.Normal(0.0, 3.0))
            with pyro.plate("data", len(y)):
                pyro.sample("y", dist.Categorical(torch.ones(3)), obs=y)

    found = check_normalised(model, torch.arange(6) % 3)
    totals = {t.site: t.value for t in found.totals}
    assert found.at_fault == ["x", "y"]
    assert totals["x"] == pytest.approx((18 * math.pi) ** ((1 - a) / 2) / math.sqrt(a), rel=1e-5)
    assert totals["y"] == pytest.approx(3 ** (1 - a), rel=1e-5)
    assert f"to the power {a:g}" in str(found)
    assert not check_normalised(poutine.scale(lambda: pyro.sample("x", dist.Normal(0.0, 3.0)), scale=a)).ok


def test_the_weight_of_a_subsample_is_no_power():
    def model(y):
        with pyro.plate("data", len(y), subsample_size=2) as rows:
            pyro.sample("y", dist.Categorical(torch.ones(3)), obs=y[rows])
        with pyro.plate("more", 100, subsample=torch.arange(5)):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    assert check_normalised(model, torch.arange(6) % 3).ok


def test_rows_in_a_loop_are_no_sequence():
    def model(x):
        p = pyro.sample("p", dist.Beta(1.0, 1.0))
        for i in range(len(x)):
            pyro.sample(f"x_{i}", dist.Bernoulli(p), obs=x[i])

    assert check_normalised(model, torch.tensor([0.0, 1.0, 0.0, 1.0])).ok


class Twice(dist.MultivariateNormal):
    """Scores too much by a constant."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.5


@pytest.mark.parametrize("d", [1, 3, 8])
def test_vectors_by_importance_sampling(d):
    cov = torch.eye(d) + 0.5
    for cls, exact in ((dist.MultivariateNormal, 1.0), (Twice, math.exp(0.5))):
        total, error = sampled(cls(torch.ones(d), cov), 0, 4096)
        assert abs(total - exact) < 6 * error, (d, total, error)
        assert error < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_of_importance_sampling(seed):
    torch.manual_seed(seed)
    for fn in (
        dist.Dirichlet(torch.tensor([0.5, 1.0, 4.0])),
        dist.MultivariateNormal(torch.tensor([1e3, -1e3]), torch.tensor([[1e4, 0.0], [0.0, 1e-4]])),
        dist.MultivariateStudentT(4.0, torch.zeros(2), torch.eye(2)),
        dist.LKJCholesky(3, 2.0),
    ):
        if (found := sampled(fn, 0)) is not None:
            total, error = found
            assert abs(total - 1) < 6 * error + 1e-3, fn


@pytest.mark.parametrize("small", [0.001, 0.01, 0.05])
def test_priors_that_floating_point_cuts_off_are_not_blamed(small):
    """Half of what they draw is the smallest or the largest number there is."""
    torch.manual_seed(0)
    for fn in (
        dist.InverseGamma(torch.tensor(small), torch.tensor(small)),
        dist.Gamma(torch.tensor(small), torch.tensor(small)),
        dist.Beta(torch.tensor(small), torch.tensor(small)),
    ):

        def program(fn=fn):
            pyro.sample("a", fn)

        assert check_normalised(program).ok, fn


def test_improper_priors_and_what_cannot_be_told():
    def improper():
        b = pyro.sample("b", dist.ImproperUniform(constraints.real, (), ()))
        pyro.sample("n", dist.Multinomial(3, torch.ones(2)))
        pyro.sample("x", dist.Normal(b, 1.0))

    found = check_normalised(improper)
    assert found.at_fault == ["b"]
    assert found.total == math.inf

    def multinomial():
        pyro.sample("n", dist.Multinomial(3, torch.ones(2)))

    open_ = check_normalised(multinomial)
    assert open_.ok
    assert not open_.complete
    assert "not known of n" in str(open_)


def test_many_cells_are_looked_at_in_part():
    def model(x):
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(torch.zeros(len(x), 784), 1.0).to_event(1), obs=x)

    assert check_normalised(model, torch.zeros(300, 784)).complete


def test_prints():
    good = check_normalised(GaussianMixture(components=2, features=2))
    assert str(good).startswith("GaussianMixture: its density sums to one\n")
    assert "enumerated" in str(good)
    assert "<table>" in good._repr_html_()
    assert abs(good.total - 1) <= good.error


def test_the_callers_own_mistakes_are_errors():
    with pytest.raises(DataError, match="the class VAE; make one"):
        check_normalised(VAE)
    with pytest.raises(UnknownVariable, match="'rows'"):
        check_normalised(VAE(features=2, latent=1), rows=3)
    with pytest.raises(DataError, match="by name"):
        check_normalised(VAE(features=2, latent=1), torch.zeros(3, 2))

    def model(x):
        pyro.sample("x", dist.Normal(0.0, 1.0).expand([len(x)]).to_event(1), obs=x)

    with pytest.raises(DataError, match=r"model does not take these arguments: missing .* 'x'"):
        check_normalised(model)
    with pytest.raises(DataError, match="model does not take these arguments: too many"):
        check_normalised(model, GREY[0], 3)
    with pytest.raises(DataError, match="obs of 'x': expected a tensor of numbers, got str"):
        check_normalised(model, "abc")
    assert isinstance(VAE(features=2, latent=1), ProbabilisticModel)
