"""Simulation-based calibration (Talts et al. 2018) of conjugate models: ranks of the truth are uniform."""

import pytest
import torch
from scipy.stats import chi2

from ppl_gen import fit
from ppl_gen.core import run, variables
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    GaussianRegression,
    LinearDiscriminantAnalysis,
    LinearRegression,
    QuadraticDiscriminantAnalysis,
)
from tests.thinned import thinned

DRAWS, REPEATS = 7, 150
FALSE_ALARM = 1e-6
X = torch.randn(6, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
CLASSES = {"strength": 0.5, "freedom": 4.0, "scatter": 2.0}
LINE = {"precision": 0.5, "shape": 3.0, "rate": 2.0}
MODELS = [
    LinearDiscriminantAnalysis(2, 2, **CLASSES),
    QuadraticDiscriminantAnalysis(2, 2, **CLASSES),
    LinearRegression(2, **LINE),
    GaussianRegression(2, strength=0.5, **LINE),
]


def statistic(fitted_with=None, model=None):
    """The largest chi-squared of the parameters' ranks, and the bound that a right posterior keeps to."""
    given = {"x": X} if isinstance(model, LinearRegression) else {"n": 6}
    ranks = {}
    for seed in range(REPEATS):
        with isolated(seed):
            truth = {name: site["value"] for name, site in variables(run(model.model, given)).items()}
        data = {name: truth[name] for name in "xy" if name in truth} | {
            k: v for k, v in given.items() if k == "x"
        }
        drawn = fit(fitted_with or model, **data).draw(DRAWS, seed=REPEATS + seed)
        for name, draws in drawn.items():
            for place in (0, -1):
                rank = (draws.reshape(DRAWS, -1)[:, place] < truth[name].reshape(-1)[place]).sum().item()
                ranks.setdefault((name, place), []).append(rank)
    expected = REPEATS / (DRAWS + 1)
    counts = [torch.bincount(torch.tensor(r), minlength=DRAWS + 1) for r in ranks.values()]
    worst = max(((c - expected) ** 2 / expected).sum().item() for c in counts)
    return worst, chi2.isf(FALSE_ALARM / len(ranks), DRAWS)


@pytest.mark.parametrize("model", thinned(MODELS, 2), ids=lambda m: type(m).__name__)
def test_ranks_of_the_truth_are_uniform(model):
    worst, bound = statistic(model=model)
    assert worst < bound


def test_a_posterior_under_another_prior_is_caught():
    worst, bound = statistic(LinearRegression(2, precision=50.0, shape=3.0, rate=2.0), MODELS[2])
    assert worst > bound
