"""At equal parameters, predictions equal scikit-learn's to 1e-8; updates equal loops written by hand."""

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy import special as sp
from scipy import stats as st
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB

from ppl_gen import MaximumLikelihood, ask, fit, merge
from ppl_gen.distributions import Categorical
from ppl_gen.models import (
    BernoulliNaiveBayes,
    CategoricalNaiveBayes,
    GaussianNaiveBayes,
    MixedNaiveBayes,
    MultinomialNaiveBayes,
    PoissonNaiveBayes,
    SharedGaussianNaiveBayes,
)
from tests.models.naive_bayes import COLUMNS, MODELS, draw, gaps

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 200)
BITS = (RNG.random((200, 6)) < RNG.random((3, 6))[Y]).astype(float)
COUNTS = RNG.poisson(RNG.gamma(1.0, 4.0, (3, 6))[Y]).astype(float)
LEVELS = [3, 2, 5]
CODES = np.stack([RNG.integers(0, n, 200) * (RNG.random(200) < 0.3 + 0.2 * Y) for n in LEVELS], 1)
REALS = RNG.normal(RNG.normal(size=(3, 4))[Y], 1.0)


def assert_equal(found, theirs, x):
    expected = torch.tensor(theirs.predict_proba(x))
    torch.testing.assert_close(found.probs, expected, rtol=1e-8, atol=1e-12)
    assert found.how == "enumerated"


def test_bernoulli():
    theirs = BernoulliNB(alpha=0.7).fit(BITS, Y)
    values = {"pi": np.exp(theirs.class_log_prior_), "theta": np.exp(theirs.feature_log_prob_)}
    found = ask(BernoulliNaiveBayes(3, 6), "p(y | x, pi, theta)", x=BITS, **values)
    assert_equal(found, theirs, BITS)
    # With their smoothing as the prior, the posterior predictive is theirs up to the class probabilities.
    posterior = fit(BernoulliNaiveBayes(3, 6, ones=0.7, zeros=0.7, concentration=1e-12), x=BITS, y=Y)
    assert_equal(ask(posterior, "p(y | x)", x=BITS), theirs, BITS)


def test_categorical():
    theirs = CategoricalNB(alpha=0.7, min_categories=LEVELS).fit(CODES, Y)
    theta = np.exp(np.concatenate(theirs.feature_log_prob_, 1))
    values = {"pi": np.exp(theirs.class_log_prior_), "theta": theta}
    found = ask(CategoricalNaiveBayes(3, 3, levels=LEVELS), "p(y | x, pi, theta)", x=CODES, **values)
    assert_equal(found, theirs, CODES)
    prior = CategoricalNaiveBayes(3, 3, levels=LEVELS, pseudocount=0.7, concentration=1e-12)
    assert_equal(ask(fit(prior, x=CODES, y=Y), "p(y | x)", x=CODES), theirs, CODES)


def test_multinomial():
    theirs = MultinomialNB(alpha=0.7).fit(COUNTS, Y)
    values = {"pi": np.exp(theirs.class_log_prior_), "theta": np.exp(theirs.feature_log_prob_), "lam": 24.0}
    found = ask(MultinomialNaiveBayes(3, 6), "p(y | x, pi, theta, lam)", x=COUNTS, **values)
    assert_equal(found, theirs, COUNTS)
    other = ask(MultinomialNaiveBayes(3, 6), "p(y | x, pi, theta, lam)", x=COUNTS, **(values | {"lam": 3.0}))
    torch.testing.assert_close(other.probs, found.probs, rtol=1e-8, atol=1e-12)  # the length says nothing
    posterior = fit(MultinomialNaiveBayes(3, 6, pseudocount=0.7), x=COUNTS, y=Y).model
    share = posterior.pseudocount / posterior.pseudocount.sum(1, keepdim=True)
    torch.testing.assert_close(share, torch.tensor(values["theta"]), rtol=1e-10, atol=0)


@pytest.mark.parametrize("smoothing", [1.0, 0.3])
@pytest.mark.parametrize(
    ("model", "theirs", "x"),
    [
        (BernoulliNaiveBayes(3, 6), BernoulliNB(), BITS),
        (MultinomialNaiveBayes(3, 6), MultinomialNB(), COUNTS),
        (CategoricalNaiveBayes(3, 3, levels=LEVELS), CategoricalNB(min_categories=LEVELS), CODES),
    ],
)
def test_maximum_likelihood_is_theirs(model, theirs, x, smoothing):
    theirs.set_params(alpha=smoothing).fit(x, Y)
    method = MaximumLikelihood(None if smoothing == 1 else smoothing)
    assert_equal(ask(fit(model, method, x=x, y=Y), "p(y | x)", x=x), theirs, x)


def test_maximum_likelihood_with_the_pooled_variance():
    theirs = GaussianNB(var_smoothing=0.0).fit(REALS, Y)
    theirs.var_ = np.tile(theirs.class_prior_ @ theirs.var_ + 1e-3 * REALS.var(0).max(), (3, 1))
    found = fit(SharedGaussianNaiveBayes(3, 4), MaximumLikelihood(1e-3), x=REALS, y=Y)
    assert_equal(ask(found, "p(y | x)", x=REALS), theirs, REALS)


