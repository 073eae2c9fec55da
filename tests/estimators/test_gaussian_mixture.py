"""`GaussianMixture` against its twin, number by number, and what the twin lacks."""

import warnings

import numpy as np
import pytest
import sklearn.mixture
from scipy import stats
from sklearn.exceptions import ConvergenceWarning

from ppl_gen import ask, to_arviz
from ppl_gen.errors import DataError, Unreliable
from ppl_gen.estimators import GaussianMixture
from ppl_gen.estimators.gaussian_mixture import STRUCTURES

NUMBERS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_")


def rows(n=150, seed=0):
    """Three blobs that overlap."""
    generator = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 0.0], [-3.0, 3.0, 3.0]])
    return centres[generator.integers(3, size=n)] + generator.normal(size=(n, 3)) * [1.0, 1.5, 0.7]


def assert_alike(one, other, names=NUMBERS):
    assert (one.n_iter_, one.converged_) == (other.n_iter_, other.converged_)
    for name in names:
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=1e-8, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_same_numbers_as_the_twin(structure, start):
    """One row a component tells no tied covariance; there the two start differently."""
    if structure == "tied" and start in ("k-means++", "random_from_data"):
        pytest.skip("scikit-learn takes the scatter of all rows about the origin for the start")
    settings = {"covariance_type": structure, "init_params": start, "random_state": 1, "reg_covar": 1e-3}
    x = rows()
    ours = GaussianMixture(3, **settings).fit(x)
    twin = sklearn.mixture.GaussianMixture(3, **settings).fit(x)
    later = NUMBERS if start in ("kmeans", "random") else NUMBERS[:-1]  # its first weights do not sum to one
    assert_alike(ours, twin, later)
    assert twin.n_iter_ > 1
    for ask_for in ("predict", "predict_proba", "score_samples", "score", "bic", "aic"):
        np.testing.assert_allclose(getattr(ours, ask_for)(x), getattr(twin, ask_for)(x), rtol=1e-7, atol=1e-9)


