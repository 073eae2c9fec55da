"""Sound models of many parameters beside their rows: fitted rows scatter less than new ones do."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from ppl_gen import SVI, Laplace, ProbabilisticModel, diagnose, fit
from ppl_gen.diagnostics.trust.data_checks import _fitted
from tests.planted_faults.base import normal


class Slopes(ProbabilisticModel):
    """A regression whose noise is known to be 1; given ``sd``, it takes the noise for that."""

    joint = "p(w) p(y | w, x)"

    def __init__(self, sd: float = 1.0):
        super().__init__()
        self.sd = sd

    def model(self, x: Tensor) -> Tensor:
        w = pyro.sample("w", dist.Normal(torch.zeros(x.shape[1]), 1.0).to_event(1))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(x @ w, self.sd))


def rows(n: int, d: int) -> dict[str, Tensor]:
    x = normal(0, n, d) / 3
    return {"x": x, "y": x @ normal(1, d) + normal(2, n)}


def test_sds_of_fitted_rows_are_those_of_a_regression():
    """Of new rows S (1 + p/n), of fitted ones S (1 - p/n), with n - p degrees of freedom: least squares."""
    generator, n, p = np.random.default_rng(0), 400, 100
    x = generator.normal(size=(n, p))
    hat = x @ np.linalg.solve(x.T @ x, x.T)
    noise = generator.normal(size=(n, 500))
    fitted = np.log((noise - hat @ noise).std(0))
    new = np.log((generator.normal(size=(n, 500)) - hat @ noise).std(0))
    share = (p / n) / (1 + p / n)
    error = fitted.std() / 500**0.5
    assert abs(new.mean() - fitted.mean()) > 50 * error
    assert abs(_fitted(new, share).mean() - fitted.mean()) < 10 * error
    expected = (1 / (2 * (n - p))) ** 0.5
    assert abs(fitted.std() / expected - 1) < 5 / (2 * 500) ** 0.5  # the sd of an sd


def test_a_sound_model_of_many_slopes_is_not_called_wrong():
    posterior = fit(Slopes(), Laplace(), **rows(200, 60))
    assert not diagnose(posterior, more_steps=0).faults


@pytest.mark.parametrize("sd", [0.5, 2.0])
def test_a_wrong_scale_is_still_seen(sd):
    posterior = fit(Slopes(sd), Laplace(), **rows(200, 60))
    assert set(diagnose(posterior, more_steps=0).faults) & {"wrong scale", "variance for sd"}


def test_a_climb_by_long_steps_that_fall_back_is_tried_by_short_ones():
    """By the fit's own steps the bound falls; that does not tell that it had arrived."""
    method = SVI(steps=700, learning_rate=0.05, guide="full_rank", progress=False, compile=False)
    posterior = fit(Slopes(), method, **rows(120, 40))
    found = {check.name: check for check in diagnose(posterior, draws=200).checks}
    assert found["climb"].value > 0