@pytest.mark.parametrize("name", ["shared", "bernoulli", "poisson", "categorical", "multinomial"])
def test_shards_merge_to_the_whole(name):
    model = MODELS[name]()
    x, y = draw(model, 60)
    shards = [fit(model, x=x[i::3], y=y[i::3]) for i in range(3)]
    whole, found = fit(model, x=x, y=y), merge(*shards)
    assert found.log_evidence == pytest.approx(whole.log_evidence, rel=1e-10)
    for field, value in whole.model.named_buffers():
        torch.testing.assert_close(dict(found.model.named_buffers())[field], value, rtol=1e-9, atol=1e-10)


def test_gaussian_columns_of_a_mixed_model():
    theirs = GaussianNB(var_smoothing=0.0).fit(REALS, Y)
    values = {"pi": theirs.class_prior_, "mu": theirs.theta_, "tau": 1 / theirs.var_}
    found = ask(MixedNaiveBayes(3, ["gaussian"] * 4), "p(y | x, pi, mu, tau)", x=REALS, **values)
    assert_equal(found, theirs, REALS)


def test_shared_gaussian_with_their_pooled_variance():
    theirs = GaussianNB(var_smoothing=0.0).fit(REALS, Y)
    pooled = theirs.class_prior_ @ theirs.var_
    theirs.var_ = np.tile(pooled, (3, 1))
    values = {"pi": theirs.class_prior_, "mu": theirs.theta_, "tau": 1 / pooled}
    found = ask(SharedGaussianNaiveBayes(3, 4), "p(y | x, pi, mu, tau)", x=REALS, **values)
    assert_equal(found, theirs, REALS)


def test_mixed_is_the_product_of_its_families():
    """log p(x, y) and the hyperparameters are those of the models of one family."""
    x = np.concatenate([REALS[:, :2], BITS[:, :2], COUNTS[:, :2], CODES[:, :2]], 1)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    kinds = ["gaussian", "bernoulli", "poisson", None] * 2
    kinds[3], kinds[7] = Categorical(3), Categorical(2)
    mixed = fit(MixedNaiveBayes(3, kinds), x=x[:, order], y=Y)
    alone = [
        (fit(GaussianNaiveBayes(3, 2), x=REALS[:, :2], y=Y), slice(0, 2)),
        (fit(BernoulliNaiveBayes(3, 2), x=BITS[:, :2], y=Y), slice(2, 4)),
        (fit(PoissonNaiveBayes(3, 2), x=COUNTS[:, :2], y=Y), slice(4, 6)),
        (fit(CategoricalNaiveBayes(3, 2, levels=[3, 2]), x=CODES[:, :2], y=Y), slice(6, 8)),
    ]
    classes = ask(mixed, "p(y)").log_prob(y=Y)
    parts = sum(ask(p, "p(x, y)").log_prob(x=x[:, where], y=Y) - classes for p, where in alone)
    found = ask(mixed, "p(x, y)").log_prob(x=x[:, order], y=Y)
    torch.testing.assert_close(found, parts + classes, rtol=1e-10, atol=1e-10)


# The updates, by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("multinomial", False)]
    + [(name, gap) for name in ("shared", "bernoulli", "poisson", "categorical") for gap in (False, True)],
)
def test_hyperparameters_equal_loops_by_hand(name, hidden):
    model = MODELS[name]()
    x, y = draw(model, 60)
    x = gaps(x) if hidden else x
    after = fit(model, x=x, y=y).model
    x, y, expected = x.numpy(), y.numpy(), {k: v.clone().numpy() for k, v in model.named_buffers()}
    expected["concentration"] += np.bincount(y, minlength=3)
    if name == "multinomial":
        expected["shape"] += x.sum()
        expected["rate"] += len(x)
        expected["log_base"] -= sp.gammaln(x + 1).sum()
    first = np.cumsum([0, *getattr(model, "levels", ())])
    for j in range(4):
        for k in range(3):
            cells = x[y == k, j][~np.isnan(x[y == k, j])]
            n = len(cells)
            if name == "bernoulli":
                expected["ones"][k, j] += cells.sum()
                expected["zeros"][k, j] += (1 - cells).sum()
            elif name == "poisson":
                expected["shape"][k, j] += cells.sum()
                expected["rate"][k, j] += n
                expected["log_base"][k, j] -= sp.gammaln(cells + 1).sum()
            elif name == "multinomial":
                expected["pseudocount"][k, j] += cells.sum()
            elif name == "categorical":
                for cell in cells:
                    expected["pseudocount"][k, first[j] + int(cell)] += 1
            elif n:
                m0, k0 = model.loc[k, j].item(), model.strength[k, j].item()
                mean = cells.mean()
                expected["loc"][k, j] = (k0 * m0 + n * mean) / (k0 + n)
                expected["strength"][k, j] += n
                expected["shape"][j] += n / 2
                expected["rate"][j] += ((cells - mean) ** 2).sum() / 2 + k0 * n * (mean - m0) ** 2 / (
                    2 * (k0 + n)
                )
    for field, value in expected.items():
        np.testing.assert_allclose(dict(after.named_buffers())[field].numpy(), value, rtol=1e-10, atol=1e-10)


