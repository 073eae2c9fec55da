"""What must hold for any rows: of every estimator in the catalogue, by hypothesis."""

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from ppl_gen import load, save
from tests.estimators.catalogue import CASES
from tests.estimators.examples import examples

SEEDS = st.integers(0, 2**32 - 1)
pytestmark = pytest.mark.parametrize("name", CASES)
few = examples(4)


def made(name, seed, n=27):
    case, rng = CASES[name], np.random.default_rng(seed)
    return case, rng, *case.rows(rng, n)


def answers(estimator, X):
    """What an estimator says of rows: probabilities, densities or predictions."""
    for method in ("predict_proba", "score_samples", "predict"):
        if hasattr(estimator, method):
            return getattr(estimator, method)(X)
    raise AssertionError


@few
@given(SEEDS)
def test_the_order_of_rows_does_not_matter(name, seed):
    case, rng, X, y = made(name, seed)
    order = rng.permutation(len(y))
    found = answers(case.make().fit(X[order], y[order]), X)
    np.testing.assert_allclose(found, answers(case.make().fit(X, y), X), rtol=0, atol=case.digits)


@few
@given(SEEDS)
def test_the_names_of_classes_do_not_matter(name, seed):
    case, rng, X, y = made(name, seed)
    if getattr(case.make(), "priors", None) is not None:
        return  # they go with the names
    new = rng.permutation(y.max() + 1)
    words = np.array(["ash", "elm", "fir"])[new]
    one, other = case.make().fit(X, y), case.make().fit(X, words[y])
    probs = answers(one, X)
    found = answers(other, X)[:, [list(other.classes_).index(word) for word in words[: y.max() + 1]]]
    np.testing.assert_allclose(found, probs, rtol=0, atol=case.digits)
    first, second = np.sort(probs, axis=1)[:, :-3:-1].T
    clear = first - second > 2 * case.digits  # of two as probable, either may be predicted
    np.testing.assert_array_equal(other.predict(X)[clear], words[one.predict(X)][clear])


@few
@given(SEEDS)
def test_a_row_of_weight_two_is_two_rows(name, seed):
    case, rng, X, y = made(name, seed)
    if not has_fit_parameter(case.make(), "sample_weight"):
        return
    weights = rng.integers(0, 3, len(y))
    weights[[np.flatnonzero(y == k)[0] for k in np.unique(y)]] = 2
    copies = np.repeat(np.arange(len(y)), weights)
    one = case.make().fit(X, y, sample_weight=weights)
    other = case.make().fit(X[copies], y[copies])
    np.testing.assert_allclose(answers(one, X), answers(other, X), rtol=0, atol=case.digits)


@few
@given(SEEDS, st.floats(-3, 3), st.floats(-1e3, 1e3))
def test_units_do_not_matter(name, seed, power, shift):
    case, _, X, y = made(name, seed)
    if not case.affine:
        return
    moved = 10.0**power * X + shift * np.arange(1, X.shape[1] + 1)
    found = answers(case.make().fit(moved, y), moved)
    lost = 1e-12 * (1 + abs(shift) / 10.0**power) ** 2  # digits of X that the shift takes
    np.testing.assert_allclose(found, answers(case.make().fit(X, y), X), rtol=0, atol=case.digits + lost)


@few
@given(SEEDS, st.sampled_from([2.0**-33, 1.0, 2.0**33]), st.sampled_from([-1e8, 0.0, 1e8]))
def test_units_of_any_size_do_not_matter(name, seed, scale, shift):
    """Of the same digits: those that the shift left, and powers of two cost none."""
    case, _, X, y = made(name, seed)
    if not case.affine:
        return
    far = X + shift
    near = far - shift
    one, other = case.make().fit(near, y), case.make().fit(scale * far, y)
    lost = 1e-6 * bool(shift)  # a mean of numbers of 1e8 has 8 digits behind the point
    np.testing.assert_allclose(
        answers(other, scale * far), answers(one, near), rtol=0, atol=case.digits + lost
    )


@few
@given(SEEDS)
def test_rows_are_answered_one_by_one(name, seed):
    case, rng, X, y = made(name, seed)
    fitted = case.make().fit(X, y)
    whole, some = answers(fitted, X), rng.permutation(len(X))[:5]
    np.testing.assert_allclose(answers(fitted, X[some]), whole[some], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(answers(fitted, X[:1]), whole[:1], rtol=1e-9, atol=1e-12)


@few
@given(SEEDS)
def test_pickles_and_files_answer_alike(name, seed):
    case, _, X, y = made(name, seed)
    fitted = case.make().fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(answers(again, X), answers(fitted, X))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posterior.pplgen"
        save(fitted.posterior_, path)
        one, other = load(path).model, again.posterior_.model
    for (key, value), (_, kept) in zip(one.named_buffers(), other.named_buffers(), strict=True):
        assert value.equal(kept), key
    assert not [key for key in vars(clone(fitted)) if key.endswith("_")]


@few
@given(SEEDS)
def test_missing_cells_are_summed_out(name, seed):
    """A row without a column is asked of the other columns alone."""
    case, rng, X, y = made(name, seed)
    fitted = case.make().fit(X, y)
    if not get_tags(fitted).input_tags.allow_nan:
        with pytest.raises(ValueError, match="contains NaN"):
            fitted.predict(np.full_like(X, np.nan))
        return
    blank = answers(fitted, np.full_like(X[:1], np.nan))
    np.testing.assert_allclose(blank[0], np.exp(fitted._log_prior()), rtol=1e-9)
    if getattr(fitted, "var_smoothing", 0) > 1e-3 or name in ("CategoricalNB", "MixedNB"):
        return  # what smooths, or names, looks at all columns
    gaps = X.copy()
    gaps[:, 0] = np.nan
    alone = case.make().fit(X[:, 1:], y)
    np.testing.assert_allclose(answers(fitted, gaps), answers(alone, X[:, 1:]), rtol=0, atol=1e-6)
    holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    learned = answers(case.make().fit(holes, y), holes)
    np.testing.assert_allclose(learned.sum(1), 1.0, rtol=1e-9)
