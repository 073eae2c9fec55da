"""Guide quality: exact anchors, a known k-hat, and the eight schools."""

import math

import pytest
import torch

from ppl_gen import EM, NUTS, SVI, fit, guide_quality
from ppl_gen.diagnostics.trust.causes import curved
from ppl_gen.errors import DataError, NoEvidence
from ppl_gen.inference.evidence import pareto_smoothed
from ppl_gen.models import PPCA, GaussianMixture, GaussianNaiveBayes, LinearRegression
from tests.planted_faults.base import REAL, Found, normal
from tests.planted_faults.programs import Line, Location, normal_guide

QUIET = {"progress": False, "compile": False}


@pytest.mark.parametrize("seed", range(3))
def test_an_exact_posterior_has_equal_weights(seed):
    x = normal(seed, 30, 2)
    data = {"x": x, "y": torch.arange(30) % 3}
    for model, rows in (
        (GaussianNaiveBayes(classes=3, features=2), data),
        (LinearRegression(features=2), {"x": x, "y": x[:, 0]}),
        (PPCA(features=2, latent=1), {"x": x}),
    ):
        found = guide_quality(fit(model, **rows), draws=100)
        assert found.exact
        assert found.k_hat == -math.inf
        assert abs(found.gap) <= 1e-9 * max(1.0, abs(found.log_evidence))
        assert found.effective == pytest.approx(100)


def two_sds(narrow):
    """A Normal guide whose sd is ``narrow`` times that of the posterior: weights have a Pareto tail."""
    x = 1 + normal(3, 25)
    sd = float((3.0**-2 + 25) ** -0.5)
    mean = float(x.sum() * sd**2)
    import pyro
    import pyro.distributions as dist

    def guide():
        pyro.sample("mu", dist.Normal(torch.tensor(mean, dtype=REAL), narrow * sd))

    return fit(Location(), Found(guide), x=x), mean, sd


@pytest.mark.slow
def test_a_narrow_guide_has_the_k_hat_that_theory_gives():
    # weights exp(z²/2 (1 - s²)), z normal: their tail has shape 1 - s², for s < 1
    for narrow in (0.5, 0.9):
        posterior, _, _ = two_sds(narrow)
        k_hats = [guide_quality(posterior, draws=1000, seed=s).k_hat for s in range(2)]
        assert abs(sum(k_hats) / 2 - (1 - narrow**2)) < 0.3  # slowly varying factors bias it
    assert guide_quality(two_sds(0.2)[0], draws=2000).above == 1


def test_weights_mend_a_wide_guide():
    posterior, mean, sd = two_sds(1.6)
    found = guide_quality(posterior, draws=2000)
    assert found.trusted
    assert abs(float(found.guide.sds["mu"]) / sd - 1) > 0.4
    error = sd / found.effective**0.5
    assert abs(float(found.corrected.means["mu"]) - mean) < 5 * error
    assert abs(float(found.corrected.sds["mu"]) / sd - 1) < 5 / found.effective**0.5
    assert abs(found.gap - (1.6**2 / 2 - 0.5 - math.log(1.6))) < 5 * found.gap_error  # KL of two Normals
    exact = fit(Location(), x=posterior.data.observed["x"]).log_evidence
    assert abs(found.log_evidence - exact) < 5 * found.evidence_error


def test_curvature_of_the_weights_gives_the_posterior_of_a_regression():
    x = normal(1, 50, 2)
    x[:, 1] = x[:, 0] + 0.3 * normal(2, 50)
    data = {"x": x, "y": x[:, 0] + normal(3, 50)}
    posterior = fit(
        Line(2),
        Found(normal_guide(torch.eye(2, dtype=REAL), torch.ones(2, dtype=REAL), 0.1, 1.0, (1, 1))),
        **data,
    )
    bend = curved(guide_quality(posterior, draws=200).scored)
    precision = x.T @ x + torch.eye(2, dtype=REAL) / 9
    sds = precision.inverse().diagonal().sqrt()
    guide_sd = guide_quality(posterior, draws=200).scored.free["w"].std(0)
    assert bend.share == pytest.approx(1, abs=1e-9)
    assert torch.allclose(guide_sd / sds, bend.ratios, rtol=1e-6)


def test_smoothing_changes_only_the_tail():
    weights = 2 * normal(0, 1000)
    smooth, order = pareto_smoothed(weights), weights.argsort()
    tail = math.ceil(3 * math.sqrt(1000))
    assert torch.allclose(smooth[order[:-tail]], weights[order[:-tail]], atol=1e-12)
    assert bool((smooth[order].diff() >= -1e-12).all())
    assert smooth.max() <= weights.max()


def test_what_has_no_density_is_refused():
    x = normal(0, 20, 1)
    with pytest.raises(NoEvidence, match="point"):
        guide_quality(fit(GaussianMixture(components=2, features=1), EM(), x=x))
    nuts = NUTS(draws=5, warmup=5, chains=1, progress=False)
    with pytest.raises(NoEvidence, match="draws"):
        guide_quality(fit(LinearRegression(features=1), nuts, x=x, y=x[:, 0]))
    with pytest.raises(DataError, match="what fit or fit_pyro returned"):
        guide_quality("posterior")
    with pytest.raises(DataError, match="nuts"):
        guide_quality(fit(Location(), x=x[:, 0]), nuts=3)


@pytest.mark.slow
def test_nuts_beside_a_narrow_guide():
    x = normal(1, 40, 2)
    x[:, 1] = x[:, 0] + 0.2 * normal(2, 40)
    method = SVI(steps=3000, guide="mean_field", learning_rate=0.02, **QUIET)
    posterior = fit(LinearRegression(features=2), method, x=x, y=x[:, 0] + normal(3, 40))
    found = guide_quality(posterior, nuts=True)
    assert found.best[1] == "NUTS"
    assert "sds too small, as multiples of those of NUTS: w[" in str(found)
