"""Bare Pyro fits are diagnosed as far as that goes, and the rest is refused in words."""

from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import autoguide
from pyro.infer.autoguide import AutoMultivariateNormal

from ppl_gen import SVI, diagnose, fit_pyro, guide_quality, report
from ppl_gen.diagnostics.trust.climb_checks import pyro_climb
from ppl_gen.diagnostics.trust.joint_checks import factor_checks
from ppl_gen.diagnostics.trust.pyro_case import PyroCase
from ppl_gen.errors import DataError
from ppl_gen.inference.bare import _Program
from ppl_gen.inference.guides import correlated, richer
from tests.planted_faults.base import REAL, normal

QUIET = {"progress": False, "compile": False}


def model(x):
    mu = pyro.sample("mu", dist.Normal(torch.zeros((), dtype=REAL), 3.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def guided(x, sds=1.0):
    """A guide that is the posterior, its sd as a multiple of the posterior's."""
    precision = 1 / 9 + len(x)

    def guide(x):
        loc = pyro.param("loc", torch.as_tensor(float(x.sum() / precision), dtype=REAL))
        pyro.sample("mu", dist.Normal(loc, sds * precision**-0.5))

    return fit_pyro(model, guide, SVI(steps=3, learning_rate=1e-9, **QUIET), x)


def test_the_weights_of_the_posterior_itself_are_equal():
    x = 1 + normal(0, 40)
    found = guide_quality(guided(x), draws=100)
    assert found.effective == pytest.approx(100)
    covariance = torch.eye(40, dtype=REAL) + 9
    exact = dist.MultivariateNormal(torch.zeros(40, dtype=REAL), covariance).log_prob(x)
    assert found.log_evidence == pytest.approx(float(exact), abs=1e-6)


def test_a_narrow_guide_is_found_and_a_sound_one_passes(tmp_path):
    x = 1 + normal(1, 40)
    sound = diagnose(guided(x), draws=300, more_steps=0)
    assert not sound.faults, sound
    assert sound.verdict.startswith(("use it", "exact"))
    narrow = diagnose(guided(x, 0.3), draws=300, more_steps=0)
    assert narrow.fault == "sds too small", narrow
    page = report(narrow, tmp_path / "page.html").read_text()
    assert page.count("<svg") >= 2
    assert narrow.unseen in page
    with pytest.raises(DataError, match=r"path: expected the name of a file, such as .*, got int"):
        report(narrow, 3)


def two(x):
    a, b = (pyro.sample(name, dist.Normal(torch.zeros((), dtype=REAL), 1.0)) for name in "ab")
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(a + b, 1.0), obs=x)


def test_advice_names_guides_of_pyro():
    """Two summands whose sum is known: the best independent Normals are far too narrow."""

    def guide(x):
        for name in "ab":
            loc = pyro.param(name, torch.tensor(float(x.sum()) / (1 + 2 * len(x)), dtype=REAL))
            pyro.sample(name, dist.Normal(loc, (1 + len(x)) ** -0.5))

    found = diagnose(
        fit_pyro(two, guide, SVI(steps=1, learning_rate=1e-9, **QUIET), normal(4, 30)), more_steps=0
    )
    assert found.fault == "correlations ignored", found
    assert "Try: take pyro.infer.autoguide.AutoMultivariateNormal(model), or" in found.verdict
    assert not any("guide=" in check.fix or "NUTS()" in check.fix for check in found.checks)


def test_a_guide_is_not_advised_to_those_who_have_it():
    wide = autoguide.AutoMultivariateNormal, autoguide.AutoLowRankMultivariateNormal, autoguide.AutoIAFNormal
    narrow = autoguide.AutoNormal, autoguide.AutoDiagonalNormal, autoguide.AutoDelta
    assert [correlated(_Program(made(two))) for made in wide + narrow] == 3 * [True] + 3 * [False]
    advice = [richer(_Program(made(two))) for made in (autoguide.AutoNormal, *wide)]
    assert advice == ['guide="full_rank" or guide="flow"', 'guide="flow"', 'guide="flow"', ""]


def test_rows_that_the_program_does_not_expect_are_found():
    found = diagnose(guided(3 * normal(2, 60)), draws=100, more_steps=0)
    assert "wrong scale" in found.faults, found
    assert str(found).splitlines()[-1] == f"  Not looked at: {'; '.join(found.skipped)}."
    assert "modes that the guide never visits" in found.unseen
    assert found.unseen in found._repr_html_()


def test_a_climb_that_had_not_arrived():
    x = 5 + normal(3, 40)
    fitted = fit_pyro(model, AutoMultivariateNormal(model), SVI(steps=20, learning_rate=0.01, **QUIET), x)
    found = diagnose(fitted, draws=100)
    assert found.fault == "too few steps"
    assert "take 1,000 steps" in found.verdict


@pytest.mark.parametrize("far", [False, True])
def test_a_climb_with_a_long_way_to_go_is_told_to_take_larger_steps(far):
    """At 0.001 a step the mean moves by 0.3 in 300 steps: of 5, or of 0.1, which is all that is left."""
    start = torch.tensor(0.0 if far else 4.9, dtype=REAL)

    def guide(x):
        pyro.sample("mu", dist.Normal(pyro.param("loc", start), 0.02))

    x = 5 + normal(3, 40) - normal(3, 40).mean()
    fitted = fit_pyro(model, guide, SVI(steps=5, learning_rate=0.001, **QUIET), x)
    (check,) = pyro_climb(PyroCase.of(fitted, 0, None), None)
    assert check.fault == ("too few steps" if far else "")
    assert ("at a larger learning_rate, such as 0.01, that falls" in check.fix) == far


@pytest.mark.parametrize("schedule", [pytest.param("cosine", marks=pytest.mark.slow), "constant"])
@pytest.mark.parametrize(
    ("rate", "off", "fault"),
    [(10.0, 0.5, "learning rate too high"), (0.05, 0.5, "too few steps"), (0.05, 0.0, ""), (10.0, 0.0, "")],
)
def test_after_many_long_steps_short_ones_gain_as_much(rate, off, fault, schedule):
    """Three sds beside the posterior, after a hundred steps; of a fit that has arrived they say nothing."""
    x = 5 + normal(3, 40) - normal(3, 40).mean()
    start = x.sum() / (40 + 1 / 9) + off

    def guide(x):
        pyro.sample("mu", dist.Normal(pyro.param("loc", start), (40 + 1 / 9) ** -0.5))

    fitted = fit_pyro(model, guide, SVI(steps=1, learning_rate=1e-9, **QUIET), x)
    method = replace(fitted.method, learning_rate=rate, schedule=schedule)
    after = replace(fitted, method=method, elbo=fitted.elbo.repeat(100))
    (check,) = pyro_climb(PyroCase.of(after, 0, None), None)
    assert check.fault == fault, check
    assert ("take a smaller learning_rate than 10, such as 0.1" in check.fix) == (rate == 10 and bool(fault))
    assert ('schedule="cosine"' in check.fix) == (fault[:8] == "learning" and schedule == "constant")


@pytest.mark.parametrize(
    ("own", "short", "fault"),
    [
        (-700.0, 2.0, "learning rate too high"),
        (1.0, 3.0, "learning rate too high"),
        (-5.0, 0.1, ""),
        (5.0, 0.6, "too few steps"),
    ],
)
def test_steps_that_lose_what_shorter_ones_gain_are_too_long(own, short, fault, monkeypatch):
    def gains(*_, learning_rate=None, **settings):
        return short if learning_rate else own, 0.05, torch.zeros(300)

    monkeypatch.setattr("ppl_gen.diagnostics.trust.climb_checks.continued", gains)
    (check,) = pyro_climb(PyroCase.of(guided(normal(0, 10)), 0, None), None)
    assert check.fault == fault


def line(x, y):
    slope = pyro.sample("slope", dist.Normal(torch.zeros((), dtype=REAL), 3.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)


def line_guide(x, y):
    precision = 1 / 9 + float(x @ x)
    loc = pyro.param("loc", torch.as_tensor(float(x @ y) / precision, dtype=REAL))
    pyro.sample("slope", dist.Normal(loc, precision**-0.5))


@pytest.mark.parametrize(("bend", "fault"), [(0.0, ""), (0.7, "mean off along an input")])
def test_residuals_are_held_against_the_arguments(bend, fault):
    x = normal(5, 120)
    y = 2 * x + bend * (x**2 - 1) + normal(6, 120)
    found = diagnose(
        fit_pyro(line, line_guide, SVI(steps=1, learning_rate=1e-9, **QUIET), x, y), more_steps=0
    )
    assert found.fault == fault, found
    assert [check.where for check in found.checks if check.fault] == ["x"] * bool(fault)


PRIOR = dist.Normal(torch.zeros((), dtype=REAL), 1.0)


def by_factor(mu):
    pyro.factor("again", PRIOR.log_prob(mu))


def as_data(mu):
    pyro.sample("again", PRIOR, obs=mu)


def censored(mu):
    """50 rows known to lie above 1."""
    pyro.factor("censored", 50 * dist.Normal(-mu, 1.0).cdf(torch.tensor(-1.0, dtype=REAL)).log())


@pytest.mark.parametrize(("factor", "twice"), [(by_factor, True), (as_data, True), (censored, False)])
def test_a_prior_that_a_factor_repeats_is_counted_twice_and_other_factors_are_noted(factor, twice):
    def scored(x):
        mu = pyro.sample("mu", PRIOR)
        factor(mu)
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(pyro.param("loc", x.mean()), len(x) ** -0.5))

    fitted = fit_pyro(scored, guide, SVI(steps=1, learning_rate=1e-9, **QUIET), normal(7, 30))
    (check,) = factor_checks(PyroCase.of(fitted, 0, None))
    assert (check.state, check.fault) == (("fault", "prior counted twice") if twice else ("note", ""))
    assert check.where == ("mu" if twice else "")


def test_rows_that_a_factor_repeats_are_counted_wrongly():
    def scored(x):
        mu = pyro.sample("mu", PRIOR)
        pyro.factor("again", dist.Normal(mu, 1.0).log_prob(x).sum())
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(pyro.param("loc", x.mean()), len(x) ** -0.5))

    fitted = fit_pyro(scored, guide, SVI(steps=1, learning_rate=1e-9, **QUIET), normal(7, 30))
    (check,) = factor_checks(PyroCase.of(fitted, 0, None))
    assert (check.fault, check.where) == ("rows counted wrongly", "x")
    assert not list(factor_checks(PyroCase.of(guided(normal(0, 10)), 0, None)))


def test_what_does_not_apply_is_refused_in_words():
    fitted = guided(normal(0, 10))
    with pytest.raises(DataError, match="nuts: does not apply"):
        guide_quality(fitted, nuts=True)
    with pytest.raises(DataError, match="restarts: does not apply"):
        diagnose(fitted, restarts=2)
    with pytest.raises(DataError, match="x: does not apply"):
        diagnose(fitted, x=normal(0, 10))


def test_pyros_own_svi_is_shown_the_way():
    svi = pyro.infer.SVI(lambda: None, lambda: None, pyro.optim.Adam({}), pyro.infer.Trace_ELBO())
    for verb in (diagnose, guide_quality):
        with pytest.raises(DataError, match=r"got SVI: fit_pyro\(model, guide, …\) trains a bare pair"):
            verb(svi)
