"""The conjugate naive Bayes models: contract, evidence, missing cells, calibration.

Statistical tests raise a false alarm with probability 1e-6 each, whatever the seed.
"""

import math
import re

import pytest
import torch
from scipy import integrate
from scipy import special as sp

from ppl_gen import SVI, Exact, ask, check_model, fit, load, save
from ppl_gen.distributions import Categorical
from ppl_gen.errors import DataError
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    BernoulliNaiveBayes,
    CategoricalNaiveBayes,
    GaussianNaiveBayes,
    MixedNaiveBayes,
    MultinomialNaiveBayes,
    PoissonNaiveBayes,
    SharedGaussianNaiveBayes,
)
from tests.models.naive_bayes import COLUMNS, MODELS, NAMES, draw, gaps, parameters
from tests.thinned import thinned

# A vector of counts that misses some is refused at the fit.
MISSING = [name for name in NAMES if name != "multinomial"]


@pytest.mark.parametrize("name", thinned(NAMES, 3))
def test_keeps_the_contract(name):
    check_model(MODELS[name](), n=8)


@pytest.mark.parametrize(
    "columns", [["bernoulli"], ["poisson", "gaussian"], [Categorical(1), Categorical(3)]]
)
def test_mixed_names_just_the_parameters_of_its_columns(columns):
    model = MixedNaiveBayes(2, columns)
    check_model(model, n=8)
    assert ("mu" in model.joint) == ("gaussian" in columns)
    assert ("phi" in model.joint) == (columns[0] == Categorical(1))
    assert ("theta" in model.joint) == ("bernoulli" in columns)


