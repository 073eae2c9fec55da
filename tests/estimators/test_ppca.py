"""`PPCA` against its twin, against the density it stands for, and with cells missing."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, _pca

from ppl_gen import ask, to_arviz
from ppl_gen.distributions.number_of_axes import log_evidence_of_axes
from ppl_gen.estimators import PPCA

X, _ = load_iris(return_X_y=True)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [None, 1, 2, 4, 0.5, 0.95, 0.999])
def test_same_numbers_as_the_twin(n_components, whiten):
    ours, twin = (kind(n_components, whiten=whiten).fit(X) for kind in (PPCA, PCA))
    assert ours.n_components_ == twin.n_components_
    np.testing.assert_allclose(ours.components_, twin.components_, atol=1e-10)
    np.testing.assert_allclose(ours.mean_, twin.mean_)
    np.testing.assert_allclose(ours.explained_variance_, twin.explained_variance_)
    np.testing.assert_allclose(ours.explained_variance_ratio_, twin.explained_variance_ratio_)
    np.testing.assert_allclose(ours.singular_values_, twin.singular_values_)
    if not whiten:  # where its own counts the lengths of the axes twice
        np.testing.assert_allclose(ours.get_covariance(), twin.get_covariance(), atol=1e-12)
    np.testing.assert_allclose(ours.get_precision() @ ours.get_covariance(), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(ours.transform(X), twin.transform(X), atol=1e-10)
    np.testing.assert_allclose(
        ours.inverse_transform(ours.transform(X)), twin.inverse_transform(twin.transform(X))
    )
    if ours.n_components_ < 4:  # else its own has no noise, and ours as much as the least axis
        assert ours.noise_variance_ == pytest.approx(twin.noise_variance_)
    assert list(ours.get_feature_names_out()) == [f"ppca{i}" for i in range(ours.n_components_)]


def _towers(rows, features, axes, seed):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, axes)) @ random.normal(size=(axes, features)) * 2 + random.normal(
        size=(rows, features)
    )


@pytest.mark.parametrize("shape", [(200, 6, 2), (60, 10, 5), (40, 40, 3), (300, 2, 1)])
@pytest.mark.parametrize("scale", [1.0, 1e-30])
def test_the_number_of_axes_of_largest_evidence_is_the_twins(shape, scale):
    rows = _towers(*shape, seed=len(shape))
    ours, twin = PPCA("mle").fit(scale * rows), PCA("mle", svd_solver="full").fit(rows)
    assert ours.n_components_ == twin.n_components_
    np.testing.assert_allclose(ours.components_, twin.components_, atol=1e-9)


def test_the_evidence_of_axes_is_the_twins():
    for shape in [(150, 4, 2), (30, 7, 3)]:
        rows, (n, d, _) = _towers(*shape, seed=5), shape
        spectrum = np.linalg.eigvalsh(np.cov(rows.T))[::-1].copy()
        theirs = np.array([_pca._assess_dimension(spectrum, k, n) for k in range(1, d)])
        ours = log_evidence_of_axes(torch.from_numpy(spectrum), n).numpy()
        np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (X[:3], "n_samples >= n_features"),
        (np.where(X[0, 0] == X, np.nan, X), "n_components: 'mle'.*missing"),
        (X[:, :1], "n_components: 'mle'.*one feature"),
        (np.ones((9, 3)), "n_components: 'mle'.*all the same"),
    ],
)
def test_what_has_no_evidence_of_axes_is_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        PPCA("mle").fit(rows)


def test_scores_are_of_its_normal_density_missing_cells_summed_out():
    found = PPCA(2).fit(X)
    normal = stats.multivariate_normal(found.mean_, found.get_covariance())
    np.testing.assert_allclose(found.score_samples(X), normal.logpdf(X), rtol=1e-9)
    np.testing.assert_allclose(found.score_samples(X), PCA(2).fit(X).score_samples(X), rtol=1e-9)
    assert found.score(X) > PPCA(1).fit(X).score(X) + 1e-2
    gaps, seen = X.copy(), [0, 1, 3]
    gaps[:, 2] = np.nan
    part = stats.multivariate_normal(found.mean_[seen], found.get_covariance()[np.ix_(seen, seen)])
    np.testing.assert_allclose(found.score_samples(gaps), part.logpdf(X[:, seen]), rtol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("shape", [(30_000, 6, 2), (50, 70, 3)])  # rows in blocks; more features than rows
def test_the_closed_form_is_the_posteriors_at_any_offset(shape, offset):
    plain = _towers(*shape, seed=3).round(5)  # of which nothing is lost beside the offset
    rows = (plain + offset).round(5)
    found, near = PPCA(shape[2]).fit(rows), PPCA(shape[2]).fit(plain)
    asked = ask(found.posterior_, "p(x)").log_prob(x=rows[:50]).detach()
    np.testing.assert_allclose(found.score_samples(rows[:50]), asked, rtol=1e-9)
    np.testing.assert_allclose(found.score_samples(rows), near.score_samples(plain), rtol=1e-6)
    np.testing.assert_allclose(found.transform(rows), near.transform(plain), atol=1e-6)
    np.testing.assert_allclose(found.components_, near.components_, atol=1e-6)
    np.testing.assert_allclose(found.explained_variance_, near.explained_variance_, rtol=1e-6)


def test_missing_cells_are_expected_given_the_others():
    found, gaps = PPCA(2).fit(X), X.copy()
    gaps[:, 2] = np.nan
    covariance, seen = found.get_covariance(), [0, 1, 3]
    slope = covariance[2, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    filled = X.copy()
    filled[:, 2] = found.mean_[2] + (X[:, seen] - found.mean_[seen]) @ slope
    np.testing.assert_allclose(found.transform(gaps), found.transform(filled), atol=1e-8)
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    part = PPCA(2).fit(holes)
    assert np.abs((part.components_ * found.components_).sum(1)).min() > 0.95  # nearly the same axes
    assert np.abs((PPCA(2).fit(np.nan_to_num(holes)).components_ * found.components_).sum(1)).min() < 0.95


def test_samples_have_its_moments():
    found = PPCA(2, random_state=0).fit(X)
    drawn = found.sample(20_000)
    error = np.sqrt(np.diag(found.get_covariance()) / len(drawn))
    assert (np.abs(drawn.mean(0) - found.mean_) < 5.1 * error).all()
    again = PPCA(2).fit(drawn)
    np.testing.assert_allclose(
        again.get_covariance(), found.get_covariance(), atol=5.5 * 3 * 2**0.5 / 20_000**0.5
    )
    np.testing.assert_array_equal(found.sample(3), found.sample(3))
    assert (found.sample(3, random_state=1) != found.sample(3, random_state=2)).all()


def test_the_posterior_answers_and_goes_to_arviz():
    found = PPCA(2).fit(X)
    codes = ask(found.posterior_, "p(z | x)", x=X)
    assert codes.how == "exact"
    assert np.abs(np.corrcoef(codes.mean[:, 0].detach(), found.transform(X)[:, 0])[0, 1]) > 1 - 1e-9
    tree = to_arviz(found.posterior_, x=X[:20], draws=5)  # it holds no rows of its own
    assert {"posterior", "log_likelihood"} <= set(tree.children)


@pytest.mark.parametrize("shape", [(3, 5), (6, 6), (20, 1), (10, 12)])
def test_few_rows_and_one_feature(shape):
    x = np.random.default_rng(0).normal(size=shape)
    found = PPCA().fit(x)
    np.testing.assert_allclose(
        found.components_ @ found.components_.T, np.eye(found.n_components_), atol=1e-9
    )
    assert found.n_components_ == PCA().fit(x).n_components_
    assert found.noise_variance_ > 0
    assert np.isfinite(found.score_samples(x)).all()


@pytest.mark.parametrize("bad", [0, 5, 1.5, -1, "many"])
def test_bad_values_are_named(bad):
    with pytest.raises(ValueError, match="n_components"):
        PPCA(bad).fit(X)
    with pytest.raises(ValueError, match="X: expected shape"):
        PPCA(2).fit(X).inverse_transform(X)
    with pytest.raises(ValueError, match="n_samples"):
        PPCA(2).fit(X).sample(0)


def test_rows_without_noise_have_a_little():
    x = np.outer(np.arange(10.0), [1.0, 2.0, -1.0]) + 5
    found, twin = PPCA(1).fit(x), PCA(1).fit(x)
    np.testing.assert_allclose(found.transform(x), twin.transform(x), atol=1e-9)
    np.testing.assert_allclose(found.explained_variance_, twin.explained_variance_, rtol=1e-9)
    assert 0 < found.noise_variance_ < 1e-8 * twin.explained_variance_[0]
    assert np.isfinite(found.score_samples(x)).all()
    with pytest.raises(ValueError, match="constant"):
        PPCA(1).fit(np.ones((5, 2)))