def fitted(mixture, x):
    """What too few steps warn of is looked at in a test of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(x)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_known_starts_and_warm_starts_are_the_twins(structure):
    x, k = rows(), 3
    shapes = {"full": (k, 3, 3), "tied": (3, 3), "diag": (k, 3), "spherical": (k,)}
    spread = np.broadcast_to(np.eye(3) if structure in ("full", "tied") else 1.0, shapes[structure])
    known = {"weights_init": [0.5, 0.3, 0.2], "means_init": x[:3], "precisions_init": spread / 2}
    for some in ({}, known, {"means_init": x[:3]}, {"precisions_init": spread}):
        settings = {
            "covariance_type": structure,
            "random_state": 0,
            "max_iter": 4,
            "warm_start": True,
            **some,
        }
        ours, twin = GaussianMixture(k, **settings), sklearn.mixture.GaussianMixture(k, **settings)
        for _ in range(4):
            assert_alike(fitted(ours, x), fitted(twin, x))


def test_no_steps_keep_the_start_and_too_few_say_so():
    x = rows()
    start = {"weights_init": [0.4, 0.6], "means_init": x[:2], "covariance_type": "spherical", "max_iter": 0}
    found = GaussianMixture(2, precisions_init=[1.0, 2.0], **start).fit(x)
    np.testing.assert_allclose(found.means_, x[:2])
    np.testing.assert_allclose(found.covariances_, [1.0, 0.5])
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        GaussianMixture(3, max_iter=2, tol=1e-9, random_state=0).fit(x)


def test_the_best_of_several_starts_is_kept():
    x = rows(60)
    ends = [fitted(GaussianMixture(4, init_params="random", random_state=s, max_iter=5), x) for s in range(4)]
    assert max(end.lower_bound_ for end in ends) > min(end.lower_bound_ for end in ends) + 1e-3
    generator = np.random.RandomState(0)
    one = GaussianMixture(4, init_params="random", random_state=generator, max_iter=5)
    several = GaussianMixture(4, init_params="random", random_state=0, max_iter=5, n_init=4)
    assert fitted(several, x).lower_bound_ == pytest.approx(
        max(fitted(one, x).lower_bound_ for _ in range(4))
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_missing_cells_are_summed_out(structure):
    x = rows()
    whole = GaussianMixture(3, covariance_type=structure, random_state=0).fit(x)
    gaps = x.copy()
    gaps[:, 2] = np.nan
    pieces = []
    for k, (weight, mean) in enumerate(zip(whole.weights_, whole.means_, strict=True)):
        own = whole.covariances_ if structure == "tied" else whole.covariances_[k]
        own = own if np.ndim(own) == 2 else np.eye(3) * own
        pieces.append(np.log(weight) + stats.multivariate_normal(mean[:2], own[:2, :2]).logpdf(x[:, :2]))
    np.testing.assert_allclose(whole.score_samples(gaps), np.logaddexp.reduce(pieces), rtol=1e-9)
    holes = np.where(np.random.default_rng(0).random(x.shape) < 0.1, np.nan, x)
    part = GaussianMixture(3, covariance_type=structure, means_init=whole.means_, tol=1e-6).fit(holes)
    start = GaussianMixture(3, covariance_type=structure, means_init=whole.means_, max_iter=0).fit(holes)
    assert part.score(holes) > start.score(holes) + 1e-3
    bounds = np.array(part.lower_bounds_)
    assert (np.diff(bounds) > -1e-9).all()
    assert np.abs(part.means_ - whole.means_).max() < 1.0  # a tenth of the cells is gone, and no component


def test_samples_have_the_mixtures_moments_and_a_seed_of_their_own():
    found = GaussianMixture(3, random_state=0).fit(rows())
    x, z = found.sample(20_000, random_state=1)
    share = np.bincount(z, minlength=3) / len(z)
    assert (
        np.abs(share - found.weights_) < 5.1 * np.sqrt(found.weights_ * (1 - found.weights_) / len(z))
    ).all()
    for k in range(3):
        error = np.sqrt(np.diag(found.covariances_[k]) / (z == k).sum())
        assert (np.abs(x[z == k].mean(0) - found.means_[k]) < 5.3 * error).all()
    np.testing.assert_array_equal(found.sample(5)[0], found.sample(5)[0])  # the estimator's own
    np.testing.assert_array_equal(found.sample(5, 3)[0], found.sample(5, np.random.RandomState(3))[0])
    assert (found.sample(5, random_state=3)[0] != found.sample(5, random_state=4)[0]).all()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_fit_predict_is_that_of_the_twin(structure):
    """Of one start: the labels of the rows as the parameters kept give them, missing cells and all."""
    settings = {
        "n_components": 3,
        "covariance_type": structure,
        "random_state": 3,
        "tol": 1e-6,
        "max_iter": 500,
    }
    x = rows()
    made = GaussianMixture(**settings)
    found = made.fit_predict(x)
    twin = sklearn.mixture.GaussianMixture(**settings).fit_predict(x)
    np.testing.assert_array_equal(found, twin)
    np.testing.assert_array_equal(found, made.predict(x))
    assert len(np.unique(found)) == 3
    holes = np.where(np.eye(len(x), 3, k=-5, dtype=bool), np.nan, x)
    np.testing.assert_array_equal(made.fit_predict(holes, y=None), made.predict(holes))


def test_the_posterior_answers_and_goes_to_arviz():
    x = rows()
    found = GaussianMixture(3, random_state=0).fit(x)
    np.testing.assert_allclose(ask(found.posterior_, "p(x)").log_prob(x=x), found.score_samples(x))
    assert {"mu", "sigma", "pi"} <= set(to_arviz(found.posterior_).posterior.data_vars)


def test_a_component_on_one_point_is_told():
    x = np.r_[rows(40), [[90.0, 90.0, 90.0]]]
    with pytest.warns(Unreliable, match="shrunk to a point"):
        GaussianMixture(2, means_init=[x[0], x[-1]], random_state=0).fit(x)
    with pytest.raises(DataError, match=r"^X: .*reg_covar"):
        GaussianMixture(2, means_init=[x[0], x[-1]], random_state=0, reg_covar=0.0).fit(x)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"weights_init": [0.5, 0.4]}, "weights_init: .*normalized"),
        ({"weights_init": [1.5, -0.5]}, "weights_init: .*range"),
        ({"weights_init": [1.0]}, r"weights_init: .*shape of \(2,\)"),
        ({"means_init": [[0.0], [1.0]]}, "means_init: "),
        ({"means_init": "near"}, "means_init"),
        ({"means_init": [[np.nan] * 3] * 2}, "means_init: expected finite"),
        ({"precisions_init": -np.ones((2, 3)), "covariance_type": "diag"}, "precisions_init: .*positive"),
        ({"precisions_init": np.triu(np.ones((2, 3, 3)))}, "precisions_init: .*symmetric"),
        ({"n_components": 200}, "n_components"),
        ({"covariance_type": "round"}, "covariance_type"),
        ({"reg_covar": -1.0}, "reg_covar"),
    ],
)
def test_bad_values_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"n_components": 2, **bad}).fit(rows())
