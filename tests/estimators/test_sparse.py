"""Sparse rows of SciPy count as the array that they stand for."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from ppl_gen import estimators as E
from ppl_gen.errors import DataError

X = np.random.default_rng(0).normal(size=(30, 4)) * (np.random.default_rng(1).random((30, 4)) < 0.5)
Y = np.arange(30) % 2


@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array])
def test_sparse_rows_count_as_the_array(form):
    sparse, plain = E.LogisticRegression().fit(form(X), Y), E.LogisticRegression().fit(X, Y)
    np.testing.assert_allclose(sparse.coef_, plain.coef_, rtol=1e-12)
    for ask in ("predict_proba", "decision_function", "predict", "sample_y"):
        np.testing.assert_allclose(getattr(sparse, ask)(form(X)), getattr(plain, ask)(X), rtol=1e-12)
    codes = E.PPCA(2).fit(form(X)).transform(form(X))
    np.testing.assert_allclose(codes, E.PPCA(2).fit(X).transform(X), rtol=1e-12)


def test_the_commonest_script_of_all():
    texts, classes = ["good film", "bad film", "great plot", "awful plot"] * 5, [1, 0, 1, 0] * 5
    assert (
        make_pipeline(TfidfVectorizer(), E.LogisticRegression()).fit(texts, classes).score(texts, classes)
        == 1
    )


def test_sparse_rows_that_are_too_large_or_out_of_range_are_refused():
    with pytest.raises(DataError, match=r"^X: .* 2,000 x 200,000.*max_features=67108"):
        E.LogisticRegression().fit(scipy.sparse.csr_matrix((2000, 200_000)), np.arange(2000) % 2)
    with pytest.raises(DataError, match=r"^X: .*rescale"):
        E.LogisticRegression().fit(scipy.sparse.csr_matrix(X * 1e200), Y)
