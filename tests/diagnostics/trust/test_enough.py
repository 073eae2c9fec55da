"""Weights that look even, and know nothing: the guide lies across the posterior."""

from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch

from ppl_gen import SVI, ProbabilisticModel, diagnose, fit
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.guide_checks import guide_checks

SD = 0.5


class Line(ProbabilisticModel):
    joint = "p(a) p(b) p(y | x, a, b)"

    def model(self, x):
        a = pyro.sample("a", dist.Normal(torch.tensor(0.0, dtype=torch.float64), 10.0))
        b = pyro.sample("b", dist.Normal(torch.tensor(0.0, dtype=torch.float64), 10.0))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(a + b * x, SD))


def by_hand(sign):
    """The posterior's own means and sds, with the correlation's ``sign``; and its rows."""
    x = torch.linspace(2.0, 3.0, 60, dtype=torch.float64)
    y = 1 + 2 * x + SD * torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs = torch.stack([torch.ones_like(x), x], 1)
    covariance = torch.linalg.inv(inputs.T @ inputs / SD**2 + torch.eye(2) / 100)
    mean = covariance @ (inputs.T @ y) / SD**2
    slope = sign * covariance[0, 1] / covariance[0, 0]
    rest = covariance[1, 1] - covariance[0, 1] ** 2 / covariance[0, 0]

    def guide(x):
        nudge = pyro.param("nudge", torch.zeros((), dtype=torch.float64))
        a = pyro.sample("a", dist.Normal(mean[0] + nudge, covariance[0, 0].sqrt()))
        pyro.sample("b", dist.Normal(mean[1] + slope * (a - mean[0]), rest.sqrt()))

    return guide, x, y


@pytest.mark.parametrize("sign", [1, -1])
def test_a_guide_across_the_posterior_is_not_believed_for_its_even_weights(sign):
    guide, x, y = by_hand(sign)
    posterior = fit(Line(), SVI(steps=1, learning_rate=1e-9, guide=guide, progress=False), x=x, y=y)
    found = diagnose(posterior, more_steps=0, restarts=0)
    if sign == 1:
        assert found.verdict.startswith("use it")
        assert abs(found.quality.gap) < 0.01
    else:
        assert found.quality.gap > 8
        assert not found.quality.trusted
        assert found.fault == "correlations ignored", found


def test_a_k_hat_that_may_lie_on_either_side_condemns_nothing():
    guide, x, y = by_hand(-1)
    posterior = fit(Line(), SVI(steps=1, learning_rate=1e-9, guide=guide, progress=False), x=x, y=y)
    found = diagnose(posterior, more_steps=0, restarts=0)
    weights = found.quality.scored
    bent = replace(weights, log_likelihood=weights.log_likelihood + 50 * weights.free["a"].sin())
    at = {"k_hat": 0.72, "effective": 200.0, "log_evidence": found.quality.elbo + 0.5, "scored": bent}
    near, far = (replace(found.quality, k_hat_range=r, **at) for r in ((0.62, 0.82), (0.71, 0.82)))
    for quality, name, verdict in (
        (near, "weights undecided", "use it for means, not for sds: weights undecided"),
        (far, "guide too far", "do not use it"),
    ):
        checks = tuple(guide_checks(Case(posterior, {}, 0, quality)))
        again = replace(found, checks=checks, quality=quality)
        assert again.fault == name
        assert again.verdict.startswith(verdict)
        assert "or more (unreliable: k-hat 0.72)" in str(quality)
        assert "±" not in next(c for c in checks if c.name == "gap").shown
    assert "±" in str(replace(near, k_hat=0.3))
