"""Residuals held along the inputs: what a mean misses is named, and what it does not is left alone."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from ppl_gen import diagnose, fit
from ppl_gen.diagnostics.trust.along import inputs_of
from ppl_gen.diagnostics.trust.data_checks import compared, unmasked
from ppl_gen.models import GaussianNaiveBayes
from tests.planted_faults.base import normal, uniform

N = 200


def checked(mean_of, sd_of=lambda x: 1.0 + 0 * x[:, 0], seed=0, noise=None):
    """Rows of that mean and sd beside replicates of mean x[0] and sd 1: everything known, nothing fitted."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3))
    e = rng.normal(size=N) if noise is None else noise(rng)
    replicates = x[:, :1] + rng.normal(size=(N, 200))
    y = mean_of(x) + sd_of(x) * e
    return compared("y", Normal(0.0, 1.0), y, replicates, inputs_of({"x": x}, N))


@pytest.mark.parametrize(
    ("mean", "where", "says"),
    [
        (lambda x: x[:, 0] + 0.6 * x[:, 2] ** 2, "x[2]", "bends upwards"),
        (lambda x: x[:, 0] - 0.7 * x[:, 0] * x[:, 1], "x[0] times x[1]", "falls with"),
        (lambda x: x[:, 0] + 0.6 * x[:, 1], "x[1]", "rises along"),
        (lambda x: 0.4 * x[:, 0], "x[0]", "falls along"),
    ],
)
def test_a_mean_that_misses_an_input_is_named_with_it(mean, where, says):
    check = checked(mean)
    assert (check.fault, check.where) == ("mean off along an input", where)
    assert says in check.shown


def test_scatter_that_grows_is_named():
    check = checked(lambda x: x[:, 0], lambda x: np.exp(0.7 * x[:, 1]))
    assert (check.fault, check.where) == ("uneven scatter", "x[1]")


def test_the_right_mean_is_left_alone_whatever_scale_and_tails():
    for seed in range(10):
        assert not checked(lambda x: x[:, 0], seed=seed).fault
        wide = checked(lambda x: x[:, 0], lambda x: 5.0, seed=seed)
        assert wide.fault == "wrong scale"  # and residuals of a wrong scale follow no input
        tails = checked(lambda x: x[:, 0], seed=seed, noise=lambda rng: rng.standard_t(2, N))
        assert tails.fault not in ("mean off along an input", "uneven scatter")


def test_inputs_that_do_not_vary_or_have_gaps_are_left_out():
    assert inputs_of({"x": np.ones((5, 1))}, 5) is None
    assert inputs_of({"x": np.array([1.0, np.nan, 3.0])}, 3) is None
    assert inputs_of({"n": np.array(3.0)}, 3) is None
    two = inputs_of({"x": np.array([0.0, 1.0, 0.0, 1.0])}, 4)
    assert two.names == ["x"]  # whose square is itself


def test_masked_rows_are_no_rows():
    y, again = np.arange(6.0).reshape(3, 2), np.ones((3, 4, 2))
    fn = torch.distributions.Independent(Normal(torch.zeros(3, 2), 1.0), 1)
    site = {"mask": torch.tensor([True, False, True]), "fn": fn, "value": torch.zeros(3, 2)}
    for array in unmasked(site, y, again):
        assert np.isnan(array[1]).all()
        assert np.isfinite(array[[0, 2]]).all()
    assert unmasked({**site, "mask": None}, y, again)[0] is y


def test_rows_that_came_in_two_parts_are_exact():
    y = (uniform(9, 60) < 0.5).long()
    x = normal(0, 60, 2) + 2 * y[:, None]
    first = fit(GaussianNaiveBayes(classes=2, features=2), x=x[:30], y=y[:30])
    d = diagnose(fit(first, x=x[30:], y=y[30:]), draws=100)
    assert d.verdict == "exact: use it"
    assert abs(d.quality.gap) < 1e-9
