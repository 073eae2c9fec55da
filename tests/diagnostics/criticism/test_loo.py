"""Leave-one-out: exact against fits without each row, draws against exact, models against one another."""

import inspect
import math
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from ppl_gen import (
    EM,
    NUTS,
    SVI,
    Exact,
    compare_models,
    fit,
    fit_pyro,
    loo,
    loo_pit,
    models,
    summary,
    to_arviz,
)  # fmt: skip
from ppl_gen.core import dtype_of, is_local, run, variables
from ppl_gen.diagnostics.criticism.loo import smoothed
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.evidence import log_mean_exp_error
from ppl_gen.models import (
    BernoulliNaiveBayes,
    GaussianMixture,
    GaussianNaiveBayes,
    LinearRegression,
    LogisticRegression,
    PoissonNaiveBayes,
    QuadraticDiscriminantAnalysis,
)
from tests.readme import example

SURE = 5.0  # standard errors: beyond in 6e-7 of the cases
X = torch.tensor(np.random.default_rng(0).normal(size=(24, 2)))
Y = torch.arange(24) % 2
ROWS = {"x": X + 2 * Y[:, None], "y": Y}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def conjugate():
    made = {name: example(getattr(models, name)) for name in sorted(models.__all__)}
    return {name: p for name, p in made.items() if hasattr(p, "updated") and not p.hidden}


def rows_of(model, n):
    """Rows that the model generates."""
    x = torch.rand(n, 2, dtype=dtype_of(model)) if "| x, w" in model.joint else None
    trace = variables(run(model.model, {"n": n, "x": x}))
    asked = inspect.signature(model.updated).parameters  # a bin is known from its target
    found = {name: site["value"] for name, site in trace.items() if is_local(site) and name in asked}
    return found if x is None else {**found, "x": x}


# Exactly ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(conjugate()))
def test_exact_is_what_fits_without_each_row_say(name):
    model = conjugate()[name]
    posterior = fit(model, Exact(), **rows_of(model, 7))
    found, brute = loo(posterior), loo(posterior, by="refit", progress=False)
    assert found.how == "exact"
    torch.testing.assert_close(found.rows, brute.rows, rtol=1e-8, atol=1e-8)
    assert not torch.allclose(found.fitted, found.rows, atol=1e-3)  # rows that were fitted score higher


def test_exact_knows_conditionals_and_missing_cells():
    x = ROWS["x"].clone()
    x[3, 1] = torch.nan
    posterior = fit(GaussianNaiveBayes(classes=2, features=2), x=x, y=Y)
    for question in (None, "p(y | x)", "p(x)"):
        found = loo(posterior, question)
        brute = loo(posterior, question, by="refit", progress=False)
        torch.testing.assert_close(found.rows, brute.rows, rtol=1e-8, atol=1e-8)


# By draws ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", [None, "p(y | x)"])
def test_draws_reweighted_agree_with_exact(question):
    posterior = fit(BernoulliNaiveBayes(classes=2, features=2), x=(X > 0).double(), y=Y)
    exact = loo(posterior, question)
    found, draws = smoothed(posterior, question, 500, 0)
    assert not found.unsure
    error = 2 * log_mean_exp_error(-draws.log_likelihood)  # of the weights, and of what they weigh
    assert bool((abs(found.rows - exact.rows) <= SURE * error + 1e-9).all())
    assert bool((found.fitted > found.rows).all())
    assert found.p_loo == pytest.approx(exact.p_loo, abs=SURE * float(error.norm()))


