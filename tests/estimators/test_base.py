"""What all estimators do with the arrays, labels and weights that users have."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from ppl_gen import estimators as E
from ppl_gen.errors import DataError
from ppl_gen.estimators.ppca import LEAST

random = np.random.default_rng(0)
X = np.concatenate([random.normal(0, 1, (20, 3)), random.normal(3, 1, (20, 3))])
Y = np.repeat([0, 1], 20)
APART = np.repeat([0.0, 100.0], 20)[:, None]
COLUMN = np.array([False, True, False])
HOLES = np.arange(120).reshape(40, 3) % 7 == 0
MAKE = {
    "GaussianNB": E.GaussianNB,
    "KernelNB": lambda: E.KernelNB(bandwidth=1.0),
    "MixedNB": E.MixedNB,
    "LinearDiscriminantAnalysis": E.LinearDiscriminantAnalysis,
    "QuadraticDiscriminantAnalysis": E.QuadraticDiscriminantAnalysis,
    "LogisticRegression": E.LogisticRegression,
    "BayesianLinearRegression": E.BayesianLinearRegression,
    "GaussianMixture": lambda: E.GaussianMixture(2, random_state=0),
    "PPCA": lambda: E.PPCA(2),
    "VAE": lambda: E.VAE(hidden_layer_sizes=(4,), steps=2, random_state=0),
}


def answer(kind, rows, y=Y, **options):
    made = MAKE[kind]().fit(rows, y, **options)
    how = next(name for name in ("predict_proba", "transform", "predict") if hasattr(made, name))
    return getattr(made, how)(rows)


@pytest.fixture
def outspoken():
    """PyTorch warns of memory that cannot be written to once a process, otherwise."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.parametrize("kind", MAKE)
def test_views_and_read_only_rows_count_as_their_copies(kind, outspoken):
    locked, plain = X.copy(), answer(kind, X)
    locked.flags.writeable = False
    for rows, y in ((X[::-1].copy()[::-1], Y[::-1].copy()[::-1]), (locked, Y)):
        np.testing.assert_allclose(answer(kind, rows, y), plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["LogisticRegression", "GaussianNB", "BayesianLinearRegression"])
def test_weights_may_be_views(kind, outspoken):
    weights = np.linspace(1, 2, 40)[::-1]
    locked = weights.copy()
    locked.flags.writeable = False
    for these in (weights, locked, pd.Series(weights)):
        expected = answer(kind, X, sample_weight=weights.copy())
        np.testing.assert_allclose(answer(kind, X, sample_weight=these), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["GaussianNB", "MixedNB", "LinearDiscriminantAnalysis", "PPCA"])
