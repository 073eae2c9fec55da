"""scikit-learn's own checks, of every estimator; none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ppl_gen import estimators
from tests.estimators.catalogue import EVERY

FAST = {"GaussianNB", "BernoulliNB"}
# Checks that need an interface which scikit-learn itself calls experimental, and a variable of the process.
pytestmark = [
    pytest.mark.filterwarnings("default"),  # some checks pass, on purpose, what is warned of
]


@parametrize_with_checks([getattr(estimators, name)() for name in EVERY if name in FAST])
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([getattr(estimators, name)() for name in EVERY if name not in FAST])
def test_checks_of_the_others(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        estimators.LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto"),
        estimators.LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1),
        estimators.QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=0.1),
        estimators.QuadraticDiscriminantAnalysis(reg_param=0.1),
        estimators.GaussianNB(var_smoothing=0.1),
        estimators.KernelNB(bandwidth="one"),
    ],
    ids=repr,
)
def test_checks_of_other_settings(estimator):
    from sklearn.utils.estimator_checks import check_estimator

    assert all(found["status"] != "failed" for found in check_estimator(estimator, on_fail=None))


def test_every_estimator_has_a_case():
    from tests.estimators.catalogue import CASES

    assert {name.partition(",")[0] for name in CASES} == set(EVERY)