@pytest.mark.slow
def test_a_wrong_guide_is_corrected():
    """A guide that knows a third of the counts: its draws alone are far from exact, weighted they agree."""
    rows = {"x": (X > 0).double(), "y": Y}
    exact = fit(BernoulliNaiveBayes(classes=2, features=2), **rows)
    found = exact.model.family("classes"), exact.model.family("features")

    def wide():
        pyro.sample("pi", dist.Dirichlet(found[0].concentration / 3))
        with pyro.plate("classes", 2):
            pyro.sample("theta", dist.Beta(found[1].ones / 3, found[1].zeros / 3).to_event(1))

    guided = replace(exact, model=exact.prior, guide=wide, evidence=None, method=SVI(), _drawn={})
    result, draws = smoothed(guided, None, 2000, 0)
    assert not result.unsure
    each = result.rows - loo(exact).rows
    plain = -(-draws.log_likelihood).logsumexp(0) + math.log(2000) - loo(exact).rows
    weights = guided.weighted(2000, 0)[0][:, :1].double()
    error = 2 * log_mean_exp_error(weights - draws.log_likelihood)
    assert bool((abs(each) <= SURE * error).all())
    assert bool((abs(plain) > SURE * error).any())


def test_draws_that_are_all_alike_leave_every_row_as_it_was():
    exact = fit(BernoulliNaiveBayes(classes=2, features=2), x=(X > 0).double(), y=Y)

    def narrow():
        pyro.sample("pi", dist.Delta(torch.tensor([0.5, 0.5], dtype=torch.float64), event_dim=1))
        with pyro.plate("classes", 2):
            pyro.sample("theta", dist.Delta(torch.full((2, 2), 0.5, dtype=torch.float64), event_dim=1))

    alike = replace(exact, model=exact.prior, guide=narrow, evidence=None, method=SVI(), _drawn={})
    found, draws = smoothed(alike, None, 50, 0)
    torch.testing.assert_close(draws.log_weights.exp(), torch.full((50, 24), 0.02, dtype=torch.float64))
    assert bool((found.k_hat == -math.inf).all())
    torch.testing.assert_close(found.rows, torch.full((24,), 3 * math.log(0.5), dtype=torch.float64))


@pytest.mark.slow
def test_chains_agree_with_exact():
    x = X[:, :1]
    rows = {"x": x, "y": 1 + 2 * x[:, 0] + 0.5 * X[:, 1]}
    exact = loo(fit(LinearRegression(features=1), **rows))
    chains = fit(LinearRegression(features=1), NUTS(seed=0, progress=False), **rows)
    found, draws = smoothed(chains, None, 500, 0)
    error = (
        3 * 24 * log_mean_exp_error(-draws.log_likelihood).mean()
    )  # threefold: draws depend on one another
    assert abs(found.elpd - exact.elpd) <= SURE * float(error)


def test_a_row_too_far_is_named_and_fitted_without():
    x = torch.cat([torch.linspace(-1, 1, 30).double(), torch.tensor([40.0]).double()])[:, None]
    posterior = fit(GaussianMixture(components=1, features=1), x=x, z=torch.zeros(31))
    exact = loo(posterior)
    found = loo(posterior, by="PSIS", draws=200)
    assert found.unsure[0] == 30
    assert "rows 30" in found.verdict() or "row 30" in found.verdict()
    assert "refit=True" in found.verdict()
    mended = loo(posterior, by="PSIS", draws=200, refit=True, progress=False)
    assert not mended.unsure
    assert float(mended.rows[30]) == pytest.approx(float(exact.rows[30]), abs=1e-8)
    assert abs(float(found.rows[30] - exact.rows[30])) > 1
    assert "fit" in mended.how
    assert found.table().index[0] == 30
    assert "<svg" in found._repr_html_()


def test_what_has_no_draws_is_refused_or_fitted_anew():
    posterior = fit(GaussianMixture(components=1, features=2), EM(), x=X[:6])
    with pytest.raises(Unanswerable, match="refit"):
        loo(posterior)
    assert torch.isfinite(loo(posterior, by="refit", progress=False).rows).all()
    with pytest.raises(Unanswerable, match="conjugate"):
        loo(posterior, by="exact")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: loo(p, by="waic"), "by"),
        (lambda p: loo(p, "p(z)"), "rows fitted"),
        (lambda p: loo(p.model), "fit_pyro or to_arviz returned, got GaussianNaiveBayes$"),
        (lambda p: loo(p, by="PSIS", draws=3), "draws"),
        (lambda p: loo(bare), r"got function. Of bare Pyro pass the tree, to_arviz\(fitted, model, data\)"),
        (lambda p: loo_pit(bare), "Of bare Pyro pass the tree"),
        (lambda p: compare_models({"a": p, "b": bare}), "Of bare Pyro pass the tree"),
    ],
)
def test_what_is_no_question_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call(fit(GaussianNaiveBayes(classes=2, features=2), **ROWS))