@pytest.mark.parametrize(("name", "hidden"), [(n, False) for n in NAMES] + [(n, True) for n in MISSING])
def test_log_evidence_is_the_product_of_sequential_predictives(name, hidden):
    model = MODELS[name]()
    x, y = draw(model, 12)
    x = gaps(x) if hidden else x
    after, total = model, 0.0
    for row, label in zip(x, y, strict=True):
        total += ask(after, "p(x, y)").log_prob(x=row, y=int(label)).item()
        after = fit(after, x=row[None], y=label[None]).model
    whole = fit(model, x=x, y=y)
    continued = fit(fit(model, x=x[:5], y=y[:5]), Exact(chunk=3), x=x[5:], y=y[5:])
    for found in (whole.log_evidence, continued.log_evidence):
        assert found == pytest.approx(total, rel=1e-9)
    one_by_one = dict(after.named_buffers())
    for field, value in whole.model.named_buffers():
        torch.testing.assert_close(one_by_one[field], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_elbo_under_the_exact_posterior_is_the_log_evidence_on_every_draw(name):
    model = MODELS[name]()
    x, y = draw(model, 30)
    posterior = fit(model, x=x, y=y)
    for seed in range(5):
        value, _ = posterior.estimate_elbo(draws=1, seed=seed)
        assert value == pytest.approx(posterior.log_evidence, rel=1e-9)
    wrong, _ = fit(model, x=x[:1], y=y[:1]).estimate_elbo(draws=1, x=x, y=y)
    assert abs(wrong - posterior.log_evidence) > 0.1  # another posterior does fail


GUIDES = {
    "bernoulli": {"q_ones": "ones", "q_zeros": "zeros"},
    "poisson": {"q_shape": "shape", "q_rate": "rate"},
    "multinomial": {"q_shape": "shape", "q_rate": "rate", "q_pseudocount": "pseudocount"},
    "categorical": {"q_pseudocount": "pseudocount"},
}


@pytest.mark.parametrize("name", GUIDES)
def test_the_guide_contains_the_exact_posterior(name):
    """With the posterior's hyperparameters every draw's ELBO is the log evidence."""
    from ppl_gen.inference.elbo import elbo

    model = MODELS[name]()
    x, y = draw(model, 20)
    posterior = fit(model, x=x, y=y)
    for free, field in {"q_concentration": "concentration", **GUIDES[name]}.items():
        setattr(model, free, getattr(posterior.model, field))
    with isolated(0):
        value = elbo(model.model, model.guide, {"n": 20}, {"x": x, "y": y})
    assert value.item() == pytest.approx(posterior.log_evidence, rel=1e-10)


@pytest.mark.parametrize(("name", "guide"), thinned([("categorical", "mean_field"), ("mixed", None)], 2))
def test_svi_climbs_towards_the_exact_evidence(name, guide):
    model = MODELS[name]()
    x, y = draw(model, 40)
    exact = fit(model, x=x, y=y).log_evidence
    svi = fit(model, SVI(steps=400, learning_rate=0.05, guide=guide), x=x, y=y)
    (start, _), (end, error) = (
        fit(model, SVI(steps=1, guide=guide), x=x, y=y).estimate_elbo(),
        svi.estimate_elbo(),
    )
    assert start < end < exact + 5 * error
    assert exact - end < 0.5 * (exact - start)


# Missing cells ------------------------------------------------------------------------------------------


def without(name, model, keep):
    """The same model of the columns ``keep`` alone."""
    k, f = model.classes, dict(concentration=model.concentration)
    if name in ("gaussian", "shared"):
        kind = GaussianNaiveBayes if name == "gaussian" else SharedGaussianNaiveBayes
        fields = {n: getattr(model, n)[..., keep] for n in ("loc", "strength", "shape", "rate")}
        return kind(k, len(keep), **f, **fields)
    if name == "bernoulli":
        return BernoulliNaiveBayes(k, len(keep), **f, ones=model.ones[:, keep], zeros=model.zeros[:, keep])
    if name == "poisson":
        return PoissonNaiveBayes(k, len(keep), **f, shape=model.shape[:, keep], rate=model.rate[:, keep])
    if name == "categorical":
        parts = model.pseudocount.split(model.levels, -1)
        pseudocount, levels = torch.cat([parts[j] for j in keep], -1), [model.levels[j] for j in keep]
        return CategoricalNaiveBayes(k, len(keep), levels=levels, **f, pseudocount=pseudocount)
    fields = {}
    for kind, place in model.columns.places.items():
        prior, here = model.columns.kinds[kind], [i for i, j in enumerate(place) if j in keep]
        if kind == "categorical":
            parts = prior.pseudocount.split(model.columns.levels, -1)
            fields[kind] = {"pseudocount": torch.cat([parts[i] for i in here], -1)} if here else {}
        elif here:
            names = [n for n in prior.family._fields if n != "log_base"]
            fields[kind] = {n: getattr(prior, n)[:, here] for n in names}
    columns = [list(COLUMNS.values())[j] for j in keep]
    return MixedNaiveBayes(k, columns, **f, priors={kind: own for kind, own in fields.items() if own})


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_cell_is_a_column_left_out(name):
    model = MODELS[name]()
    x, y = draw(model, 25)
    keep = [0, 2, 3]
    gappy = torch.full_like(x, torch.nan)
    gappy[:, keep] = x[:, keep]
    # At the fit: the columns that are left learn what they learn alone, and the evidence is theirs.
    full, less = fit(model, x=gappy, y=y), fit(without(name, model, keep), x=x[:, keep], y=y)
    assert full.log_evidence == pytest.approx(less.log_evidence, rel=1e-10)
    # At the query, of a posterior that knows all columns.
    posterior = fit(model, x=x, y=y).model
    alone = without(name, posterior, keep)
    for question, values in {"p(x)": {}, "p(x, y)": {"y": y}}.items():
        found = ask(posterior, question).log_prob(x=gappy, **values)
        torch.testing.assert_close(
            found, ask(alone, question).log_prob(x=x[:, keep], **values), rtol=1e-10, atol=1e-10
        )
    found, expected = ask(posterior, "p(y | x)", x=gappy), ask(alone, "p(y | x)", x=x[:, keep])
    torch.testing.assert_close(found.probs, expected.probs, rtol=1e-10, atol=1e-10)
    assert found.how == "enumerated"


@pytest.mark.parametrize("name", NAMES)
def test_each_row_may_miss_cells_of_its_own(name):
    """Row by row, with all parameters given: the sum over the cells that are there."""
    model = MODELS[name]()
    x, _ = draw(model, 20)
    values, gappy = parameters(model, seed=3), gaps(x)
    bar = ", ".join(values)
    found = ask(model, f"p(y | x, {bar})", x=gappy, **values).probs
    nothing = torch.full((1, x.shape[1]), torch.nan, dtype=x.dtype)
    torch.testing.assert_close(ask(model, f"p(y | x, {bar})", x=nothing, **values).probs[0], values["pi"])
    logs = values["pi"].log().repeat(20, 1)
    for j in range(x.shape[1]):
        alone = torch.full_like(x, torch.nan)
        alone[:, j] = gappy[:, j]
        for c in range(model.classes):
            logs[:, c] += ask(model, f"p(x | y, {bar})", y=c, **values).log_prob(x=alone)
    torch.testing.assert_close(found, logs.softmax(1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rate", [0.02, 0.3, 30.0])
def test_missing_counts_of_a_posterior_multinomial_are_summed_out_exactly(rate):
    """Against quadrature over the seen share of theta, and against the sum over the missing count."""
    model = MultinomialNaiveBayes(1, 3, pseudocount=[[0.4, 2.0, 1.3]], shape=20 * rate, rate=rate)
    row = torch.tensor([3.0, torch.nan, 17.0])
    found = ask(model, "p(x)").log_prob(x=row).item()
    several = torch.stack([torch.tensor([3.0, k, 17.0]) for k in range(3000)])
    total = ask(model, "p(x)").log_prob(x=several).logsumexp(0).item()
    assert found == pytest.approx(total, rel=1e-10)
    (a, b, c), shape = (0.4, 2.0, 1.3), 20 * rate
    m, seen = 20, 1.7

    def weight(s):
        power = seen + m - 1, b - 1
        return s ** power[0] * (1 - s) ** power[1] * ((rate + 1) / (rate + s)) ** (shape + m)

    integral = integrate.quad(weight, 0, 1, epsabs=0, epsrel=1e-10)[0] / sp.beta(seen, b)
    rest = sp.gammaln([a + 3, c + 17, seen, shape + m]).sum()
    rest -= sp.gammaln([a, c, 4, 18, seen + m, shape]).sum()
    rest += shape * math.log(rate) - (shape + m) * math.log(rate + 1)
    assert found == pytest.approx(rest + math.log(integral), abs=1e-7)


def test_a_count_vector_with_missing_counts_is_refused_at_the_fit():
    x = torch.tensor([[1.0, 2.0], [3.0, torch.nan], [torch.nan, torch.nan]])
    with pytest.raises(DataError, match=r"row 1 misses some of its counts.*PoissonNaiveBayes"):
        fit(MultinomialNaiveBayes(2, 2), x=x, y=[0, 1, 1])
    whole = fit(MultinomialNaiveBayes(2, 2), x=x[[0, 2]], y=[0, 1])  # a row of gaps only tells its class
    assert whole.model.concentration.tolist() == [2, 2]
    assert whole.model.rate.item() == pytest.approx(1.01)


# Calibration --------------------------------------------------------------------------------------------


SIMULATIONS, DRAWS = 400, 7
SMALL = {
    "gaussian": lambda: GaussianNaiveBayes(
        2, 1, concentration=2.0, **{"loc": 0.3, "strength": 0.5, "shape": 2.0}
    ),
    "shared": lambda: SharedGaussianNaiveBayes(2, 1, concentration=2.0, strength=0.5, shape=2.0, rate=1.0),
    "bernoulli": lambda: BernoulliNaiveBayes(2, 1, ones=1.5, zeros=0.7),
    "poisson": lambda: PoissonNaiveBayes(2, 1, shape=1.5, rate=0.4),
    "multinomial": lambda: MultinomialNaiveBayes(2, 2, pseudocount=0.8, shape=3.0, rate=0.3),
    "categorical": lambda: CategoricalNaiveBayes(2, 1, levels=3, pseudocount=0.8),
    "mixed": lambda: MixedNaiveBayes(2, ["poisson", Categorical(3)]),
}


def furthest(model, copies):
    """The largest distance of the ranks from uniform, of any parameter, in units of what one may see."""
    ranks = []
    for simulation in range(SIMULATIONS):
        with isolated(simulation):
            drawn = run(model, 6)
            x, y = drawn.pop("x"), drawn.pop("y")
            after = model.updated(x=x.repeat(copies, 1), y=y.repeat(copies))
            others = [run(after, 1) for _ in range(DRAWS)]
        ranks.append(
            [sum(bool(o[k].flatten()[0] < v.flatten()[0]) for o in others) for k, v in drawn.items()]
        )
    below = torch.stack([(torch.tensor(ranks) <= r).double().mean(0) for r in range(DRAWS)])
    uniform = torch.arange(1, DRAWS + 1)[:, None] / (DRAWS + 1)
    # Dvoretzky, Kiefer and Wolfowitz with Massart's constant, for each parameter (union bound).
    allowed = math.sqrt(math.log(2 * len(ranks[0]) / 1e-6) / (2 * SIMULATIONS))
    return float((below - uniform).abs().max()) / allowed


def run(model, n):
    import pyro

    nodes = pyro.poutine.trace(model.model).get_trace(n=n).nodes
    names = [k for k, s in nodes.items() if s["type"] == "sample" and k not in ("data", "classes")]
    return {name: nodes[name]["value"] for name in names}


@pytest.mark.parametrize("name", thinned(SMALL, 4))
def test_posteriors_are_calibrated(name):
    """Parameters drawn from the prior rank uniformly among draws of their posteriors (Talts et al. 2018)."""
    assert furthest(SMALL[name](), copies=1) < 1


def test_a_posterior_that_counts_rows_many_times_is_not_calibrated():
    assert furthest(SMALL["poisson"](), copies=30) > 1


# Use ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_the_same(name, tmp_path):
    model = MODELS[name]()
    x, y = draw(model, 10)
    posterior = fit(model, x=x, y=y)
    save(posterior, tmp_path / "nb.pplgen")
    again = load(tmp_path / "nb.pplgen")
    assert torch.equal(ask(again, "p(y | x)", x=x).probs, ask(posterior, "p(y | x)", x=x).probs)
    assert fit(again, x=x[:3], y=y[:3]).log_evidence == fit(posterior, x=x[:3], y=y[:3]).log_evidence


@pytest.mark.parametrize("name", NAMES)
def test_generates_rows_that_it_may_learn_from(name):
    model = MODELS[name]()
    x, y = draw(model, 10)
    posterior = fit(model, x=x, y=y)
    rows = ask(posterior, "p(x | y)", y=1).sample(5, seed=0)
    assert rows.shape == (5, x.shape[1])
    fit(posterior, x=rows, y=[1] * 5)
    if name != "mixed":  # codes of categories have no mean
        assert ask(posterior, "p(x | y)", y=1).mean.shape == (x.shape[1],)


def test_a_category_never_seen_keeps_its_prior_mass():
    nb = CategoricalNaiveBayes(classes=1, features=2, levels=[3, 2], pseudocount=0.5)
    posterior = fit(nb, x=[[0, 0], [0, 1], [1, 0]], y=[0, 0, 0])
    alone = ask(posterior, "p(x)").log_prob(x=[[2.0, torch.nan]])
    assert alone.exp().item() == pytest.approx(0.5 / 4.5)
    with pytest.raises(DataError, match=r"got 2 at \[0, 1\]|levels of the features are 3, 2"):
        ask(posterior, "p(x)").log_prob(x=[[2, 2]])


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="levels: expected one number, or one for each of 3 features"):
        CategoricalNaiveBayes(2, 3, levels=[2, 2])
    with pytest.raises(DataError, match="columns: expected gaussian, bernoulli, poisson or Categorical"):
        MixedNaiveBayes(2, ["gauss"])
    with pytest.raises(DataError, match="no column is 'poisson'"):
        MixedNaiveBayes(2, ["gaussian"], priors={"poisson": {"rate": 1.0}})
    with pytest.raises(DataError, match="gaussian has loc, strength, shape, rate"):
        MixedNaiveBayes(2, ["gaussian"], priors={"gaussian": {"scale": 1.0}})
    mixed = MixedNaiveBayes(2, ["gaussian", "bernoulli"])
    with pytest.raises(DataError, match=r"x: expected zeros and ones in the column 1, got 2 at \[0, 1\]"):
        fit(mixed, x=[[0.0, 2.0]], y=[0])
    columns = {"hue": Categorical(2), "visits": "poisson", "town": Categorical(3)}
    for row, says in (
        ([1, 1.5, 0], "whole numbers from 0 up in the column 'visits', got 1.5 at [1, 1]"),
        ([1, 1, 3], "whole numbers from 0 to 2 in the column 'town', got 3 at [1, 2]"),
        ([2, 1, 2], "whole numbers from 0 to 1 in the column 'hue', got 2 at [1, 0]"),
    ):
        with pytest.raises(DataError, match=re.escape(f"x: expected {says}")):
            fit(MixedNaiveBayes(1, columns), x=[[1, 1, 2], row], y=[0, 0])
    for model, row in ((BernoulliNaiveBayes(2, 1), 2), (PoissonNaiveBayes(2, 1), -1)):
        with pytest.raises(DataError, match="x: expected"):
            fit(model, x=[[row]], y=[0])


@pytest.mark.parametrize("name", MODELS)
def test_a_class_prior_given_with_the_question_is_exact(name):
    """p(y | x, pi) is pi times p(x | y), normalised: no draws."""
    model = MODELS[name]()
    x, y = draw(model, 40)
    posterior = fit(model, x=x, y=y)
    pi = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    answer = ask(posterior, "p(y | x, pi)", x=x, pi=pi)
    density = [ask(posterior, "p(x | y)", y=torch.full((40,), k)).log_prob(x=x) for k in range(3)]
    expected = (torch.stack(density, 1) + pi.log()).softmax(1)
    torch.testing.assert_close(answer.probs, expected, rtol=0, atol=1e-10)
    assert answer.how == "enumerated"


def test_counts_with_gaps_start_a_guide():
    gap = float("nan")
    model = MultinomialNaiveBayes(classes=2, features=2)
    posterior = fit(
        model,
        SVI(steps=5, progress=False),
        x=[[1.0, gap], [2.0, 3.0], [0.0, 4.0], [5.0, 1.0]],
        y=[0, 1, 1, 0],
    )
    assert torch.isfinite(posterior.elbo).all()