def test_masked_cells_are_missing(kind):
    found = answer(kind, np.ma.array(X, mask=HOLES))
    np.testing.assert_array_equal(found, answer(kind, np.where(HOLES, np.nan, X)))
    assert not np.allclose(found, answer(kind, X))


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda: E.LogisticRegression().fit(np.ma.array(X, mask=HOLES), Y), "X contains NaN"),
        (lambda: E.GaussianNB().fit(X, np.ma.array(Y, mask=Y == 1)), "^y: .* 20 masked"),
        (lambda: E.GaussianNB().fit(X, Y, np.ma.array(Y + 1.0, mask=Y == 1)), "^sample_weight: .* 20 masked"),
        (lambda: E.GaussianNB().fit(X, Y, np.full(40, 1e-300)), "^sample_weight: .* same number"),
        (lambda: E.LogisticRegression().fit(X, Y, np.full(40, 1e-300)), "^sample_weight: .* same number"),
        (lambda: E.LogisticRegression().fit(X, X[:, 0]), "^y: .*0.12.*Unknown label type: continuous"),
        (lambda: E.GaussianNB().fit(X, X[:, 0]), "^y: .*0.12.*Unknown label type: continuous"),
        (lambda: E.QuadraticDiscriminantAnalysis().fit(X, X[:, 0]), "^y: .*Unknown label type: continuous"),
        (lambda: E.LogisticRegression().fit(X, np.array(["a", *Y[1:]], object)), "^y: .* int64 and str"),
        (lambda: E.LogisticRegression().fit(X, [None, *"ab" * 19, "a"]), "^y: .* NoneType and str"),
        (lambda: E.GaussianNB().partial_fit(X, Y, [None, 0, 1]), "^classes: "),
        (lambda: E.GaussianNB().fit(X, Y).sample(3, y=[0, 1]), r"^y: .* 3 rows, got shape \(2,\)"),
        (lambda: E.GaussianNB().fit(X, Y).sample(3, random_state="a"), "^random_state: 'a'"),
        (lambda: E.PPCA().fit(X).sample(3, random_state="a"), "^random_state: 'a'"),
        (lambda: E.BernoulliNB(alpha=[1, np.nan, 1]).fit(X, Y), "^alpha: .* nan in place 1"),
        (lambda: E.MultinomialNB(alpha=[1, 1, np.inf]).fit(X**2, Y), "^alpha: .* inf in place 2"),
        (lambda: E.BernoulliNB(alpha=1e308).fit(X, Y), r"^alpha: .* 1e\+308"),
        (lambda: E.BernoulliNB(alpha=["a", 1, 1]).fit(X, Y), "^alpha: "),
        (lambda: E.BernoulliNB(class_prior=[np.nan, 1]).fit(X, Y), "^class_prior: .* nan in place 0"),
        (lambda: E.LinearDiscriminantAnalysis(priors=[1, np.nan]).fit(X, Y), "^priors: .* nan in place 1"),
        (lambda: E.PPCA().fit(np.where(COLUMN, np.nan, X)), "^X: .* none in column 1"),
        (lambda: E.PPCA(1).fit(X).inverse_transform([["a"]]), "^X: "),
        (lambda: E.PPCA(1).fit(X).inverse_transform([[1, 2]]), r"^X: .*\(1, 2\)"),
        (lambda: MAKE["VAE"]().fit(X).inverse_transform([["a", "b"]]), "^X: "),
        (lambda: E.VAE().fit(1e100 * X), r"^X: .* 5\.\d+e\+100 in row \d+, column \d"),
        (lambda: E.GaussianNB().fit(X, None), "^This GaussianNB estimator requires y"),
        (lambda: E.LogisticRegression().fit(X, np.full(40, 5)), "^y: .* alone: 5$"),
        (lambda: E.GaussianNB().fit(np.array([["1", "oops"]]), [0]), "^X: .* 'oops' in column 1, row 0"),
        (
            lambda: E.BernoulliNB().fit(pl.DataFrame({"a": [1.0], "b": ["x"]}), [0]),
            "^X: .* column 'b', row 0",
        ),
        (
            lambda: E.GaussianNB().fit(pd.DataFrame({"a": [1, "x"]}), [0, 1]),
            "^X: .* 'x' in column 'a', row 1",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(act, named):
    with pytest.raises((ValueError, TypeError), match=named) as caught:
        act()
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "kind",
    [name for name in E.__all__ if name.endswith(("NB", "Regression")) and name != "KernelNB"],
)
def test_weights_out_of_range_are_refused_by_name(kind):
    rows = np.arange(80.0).reshape(40, 2) % 3
    with pytest.raises(DataError, match=r"^sample_weight: .* at most .* inf: divide"):
        getattr(E, kind)().fit(rows, Y, sample_weight=np.full(40, 1e308))
    most = getattr(E, kind).most_weight
    found, plain = (getattr(E, kind)().fit(rows, Y, sample_weight=np.full(40, w)) for w in (most / 41, 1e4))
    answer = "predict_proba" if hasattr(found, "predict_proba") else "predict"
    np.testing.assert_allclose(getattr(found, answer)(rows), getattr(plain, answer)(rows), rtol=1e-3)


@pytest.mark.parametrize("kind", ["BernoulliNB", "MultinomialNB", "GaussianNB"])
def test_decimals_of_polars_are_numbers(kind):
    numbers = np.arange(40) % 3
    frame = pl.DataFrame({"a": [Decimal(int(n)) for n in numbers]})
    found, plain = (getattr(E, kind)().fit(x, Y) for x in (frame, numbers[:, None]))
    np.testing.assert_array_equal(found.predict_proba(frame), plain.predict_proba(numbers[:, None]))


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (E.GaussianNB, ("epsilon_",)),
        (E.GaussianMixture, ("lower_bound_",)),
        (E.PPCA, ("noise_variance_",)),
    ],
)
def test_numbers_are_those_of_numpy(made, names):
    found = made().fit(X, Y)
    assert all(getattr(found, name).round(3) == round(float(getattr(found, name)), 3) for name in names)
    assert isinstance(found.score(X, Y), np.float64 | float)


