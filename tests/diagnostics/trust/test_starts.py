"""Other starts: bounds beside the posterior's own."""

import pytest

from ppl_gen import EM, SVI, Exact, fit, guide_quality
from ppl_gen.diagnostics.trust.starts import restarted
from ppl_gen.errors import DataError
from ppl_gen.models import GaussianMixture, LinearRegression
from tests.planted_faults.base import normal
from tests.planted_faults.programs import Line

ROWS = {"x": normal(0, 40, 2), "y": normal(0, 40, 2).sum(1) + normal(1, 40)}


def test_a_fit_with_one_mode_comes_to_one_bound():
    method = SVI(steps=800, learning_rate=0.05, guide="mean_field", progress=False, compile=False)
    posterior = fit(Line(2), method, **ROWS)
    hurried = fit(Line(2), SVI(steps=2, learning_rate=0.001, progress=False, compile=False), **ROWS)
    found = guide_quality(posterior, draws=100, restarts=2)
    assert len(found.starts.others) == 2
    assert found.starts.spread < 1
    assert "2 other starts" in str(found)
    assert posterior.estimate_elbo(100)[0] - hurried.estimate_elbo(100)[0] > 5  # what two steps lack


def test_em_from_one_start_may_lie_lower():
    x = normal(2, 60, 1) + 8 * (normal(3, 60, 1) > 0)
    fits = [fit(GaussianMixture(components=3, features=1), EM(restarts=1, seed=s), x=x) for s in range(4)]
    worst = min(fits, key=lambda p: float(p.elbo[-1]))
    found = restarted(worst, 1, 0)
    assert found.own == float(worst.elbo[-1])
    assert found.error == 0
    assert found.spread >= max(found.higher, 0)


def test_where_there_are_no_starts():
    exact = fit(LinearRegression(features=2), Exact(), **ROWS)
    assert restarted(exact, 3, 0) is None
    assert guide_quality(exact, draws=60, restarts=1).starts is None
    with pytest.raises(DataError, match="restarts"):
        guide_quality(exact, restarts=-1)
