"""Censored and truncated rows, and those of subsamples, of bare programs under diagnosis."""

import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray
from pyro import poutine
from pyro.infer.autoguide import AutoNormal

from ppl_gen import SVI, diagnose, fit_pyro, loo, to_arviz
from ppl_gen.diagnostics.trust.pyro_selected import selected_rows
from ppl_gen.errors import DataError
from tests.planted_faults.base import REAL, normal, uniform

LIMIT, RATE, N = 2.0, 0.7, 200
SOURCE = "the factor 'beyond' is scored with them"


def rate():
    return pyro.sample("rate", dist.LogNormal(torch.zeros((), dtype=REAL), 1.0))


def masked(t):
    by, beyond = rate(), t >= LIMIT
    with pyro.plate("rows", len(t)):
        with poutine.mask(mask=~beyond):
            pyro.sample("t", dist.Exponential(by), obs=t)
        with poutine.mask(mask=beyond):
            pyro.factor("beyond", -by * t)


def ones(t):
    by, beyond = rate(), t >= LIMIT
    with pyro.plate("rows", len(t)):
        with poutine.mask(mask=~beyond):
            pyro.sample("t", dist.Exponential(by), obs=t)
        with poutine.mask(mask=beyond):
            pyro.sample("late", dist.Bernoulli((-by * LIMIT).exp()), obs=torch.ones_like(t))


def flagged(t):
    by, beyond = rate(), t >= LIMIT
    with pyro.plate("rows", len(t)):
        with poutine.mask(mask=~beyond):
            pyro.sample("t", dist.Exponential(by), obs=t)
        with poutine.mask(mask=beyond):
            pyro.sample("late", dist.Bernoulli((-by * LIMIT).exp()), obs=beyond.to(t))


def summed(t, late):
    by = rate()
    with pyro.plate("rows", len(t)):
        pyro.sample("t", dist.Exponential(by), obs=t)
    pyro.factor("beyond", -by * late.sum())


def truncated(t):
    by = rate()
    with pyro.plate("rows", len(t)):
        pyro.sample("t", dist.Exponential(by), obs=t)
        pyro.factor("beyond", -(1 - (-by * LIMIT).exp()).log())


def prior_factor(t):
    by = rate()
    pyro.factor("beyond", -by)
    with pyro.plate("rows", len(t)):
        pyro.sample("t", dist.Exponential(by), obs=t)


def fitted(program, *data):
    """By a guide that is nearly the posterior: the rate of so many ends in so much time is a gamma."""

    def guide(*_):
        pyro.sample("rate", dist.Gamma(pyro.param("shape", ends), pyro.param("time", time)))

    ends = torch.tensor(float((data[0] < LIMIT).sum()), dtype=REAL)
    time = torch.cat(data).clamp(max=LIMIT).sum()
    return fit_pyro(program, guide, SVI(steps=1, learning_rate=1e-9, progress=False, compile=False), *data)


def waits():
    return (-uniform(5, N).log() / RATE).clamp(max=LIMIT)


@pytest.mark.parametrize("program", [masked, ones, flagged, summed])
def test_censored_rows_are_not_held_against_replicates(program):
    t = waits()
    data = (t[t < LIMIT], t[t >= LIMIT]) if program is summed else (t,)
    pair = fitted(program, *data)
    found = diagnose(pair, draws=200, more_steps=0)
    assert not found.faults, found
    ones_for = "the program makes up data of late, all alike, to score others"
    by_mask = {"t": "a mask sorts rows into t and late", "late": "a mask sorts rows into late and t"}
    whys = {ones: {"t": ones_for, "late": ones_for}, flagged: by_mask}
    why = whys.get(program, {"t": SOURCE})
    assert selected_rows(pair, 0) == why
    for name, words in why.items():
        assert f"rows of {name} beside replicates: {words}" in found.unseen


def test_what_is_missing_of_a_truncated_density_is_seen_and_a_prior_is_not_taken_for_it():
    t = waits()
    assert selected_rows(fitted(truncated, t[t < LIMIT]), 0) == {"t": SOURCE}
    assert selected_rows(fitted(prior_factor, t), 0) == {}
    alike = torch.linspace(0.9, 1.1, N, dtype=REAL)
    far = diagnose(fitted(prior_factor, alike), draws=200, more_steps=0)
    assert "rows: t" in [check.name for check in far.checks if check.fault], far


# Subsamples -------------------------------------------------------------------------------------------------


def batches(x, y):
    slope = pyro.sample("slope", dist.Normal(torch.zeros((), dtype=REAL), 3.0))
    with pyro.plate("rows", len(x), subsample_size=20) as index:
        pyro.sample("y", dist.Normal(slope * x[index], 1.0), obs=y[index])