def test_soft_weights_equal_repeated_rows():
    """Rows that belong to a class twice count twice: what a mixture's responsibilities need."""
    x = torch.tensor(BITS[:20])
    weights = torch.tensor(RNG.integers(0, 3, (20, 2)), dtype=torch.float64)
    for family, rows in (
        (BernoulliNaiveBayes(2, 6).family("features"), x),
        (PoissonNaiveBayes(2, 6).family("features"), x),
        (CategoricalNaiveBayes(2, 6, levels=2).family("features"), x),
        (MultinomialNaiveBayes(2, 6).family("features"), x),
        (SharedGaussianNaiveBayes(2, 6).family("features"), x + torch.randn(20, 6, dtype=torch.float64)),
    ):
        soft = family.updated(weights, rows)
        hard = family
        for k in range(2):
            copies = rows.repeat_interleave(weights[:, k].long(), 0)
            one = torch.zeros(len(copies), 2, dtype=torch.float64)
            one[:, k] = 1
            hard = hard.updated(one, copies)
        for a, b in zip(soft, hard, strict=True):
            if isinstance(a, torch.Tensor):
                torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


# The evidence, by quadrature ----------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "categorical"])
def test_log_evidence_equals_quadrature_in_one_dimension(family):
    """One class, one feature: the evidence is one integral (a category against the rest is a coin)."""
    if family == "poisson":
        x = np.array([3.0, 0.0, 7.0, 2.0])
        model = PoissonNaiveBayes(1, 1, shape=1.5, rate=0.4)
        prior = st.gamma(1.5, scale=1 / 0.4)
        value = integrate.quad(
            lambda t: prior.pdf(t) * st.poisson.pmf(x, t).prod(), 0, np.inf, epsabs=0, epsrel=1e-11
        )
    else:
        x = np.array([1.0, 0.0, 1.0, 1.0])
        if family == "bernoulli":
            model = BernoulliNaiveBayes(1, 1, ones=1.5, zeros=0.7)
        else:
            model = CategoricalNaiveBayes(1, 1, levels=2, pseudocount=[[0.7, 1.5]])
        # t^(a - 1) (1 - t)^(b - 1) are the weights of the quadrature, which the ends then do not trouble.
        value = integrate.quad(
            lambda t: t**3 * (1 - t) / sp.beta(1.5, 0.7), 0, 1, weight="alg", wvar=(0.5, -0.3), epsrel=1e-11
        )
    posterior = fit(model, x=x[:, None], y=[0] * len(x))
    assert posterior.log_evidence == pytest.approx(np.log(value[0]), abs=1e-7)


def test_shared_gaussian_evidence_equals_quadrature():
    x, y = np.array([0.3, -0.2, 1.9, 2.4]), np.array([0, 0, 1, 1])
    prior = {"loc": 0.5, "strength": 0.6, "shape": 2.0, "rate": 1.2}

    def given_tau(tau):
        """The means integrated out: each class is jointly Normal."""
        total = st.gamma(prior["shape"], scale=1 / prior["rate"]).logpdf(tau)
        for k in range(2):
            cells = x[y == k]
            cov = (np.eye(2) + 1 / prior["strength"]) / tau
            total += st.multivariate_normal([prior["loc"]] * 2, cov).logpdf(cells)
        return np.exp(total)

    value = integrate.quad(given_tau, 0, np.inf, epsabs=0, epsrel=1e-10)[0]
    labels = np.log(sp.beta(3, 3) / sp.beta(1, 1))
    posterior = fit(SharedGaussianNaiveBayes(2, 1, **prior), x=x[:, None], y=y)
    assert posterior.log_evidence == pytest.approx(np.log(value) + labels, abs=1e-7)


def test_multinomial_evidence_equals_quadrature():
    x = np.array([[2.0, 3.0], [0.0, 4.0]])
    model = MultinomialNaiveBayes(1, 2, pseudocount=[[1.2, 2.5]], shape=2.0, rate=0.5)

    nodes, weights = sp.roots_legendre(400)
    theta, lam = np.meshgrid((nodes + 1) / 2, 30 * (nodes + 1))
    density = st.beta(1.2, 2.5).pdf(theta) * st.gamma(2.0, scale=2.0).pdf(lam)
    for first, second in x:
        density *= st.poisson.pmf(first, lam * theta) * st.poisson.pmf(second, lam * (1 - theta))
    value = 15 * weights @ density @ weights
    assert fit(model, x=x, y=[0, 0]).log_evidence == pytest.approx(np.log(value), abs=1e-7)


def test_the_cases_cover_every_kind_of_column():
    kinds = {"categorical" if isinstance(c, Categorical) else c for c in COLUMNS.values()}
    assert kinds == {"gaussian", "bernoulli", "poisson", "categorical"}
