"""With the same parameters, the same numbers as scikit-learn's; and what its estimators lack."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from scipy import stats
from sklearn import discriminant_analysis, naive_bayes

from ppl_gen import ask, estimators, fit, to_arviz
from tests.estimators.catalogue import CASES, bits, codes, counts, reals

RNG = np.random.default_rng(7)
WEIGHTS = RNG.gamma(1.0, size=60)
METHODS = ("predict_joint_log_proba", "predict_log_proba", "predict_proba", "decision_function", "transform")
LDA = discriminant_analysis.LinearDiscriminantAnalysis
QDA = discriminant_analysis.QuadraticDiscriminantAnalysis
SETTINGS = [
    (naive_bayes.GaussianNB, reals, {}),
    (naive_bayes.GaussianNB, reals, {"var_smoothing": 0.2, "priors": [0.1, 0.9, 0.0]}),
    (naive_bayes.BernoulliNB, bits, {"alpha": 0.3}),
    (naive_bayes.BernoulliNB, reals, {"binarize": 0.4, "fit_prior": False}),
    (naive_bayes.MultinomialNB, counts, {"alpha": 0.3, "class_prior": [0.2, 0.3, 0.5]}),
    (naive_bayes.MultinomialNB, counts, {"alpha": [0.1, 1.0, 2.0, 0.5]}),
    (naive_bayes.CategoricalNB, codes, {"alpha": 0.3}),
    (naive_bayes.CategoricalNB, codes, {"min_categories": [6, 6, 6], "fit_prior": False}),
    (LDA, reals, {}),
    (LDA, reals, {"priors": [0.1, 0.2, 0.7], "store_covariance": True, "n_components": 1}),
    (LDA, reals, {"solver": "lsqr", "shrinkage": "auto"}),
    (LDA, reals, {"solver": "eigen", "shrinkage": 0.3, "priors": [0.1, 0.2, 0.7]}),
    (QDA, reals, {"store_covariance": True}),
    (QDA, reals, {"reg_param": 0.2, "priors": [0.1, 0.2, 0.7]}),
    (QDA, reals, {"solver": "eigen", "shrinkage": "auto"}),
]


def assert_alike(ours, theirs, X):
    """Answers and fitted attributes; where an axis has a sign by accident, up to the sign."""
    for method in METHODS:
        if hasattr(theirs, method) and (method, getattr(theirs, "solver", "")) != ("transform", "lsqr"):
            found, expected = getattr(ours, method)(X), getattr(theirs, method)(X)
            if method == "transform":
                found, expected = np.abs(found), np.abs(expected)
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9, err_msg=method)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    for key, expected in vars(theirs).items():
        if not key.endswith("_") or key.startswith("_"):
            continue
        found = getattr(ours, key)
        pairs = zip(found, expected, strict=True) if isinstance(expected, list) else [(found, expected)]
        for one, other in pairs:
            if key in ("scalings_", "rotations_"):
                one, other = np.abs(one), np.abs(other)
            if np.asarray(other).dtype.kind in "fiu":
                np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-10, err_msg=key)
            else:
                np.testing.assert_array_equal(one, other, err_msg=key)


@pytest.mark.parametrize(("twin", "draw", "settings"), SETTINGS)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # theirs, of a class that cannot be
def test_equal_numbers(twin, draw, settings):
    X, y = draw(np.random.default_rng(3), 60)
    labels = np.array(["oak", "ash", "elm"])[y]
    ours = getattr(estimators, twin.__name__)(**settings)
    theirs = twin(**settings)
    assert ours.get_params() == theirs.get_params()
    assert_alike(ours.fit(X, labels), theirs.fit(X, labels), X)
    if twin in (LDA, QDA):
        return
    ours.partial_fit(X[:20], labels[:20]).partial_fit(X[20:25], labels[20:25])
    if twin is not naive_bayes.GaussianNB:  # whose epsilon_ knows the last batch only
        theirs.partial_fit(X[:20], labels[:20]).partial_fit(X[20:25], labels[20:25])
        assert_alike(ours, theirs, X)
        worth = {"sample_weight": WEIGHTS}
        assert_alike(ours.fit(X, labels, **worth), theirs.fit(X, labels, **worth), X)


def test_gaussian_weights_and_batches():
    """As in scikit-learn, but for epsilon_, which here counts weights, and all batches."""
    X, y = reals(np.random.default_rng(3), 60)
    ours = estimators.GaussianNB(var_smoothing=0.0).fit(X, y, sample_weight=WEIGHTS)
    assert_alike(ours, naive_bayes.GaussianNB(var_smoothing=0.0).fit(X, y, sample_weight=WEIGHTS), X)
    parts = estimators.GaussianNB(var_smoothing=0.2)
    for first in range(0, 60, 15):
        part = slice(first, first + 15)
        parts.partial_fit(X[part], y[part], classes=[0, 1, 2])
    assert_alike(parts, naive_bayes.GaussianNB(var_smoothing=0.2).fit(X, y), X)


@pytest.mark.parametrize("name", ["BernoulliNB", "MultinomialNB"])
@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_rows_are_dense_rows(name, kind):
    X, y = CASES[name].rows(np.random.default_rng(3), 40)
    one, other = CASES[name].make().fit(X, y), CASES[name].make().fit(kind(X), y)
    np.testing.assert_allclose(other.predict_proba(kind(X)), one.predict_proba(X), rtol=1e-12)
    assert other.posterior_.log_evidence == pytest.approx(one.posterior_.log_evidence, rel=1e-12)


def test_fractions_count():
    X, y = counts(np.random.default_rng(3), 40)
    X = X / X.sum(1, keepdims=True)
    assert_alike(estimators.MultinomialNB().fit(X, y), naive_bayes.MultinomialNB().fit(X, y), X)


@pytest.mark.parametrize("name", CASES)
def test_the_posterior_is_that_of_the_joint(name):
    """`posterior_` is what the verb finds from its prior; both say the same to ArviZ after a pickle."""
    X, y = CASES[name].rows(np.random.default_rng(3), 40)
    fitted = CASES[name].make().fit(X, y)
    posterior = fitted.posterior_
    found = fit(posterior.prior, x=X, y=y)
    for key, value in found.model.named_buffers():
        kept = dict(posterior.model.named_buffers())[key]
        torch.testing.assert_close(value, kept, rtol=1e-8, atol=1e-8, msg=key)
    if name != "KernelNB":
        assert found.log_evidence == pytest.approx(posterior.log_evidence, rel=1e-9)
    tree = to_arviz(pickle.loads(pickle.dumps(fitted)).posterior_, draws=3)
    assert tree["posterior"]["pi"].shape == (1, 3, len(fitted.classes_))


@pytest.mark.parametrize("name", CASES)
def test_probabilities_are_the_joints(name):
    """Asked of the joint in words, with the class prior and the parameters given."""
    X, y = CASES[name].rows(np.random.default_rng(3), 40)
    fitted = CASES[name].make().fit(X, y)
    given = {"pi": np.exp(fitted._log_prior()), **fitted._point()}
    asked = ask(fitted.posterior_, f"p(y | x, {', '.join(given)})", x=X, **given)
    np.testing.assert_allclose(fitted.predict_proba(X), asked.probs, rtol=0, atol=1e-10)
    if name in ("BernoulliNB", "CategoricalNB"):  # also with theta integrated out
        predictive = ask(fitted.posterior_, "p(y | x, pi)", x=X, pi=given["pi"])
        np.testing.assert_allclose(fitted.predict_proba(X), predictive.probs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_samples_have_the_means_of_the_rows(name):
    X, y = CASES[name].rows(np.random.default_rng(3), 300)
    fitted = CASES[name].make().fit(X, y)
    drawn, labels = fitted.sample(4000, y=1, random_state=0)
    assert drawn.shape == (4000, X.shape[1])
    assert set(labels) == {1}
    mean = X[y == 1].mean(0)
    if name in ("BernoulliNB", "CategoricalNB", "MixedNB", "MultinomialNB"):  # the prior pulls by a few rows
        slack = 5.0 * (X.max(0) + 1) / (y == 1).sum()
    else:
        slack = 0.0
    if name == "MultinomialNB":  # whose classes share the expected total of a row
        mean = mean / mean.sum() * X.sum(1).mean()
    limit = stats.norm.isf(1e-6 / 20) * drawn.std(0) / np.sqrt(4000)
    assert (np.abs(drawn.mean(0) - mean) < limit + slack).all()
    _, labels = fitted.sample(4000, random_state=1)
    shares = np.bincount(labels, minlength=len(fitted.classes_)) / 4000
    chosen = getattr(fitted, "priors", None)
    p = np.bincount(y) / len(y) if chosen is None else np.array(chosen)
    assert (np.abs(shares - p) < stats.norm.isf(1e-6 / 6) * np.sqrt(p * (1 - p) / 4000) + 1e-9).all()


def test_a_seed_decides_a_sample_and_nothing_else_is_seeded():
    X, y = reals(np.random.default_rng(3), 40)
    nb = estimators.GaussianNB().fit(X, y)
    before = np.random.get_state()[1].copy()
    a, b, c = (nb.sample(5, random_state=s)[0] for s in (0, 0, 1))
    assert (a == b).all()
    assert (a != c).any()
    assert (np.random.get_state()[1] == before).all()
    rows, labels = nb.sample(3, y=[2, 0, 2], random_state=0)
    assert labels.tolist() == [2, 0, 2]
    assert (nb.sample(3, random_state=0)[0] != rows).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, y: estimators.GaussianNB(var_smoothing=-1).fit(X, y), "'var_smoothing' parameter"),
        (lambda X, y: estimators.GaussianNB(priors=[0.5, 0.5]).fit(X, y), "Number of priors"),
        (lambda X, y: estimators.GaussianNB().fit(X, y, sample_weight=-np.ones(40)), "sample_weight"),
        (lambda X, y: estimators.GaussianNB().fit(X, y).sample(0), "n_samples"),
        (lambda X, y: estimators.GaussianNB().fit(X, y).sample(2, y="oak"), "do not exist"),
        (lambda X, y: estimators.BernoulliNB(binarize=None).fit(X, y), "X: expected zeros and ones"),
        (lambda X, y: estimators.MultinomialNB().fit(X, y), r"Negative values .* \(input X\)"),
        (lambda X, y: estimators.CategoricalNB().fit(y[:, None], y).predict([[7]]), "X: expected categories"),
        (lambda X, y: estimators.KernelNB(bandwidth="wide").fit(X, y), "'bandwidth' parameter"),
        (lambda X, y: estimators.MixedNB(columns={"x9": "gaussian"}).fit(X, y), "x9"),
        (lambda X, y: estimators.LinearDiscriminantAnalysis(n_components=9).fit(X, y), "n_components"),
        (lambda X, y: estimators.LinearDiscriminantAnalysis().fit(X * [1, 1, 0], y).sample(), "X: expected"),
        (lambda X, y: estimators.QuadraticDiscriminantAnalysis().fit(X * [1, 1, 0], y), "reg_param"),
        (lambda X, y: estimators.GaussianNB().partial_fit(X, y), "classes must be passed"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(*reals(np.random.default_rng(3), 40))


def test_constant_and_lonely_rows_give_probabilities():
    for name, case in CASES.items():
        if name.startswith(("Linear", "Quadratic")) or "smoothed" in name:
            continue
        one = case.make().fit([[0.0, 1.0, 0.0][:3]] * 3, [0, 0, 1])
        np.testing.assert_allclose(one.predict_proba([[0.0, 1.0, 0.0]]).sum(), 1.0)
        assert np.isfinite(one.predict_log_proba([[0.0, 1.0, 0.0]])).all(), name


def test_a_table_is_sampled_in_its_own_words():
    table = pd.DataFrame({"age": [31.5, 52.0, 47.1, 60.3], "town": ["Ulm", "Kiel", None, "Kiel"]})
    nb = estimators.MixedNB().fit(table, ["well", "ill", "well", "ill"])
    rows, labels = nb.sample(20, random_state=0)
    assert list(rows) == ["age", "town"]
    assert set(rows["town"]) == {"Ulm", "Kiel"}
    assert nb.predict(rows).shape == labels.shape
    assert nb.score(table, ["well", "ill"] * 2) == 1.0
    with pytest.raises(ValueError, match="town: expected one of"):
        nb.predict(table.assign(town="Bonn"))


def test_polars_frames_are_rows():
    pl = pytest.importorskip("polars")
    X, y = reals(np.random.default_rng(3), 40)
    frame = pl.DataFrame(X, schema=["a", "b", "c"])
    for name, case in CASES.items():
        if case.rows is reals and name != "MixedNB":
            fitted = case.make().fit(frame, y)
            np.testing.assert_array_equal(fitted.predict_proba(frame), case.make().fit(X, y).predict_proba(X))
            assert list(fitted.feature_names_in_) == ["a", "b", "c"]