def test_more_features_than_rows_have_one_solution_by_least_squares():
    noise = np.random.default_rng(0).normal(size=(30, 29))
    rows, classes = np.c_[np.repeat([-2.0, 2.0], 15) + noise[:, 0], noise], np.repeat([0, 1], 15)
    least = E.LinearDiscriminantAnalysis("lsqr").fit(rows, classes)
    np.testing.assert_allclose(
        least.coef_, E.LinearDiscriminantAnalysis().fit(rows, classes).coef_, rtol=1e-6
    )
    assert least.score(rows, classes) == 1
    units = np.geomspace(1e-9, 1e9, 3)  # which decide nothing
    far, near = (E.LinearDiscriminantAnalysis("lsqr").fit(X * u, Y).predict_proba(X * u) for u in (units, 1))
    np.testing.assert_allclose(far, near, rtol=1e-6)


def test_the_least_weights_that_are_taken_are_enough_to_compute_with():
    plain, light = E.GaussianNB().fit(X, Y), E.GaussianNB().fit(X, Y, np.full(40, 1e-100))
    np.testing.assert_allclose(light.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
    least = E.LogisticRegression().fit(X, Y, np.full(40, 1e-6 / 39))
    np.testing.assert_array_equal(least.predict(X), least.predict_proba(X).argmax(1))


def test_mixed_naive_bayes_with_weights_that_weigh_nothing_answers_by_its_prior():
    rows = E.MixedNB().fit(X, Y, sample_weight=np.where(Y, 3e-100, 1e-100))
    np.testing.assert_allclose(rows.class_prior_, [0.25, 0.75], rtol=1e-12)
    np.testing.assert_allclose(rows.predict_proba(X), np.broadcast_to([0.25, 0.75], (40, 2)), rtol=1e-9)


@pytest.mark.parametrize("solver", ["svd", "lsqr", "eigen"])
def test_discriminants_without_any_spread_within_classes_are_refused(solver):
    with pytest.raises(DataError, match=r"^X: .* column 0"):
        E.LinearDiscriminantAnalysis(solver).fit(APART, Y)
    with pytest.raises(np.linalg.LinAlgError, match=r"^X: .* shrinkage"):
        E.LinearDiscriminantAnalysis("eigen").fit(np.ones((40, 2)), Y)
    equal = E.LinearDiscriminantAnalysis().fit(np.ones((40, 2)), Y)  # these rows tell nothing
    np.testing.assert_allclose(equal.predict_proba(np.ones((1, 2))), 0.5)


def test_a_column_that_tells_classes_apart_by_itself_is_warned_of():
    with pytest.warns(UserWarning, match=r"^X: .* column 3"):
        E.LinearDiscriminantAnalysis().fit(np.concatenate([X, APART], 1), Y)


def test_a_column_without_variance_is_named():
    with pytest.raises(np.linalg.LinAlgError, match=r"^X: .* column 3 is 0"):
        E.QuadraticDiscriminantAnalysis().fit(np.concatenate([X, APART], 1), Y)


@pytest.mark.parametrize("unit", [1e100, 1e145, 1e-100])
def test_principal_components_scale_with_the_rows(unit):
    plain, scaled = E.PPCA(1).fit(X), E.PPCA(1).fit(X * unit)
    np.testing.assert_allclose(scaled.transform(X * unit) / unit, plain.transform(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaled.noise_variance_ / unit**2, plain.noise_variance_, rtol=1e-9)
    line = E.PPCA(1).fit(X[:, :1] * [1, 2, 3] * unit)  # whose least noise is a share of the variance
    np.testing.assert_allclose(line.noise_variance_, LEAST * 39 / 40 * line.explained_variance_, rtol=1e-6)


def test_categories_without_end_or_without_a_cell_are_refused():
    with pytest.raises(DataError, match=r"^X: .* 1e\+15 in column 1"):
        E.CategoricalNB().fit(np.stack([Y, np.full(40, 1e15)], 1), Y)
    with pytest.raises(DataError, match=r"^min_categories: "):
        E.CategoricalNB(min_categories=10**12).fit(Y[:, None], Y)
    empty = np.stack([Y, np.full(40, np.nan)], 1)
    with pytest.raises(DataError, match=r"^X: .* column 1"):
        E.CategoricalNB().fit(empty, Y)
    declared = E.CategoricalNB(min_categories=2).fit(empty, Y)
    np.testing.assert_allclose(np.exp(declared.feature_log_prob_[1]), 0.5)


def test_logistic_regression_refuses_what_its_twin_refuses():
    from sklearn.linear_model import LogisticRegression as Twin

    for settings, y in (({"dual": True}, Y), ({"solver": "liblinear"}, np.arange(40) % 3)):
        with pytest.raises(ValueError, match="olver"):
            Twin(**settings).fit(X, y)
        with pytest.raises(ValueError, match=f"^{next(iter(settings))}: "):
            E.LogisticRegression(**settings).fit(X, y)
    E.LogisticRegression(dual=True, solver="liblinear").fit(X, Y)


@pytest.mark.parametrize("solver", ["svd", "eigen"])
def test_columns_that_follow_from_one_another_are_named(solver):
    rows = np.random.default_rng(0).normal(size=(40, 5))
    rows[:, 3] = 3 * rows[:, 1] - rows[:, 4]
    setting = "reg_param" if solver == "svd" else "shrinkage"
    with pytest.raises(np.linalg.LinAlgError, match=f"Columns 1, 3, 4 follow from.*{setting}=0.1"):
        E.QuadraticDiscriminantAnalysis(solver=solver).fit(rows, np.arange(40) % 2)
    mended = E.QuadraticDiscriminantAnalysis(solver=solver, **{setting: 0.1}).fit(rows, np.arange(40) % 2)
    np.testing.assert_allclose(mended.predict_proba(rows).sum(1), 1)


@pytest.mark.parametrize(
    "weights", [{0: -1, 1: 1}, {0: np.nan, 1: 1}, {0: 0, 1: 0}, {0: 1e-200, 1: 1e-200}, {0: 1e200, 1: 1}]
)
def test_class_weights_that_cannot_be_used_are_refused(weights):
    with pytest.raises(DataError, match="class_weight: "):
        E.LogisticRegression(class_weight=weights).fit(np.arange(6.0)[:, None], [0, 1] * 3)


@pytest.mark.parametrize("tiny", [1e-12, 1e-100, 5e-324])
@pytest.mark.parametrize(
    "kind", ["GaussianNB", "BernoulliNB", "MultinomialNB", "CategoricalNB", "LogisticRegression"]
)
def test_a_class_that_weighs_next_to_nothing_is_next_to_impossible(kind, tiny):
    rows, classes = np.random.default_rng(0).integers(0, 2, (20, 3)), np.arange(20) % 2
    found = getattr(E, kind)().fit(rows, classes, sample_weight=np.where(classes, tiny, 1.0))
    probs = found.predict_proba(rows)
    np.testing.assert_allclose(probs.sum(1), 1)
    assert (probs[:, 1] < 1e-6).all()


def test_kernels_of_columns_with_one_value_in_every_class_are_as_wide_as_half_the_step():
    rows = [[0.0, 1.0], [0.0, 2.0], [1.0, 1.0], [1.0, 4.0]]
    with pytest.warns(UserWarning, match="^X: column 0 has one value in every class.*bandwidth 0.5"):
        found = E.KernelNB().fit([row[:1] for row in rows], [0, 0, 1, 1])
    np.testing.assert_allclose(found.bandwidth_, 0.5)
    np.testing.assert_allclose(
        found.predict_proba([[0.0], [1.0]])[:, 0], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]
    )
    E.KernelNB().fit([row[1:] for row in rows], [0, 0, 1, 1])  # one that varies is not warned of
    E.KernelNB(bandwidth=0.1).fit([row[:1] for row in rows], [0, 0, 1, 1])
    E.KernelNB().fit([[3.0, row[1]] for row in rows], [0, 0, 1, 1])  # nor one that is the same everywhere