def line(x, y):
    slope = pyro.sample("slope", dist.Normal(torch.zeros((), dtype=REAL), 3.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)


def slope_of(program, x, y):
    def guide(x, y):
        precision = (x @ x) + 1 / 9
        loc = pyro.param("loc", (x @ y) / precision)
        pyro.sample("slope", dist.Normal(loc, precision**-0.5))

    return fit_pyro(program, guide, SVI(steps=1, learning_rate=1e-9, progress=False, compile=False), x, y)


def test_a_plate_that_draws_a_subsample_takes_all_rows():
    x = normal(1, 60)
    y = x + normal(2, 60)
    some, every = (to_arviz(slope_of(program, x, y), draws=5) for program in (batches, line))
    for group in ("posterior", "log_likelihood", "observed_data"):
        xarray.testing.assert_allclose(some[group].to_dataset(), every[group].to_dataset())
    assert not diagnose(slope_of(batches, x, y), draws=200, more_steps=0).faults
    bent = diagnose(slope_of(batches, x, y + 2 * x**2), draws=200, more_steps=0)
    assert bent.fault == "mean off along an input", bent


def test_an_automatic_guide_of_subsamples_takes_all_rows_and_the_plates_draw_them_again_afterwards():
    x = normal(1, 60)
    guide = AutoNormal(batches)
    pair = fit_pyro(batches, guide, SVI(steps=2, progress=False, compile=False), x, x)
    assert to_arviz(pair, draws=3).log_likelihood["y"].shape == (1, 3, 60)
    with pyro.plate("rows", 60, subsample_size=20) as index:
        assert len(index) == 20


def test_rows_that_stand_for_more_are_refused():
    def loaded(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros((), dtype=REAL), 3.0))
        with pyro.plate("rows", 60, subsample_size=len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    pair = fit_pyro(loaded, AutoNormal(loaded), SVI(steps=2, progress=False, compile=False), normal(1, 20))
    for verb in (to_arviz, diagnose):
        with pytest.raises(DataError, match=r"plate 'rows' of the .* holds 20 of 60 rows.* pass all"):
            verb(pair)
    with pyro.plate("rows", 60, subsample_size=20) as index:
        assert len(index) == 20


# Masks of densities, and data without rows ------------------------------------------------------------------


@pytest.mark.parametrize("inside", [True, False])
def test_cells_that_a_density_masks_are_no_data(inside):
    """Those are filled by zeros, ten sds from the others."""

    def means(y):
        mu = pyro.sample("mu", dist.Normal(torch.full((2,), 10.0, dtype=REAL), 3.0).to_event(1))
        seen = ~y.isnan()
        fn = dist.Normal(mu, torch.ones(len(y), 2, dtype=REAL))
        fn = fn.mask(seen).to_event(1) if inside else fn.to_event(1).mask(seen.all(1))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", fn, obs=y.nan_to_num())

    def guide(y):
        count = (~y.isnan()).sum(0) if inside else (~y.isnan()).all(1).sum() * torch.ones(2)
        total = (y.nan_to_num() if inside else y.nan_to_num() * (~y.isnan()).all(1)[:, None]).sum(0)
        precision = count + 1 / 9
        loc = pyro.param("loc", (total + 10 / 9) / precision)
        pyro.sample("mu", dist.Normal(loc, precision**-0.5).to_event(1))

    y = 10 + normal(3, 80, 2)
    y[uniform(4, 80, 2) < 0.2] = torch.nan
    pair = fit_pyro(means, guide, SVI(steps=1, learning_rate=1e-9, progress=False, compile=False), y)
    seen = torch.from_numpy(to_arviz(pair, draws=2).observed_data["y"].values)
    kept = ~y.isnan() if inside else (~y.isnan()).all(1)[:, None].expand(80, 2)
    assert torch.equal(seen.isnan(), ~kept)
    found = diagnose(pair, draws=200, more_steps=0)
    assert not found.faults, found


def test_data_that_are_single_numbers_are_diagnosed():
    def coin(tosses):
        p = pyro.sample("p", dist.Beta(torch.tensor(10.0, dtype=REAL), 10.0))
        for i in range(len(tosses)):
            pyro.sample(f"toss_{i}", dist.Bernoulli(p), obs=tosses[i])

    def guide(tosses):
        heads = pyro.param("heads", 10 + tosses.sum())
        pyro.sample("p", dist.Beta(heads, 20 + len(tosses) - heads))

    tosses = torch.tensor([1.0] * 6 + [0.0] * 4, dtype=REAL)
    pair = fit_pyro(coin, guide, SVI(steps=1, learning_rate=1e-9, progress=False, compile=False), tosses)
    assert len(to_arviz(pair, draws=2).observed_data.data_vars) == 10
    found = diagnose(pair, draws=200, more_steps=0)
    assert not found.faults, found
    assert found.verdict.startswith(("use it", "exact")), found
    assert "± inf nats over 1 rows" in loo(pair, draws=50).verdict()