def bare(x):
    mu = pyro.sample("mu", dist.Normal(0.0, 3.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def guided(x, sds=1.0):
    """What `fit_pyro` returns of the exact posterior, its sd multiplied."""
    precision = 1 / 9 + len(x)
    fixed = dist.Normal(x.sum() / precision, sds * precision**-0.5)

    def guide(x):
        pyro.sample("mu", dist.Normal(fixed.loc + 0 * pyro.param("idle", torch.tensor(0.0)), fixed.scale))

    return fit_pyro(bare, guide, SVI(steps=1, progress=False, compile=False), x)


def test_a_bare_fit_is_scored_as_its_tree_is():
    x = X[:20, 0].float()
    found = loo(guided(x), draws=400)
    exact = sum(
        stats.norm.logpdf(x[i], rest.sum() / (1 / 9 + 19), (1 + 1 / (1 / 9 + 19)) ** 0.5)
        for i in range(20)
        for rest in [np.delete(x.numpy(), i)]
    )
    # Each row's weighted mean density has a relative error of some sqrt(1 / (19 draws)): 5 of those
    assert found.elpd == pytest.approx(exact, abs=5 * 20 / math.sqrt(19 * 400))
    assert (loo(to_arviz(guided(x), draws=400)).rows == found.rows).all()
    assert summary(guided(x)).index.tolist() == ["mu"]
    assert list(loo_pit(guided(x), draws=200).found) == ["x"]
    assert compare_models({"a": guided(x), "b": found}, draws=400).differences.tolist() == [0.0, 0.0]
    with pytest.raises(Unanswerable, match="which arguments of bare hold rows only you know"):
        loo(guided(x), by="refit")


def test_a_bare_fit_is_never_sent_to_refits():
    far = loo(guided(X[:20, 0].float(), 0.05), draws=100)
    assert "a better guide, such as pyro.infer.autoguide.AutoMultivariateNormal(model)" in far.verdict()
    one = loo(guided(torch.cat([0.1 * X[:19, 0].float(), torch.tensor([40.0])])), draws=100)
    assert one.unsure == (19,)
    assert "to_arviz(that fit, model, the row)" in one.verdict()
    assert "refit" not in far.verdict() + one.verdict()


# Several models ---------------------------------------------------------------------------------------------


def test_differences_are_paired():
    nb = fit(GaussianNaiveBayes(classes=2, features=2), **ROWS)
    qda = fit(QuadraticDiscriminantAnalysis(classes=2, features=2), **ROWS)
    found = compare_models({"nb": nb, "qda": qda, "again": loo(nb)})
    apart = loo(qda).rows - loo(nb).rows
    best = found.best
    other = "qda" if best != "qda" else "nb"
    i = found.names.index(other)
    assert float(found.differences[i]) == pytest.approx(-abs(float(apart.sum())))
    assert float(found.standard_errors[i]) == pytest.approx(float(apart.std() * 24**0.5))
    assert found.differences[0] == found.standard_errors[0] == 0
    twin = found.names.index("again") if best != "again" else found.names.index("nb")
    assert found.differences[twin] == found.differences[found.names.index("nb")]
    assert "only 24 rows" in found.verdict()
    assert found.table().loc[best, "difference"] == 0
    assert "<svg" in found._repr_html_()


def test_generative_and_discriminative_models_compare_on_labels():
    nb = fit(GaussianNaiveBayes(classes=2, features=2), **ROWS)
    lr = fit(LogisticRegression(classes=2, features=2), SVI(steps=50, progress=False), **ROWS)
    with pytest.raises(DataError, match=r"different variables do not compare.*p\(y \| x\)"):
        compare_models({"nb": nb, "lr": lr})
    found = compare_models({"nb": nb, "lr": lr}, "p(y | x)", draws=50)
    assert {f.question for f in found.found.values()} == {"p(y | x)"}


def test_models_of_other_rows_do_not_compare():
    nb = fit(GaussianNaiveBayes(classes=2, features=2), **ROWS)
    more = fit(GaussianNaiveBayes(classes=2, features=2), x=X + 1e-9, y=Y)
    with pytest.raises(DataError, match="the same rows"):
        compare_models({"a": nb, "b": more})
    with pytest.raises(DataError, match="two posteriors"):
        compare_models({"a": nb})
    with pytest.raises(DataError, match="'b'"):
        compare_models({"a": nb, "b": 3})


def test_a_clear_winner_is_called_so():
    x, y = torch.poisson(torch.full((150, 1), 60.0, dtype=torch.float64)), torch.arange(150) % 2
    narrow = fit(PoissonNaiveBayes(classes=2, features=1), x=x, y=y)
    wide = fit(PoissonNaiveBayes(classes=2, features=1), x=x, y=y)
    assert not compare_models({"a": narrow, "b": wide}).verdict().count("clearly")
    counts = loo(narrow)
    worse = loo(wide)
    worse.rows.sub_(1.0)
    assert "clearly behind" in compare_models({"a": counts, "b": worse}).verdict()


# LOO-PIT ----------------------------------------------------------------------------------------------------


def test_transforms_are_those_of_student_s_t():
    """A Normal with conjugate prior: left out, a row is Student's t about the others (Murphy 2007)."""
    x = ROWS["x"][:, :1]
    model = GaussianMixture(components=1, features=1)
    posterior = fit(model, x=x, z=torch.zeros(24))
    draws = 500
    found = loo_pit(posterior, draws=draws)["x[0]"].values
    weights = smoothed(posterior, None, draws, 0)[1].log_weights.exp()
    loc, strength, shape, rate = (float(v.reshape(-1)[0]) for v in model.family("features"))
    for i in range(24):
        rest = x[torch.arange(24) != i, 0].numpy()
        k = strength + len(rest)
        m = (strength * loc + rest.sum()) / k
        a = shape + len(rest) / 2
        b = rate + rest.var() * len(rest) / 2 + strength * len(rest) * (rest.mean() - loc) ** 2 / (2 * k)
        p = stats.t(2 * a, m, math.sqrt(b * (k + 1) / (a * k))).cdf(float(x[i, 0]))
        ess = 1 / float(weights[:, i].square().sum())
        assert abs(found[i] - p) <= SURE * math.sqrt(p * (1 - p) / ess + 1e-6) + 2 / draws


def test_too_narrow_predictions_are_found_and_sound_ones_are_not():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 1, generator=generator, dtype=torch.float64)
    heavy = torch.cat([x, 30 * torch.randn(30, 1, generator=generator, dtype=torch.float64)])
    bad = loo_pit(fit(GaussianMixture(components=1, features=1), x=heavy, z=torch.zeros(110)), draws=200)
    assert bad.misfit == ("x[0]",)
    assert "not calibrated" in bad.verdict()
    assert "<svg" in bad._repr_html_()
    with pytest.raises(DataError, match="expected one of"):
        bad["y"]


@pytest.mark.slow
def test_transforms_of_sound_models_raise_few_alarms():
    rounds, alarms = 60, 0
    for _ in range(rounds):
        y = (torch.rand(60) < 0.4).long()
        x = torch.randn(60, 1, dtype=torch.float64) + y[:, None]
        x[:5] = torch.nan
        alarms += bool(loo_pit(fit(GaussianNaiveBayes(classes=2, features=1), x=x, y=y), draws=100).misfit)
    assert alarms <= stats.binom.isf(1e-6, rounds, 0.05)
