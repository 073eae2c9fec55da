"""A fit stops when its ELBO rises no more, and says what it saw."""

import math

import pytest
import torch

from ppl_gen import SVI, fit
from ppl_gen.data import iris
from ppl_gen.inference.convergence import gain
from ppl_gen.models import GaussianNaiveBayes

DATA = iris()


def test_the_gain_and_its_standard_error():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2000, 400, generator=generator, dtype=torch.float64)
    noise[:, 200:] += 0.5
    found = [gain(row.tolist(), 200) for row in noise]
    z = torch.tensor([(g.nats - 0.5) / g.standard_error for g in found])
    # Two means of ten blocks: z is Student t, 18 degrees of freedom: variance 18 / 16, kurtosis 3 + 6 / 14,
    # so the mean square of 2,000 of them has standard error sqrt((kurtosis - 1) / 2000) × 18 / 16.
    error = math.sqrt((2 + 6 / 14) / 2000) * 18 / 16
    assert abs(z.square().mean().item() - 18 / 16) < 4.9 * error
    assert abs(z.mean().item()) < 4.9 * math.sqrt(18 / 16 / 2000)


def test_a_fit_stops_when_the_bound_rises_no_more():
    model, data = GaussianNaiveBayes(classes=3, features=4), {"x": DATA.x, "y": DATA.y}
    method = SVI(steps=6000, tolerance=2.0, window=100, schedule="constant", progress=False)
    posterior = fit(model, method, **data)
    stopped = len(posterior.elbo)
    assert 200 <= stopped < 6000
    assert stopped % 100 == 0
    assert f"converged after {stopped} steps: the ELBO gained" in posterior.note
    history = posterior.elbo.tolist()
    assert gain(history, 100).below(2.0)
    early = SVI(steps=60, tolerance=2.0, window=20, schedule="constant", learning_rate=1e-3, progress=False)
    assert "not converged in 60 steps: the ELBO still gained" in fit(model, early, **data).note


def test_too_few_steps_are_not_judged():
    method = SVI(steps=30, tolerance=1.0, window=20, progress=False)
    note = fit(GaussianNaiveBayes(classes=3, features=4), method, x=DATA.x, y=DATA.y).note
    assert note == "not converged: 30 steps are fewer than two windows of 20"


@pytest.mark.parametrize("setting", [{"tolerance": -1.0}, {"window": 5}, {"clip": 0.0}, {"compile": "yes"}])
def test_bad_settings_are_named(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        SVI(**setting)
