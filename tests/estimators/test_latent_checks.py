"""All of scikit-learn's own checks, none of them left out."""

import pytest
from sklearn.utils.estimator_checks import check_estimator

from ppl_gen.estimators import PPCA, VAE, BayesianLinearRegression, GaussianMixture, LogisticRegression
from tests.estimators.catalogue import LATENT
from tests.thinned import thinned

FAST = [
    GaussianMixture(),
    PPCA(),
    BayesianLinearRegression(),
    LogisticRegression(),
    VAE(n_components=1, hidden_layer_sizes=(2,), steps=2, draws=2, random_state=0),
]
SLOW = [
    *(
        GaussianMixture(3, covariance_type=c, random_state=0, reg_covar=1e-2)
        for c in ("full", "tied", "diag", "spherical")
    ),
    PPCA(1, whiten=True),
    BayesianLinearRegression(fit_intercept=False, compute_score=True),
    LogisticRegression(
        C=0.1, class_weight="balanced"
    ),  # without an intercept one check fails, as the twin does
    VAE(steps=200, random_state=0),
]


@pytest.mark.parametrize(
    "estimator", [*thinned(FAST, 2), *(pytest.param(e, marks=pytest.mark.slow) for e in SLOW)], ids=str
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")  # array API, unless it is asked for
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of few steps
@pytest.mark.filterwarnings("ignore::ppl_gen.errors.Unreliable")  # of components on the checks' few rows
def test_every_check_passes(estimator):
    found = check_estimator(estimator, on_fail="raise")
    statuses = {result["check_name"]: result["status"] for result in found}
    assert set(statuses.values()) <= {"passed", "skipped"}
    assert [name for name, status in statuses.items() if status == "skipped"] in (
        [],
        ["check_array_api_input"],
    )


def test_every_latent_estimator_is_checked():
    assert {type(estimator).__name__ for estimator in FAST} == LATENT
