"""Points of maximum likelihood of every conjugate model: scikit-learn's, closed forms, all ways to count."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn import discriminant_analysis as sklearn
from sklearn.linear_model import LinearRegression as SklearnLinearRegression

from ppl_gen import MaximumLikelihood, ask, fit, load, merge, save
from ppl_gen.data import breast_cancer, iris, wine
from ppl_gen.distributions import NormalGammaRegression
from ppl_gen.errors import DataError
from ppl_gen.models import (
    BernoulliNaiveBayes,
    CategoricalNaiveBayes,
    GaussianNaiveBayes,
    GaussianRegression,
    LinearDiscriminantAnalysis,
    LinearRegression,
    MixedNaiveBayes,
    PoissonNaiveBayes,
    QuadraticDiscriminantAnalysis,
)
from tests.models.naive_bayes import COLUMNS, MODELS, draw, gaps

LDA, QDA = LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
DATA = [iris(), wine(), breast_cancer()]


def close(found, expected, tolerance=1e-8):
    expected = torch.as_tensor(np.asarray(expected))
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("smoothing", [0.0, None])
@pytest.mark.parametrize("data", DATA, ids=lambda d: d.name)
def test_linear_discriminant_analysis_is_scikit_learns(data, smoothing):
    """Its covariance_ divides by n; so does the likelihood's maximum."""
    theirs = sklearn.LinearDiscriminantAnalysis(solver="lsqr").fit(data.x.numpy(), data.y.numpy())
    model = LDA(len(data.classes), len(data.features), loc=2.0, strength=5.0, scatter=3.0)
    posterior = fit(model, MaximumLikelihood(smoothing), x=data.x, y=data.y)
    point = posterior.point
    close(point["pi"], theirs.priors_)
    close(point["mu"], theirs.means_)
    close(point["sigma"] @ point["sigma"].mT, theirs.covariance_)
    if smoothing == 0.0 and data is not DATA[2]:  # two of whose thirty columns nearly follow from others
        answer = ask(posterior, "p(y | x)", x=data.x)
        close(answer.probs, theirs.predict_proba(data.x.numpy()))
        assert answer.how == "enumerated"


@pytest.mark.parametrize("smoothing", [0.0, None])
@pytest.mark.parametrize("data", DATA[:2], ids=lambda d: d.name)
def test_quadratic_discriminant_analysis_is_scikit_learns(data, smoothing):
    """Both divide by n (scikit-learn 1.9; before, it divided by n - 1)."""
    theirs = sklearn.QuadraticDiscriminantAnalysis(store_covariance=True).fit(data.x.numpy(), data.y.numpy())
    model = QDA(len(data.classes), len(data.features), loc=2.0, strength=5.0, scatter=3.0)
    point = fit(model, MaximumLikelihood(smoothing), x=data.x, y=data.y).point
    close(point["pi"], theirs.priors_)
    close(point["mu"], theirs.means_)
    for sigma, covariance in zip(point["sigma"], theirs.covariance_, strict=True):
        close(sigma @ sigma.T, covariance)
        assert bool((sigma == sigma.tril()).all() and (sigma.diagonal() > 0).all())


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_linear_regression_is_ordinary_least_squares(offset):
    data = breast_cancer()
    x, y = data.x[:, :12] + offset, data.x[:, 20]
    theirs = SklearnLinearRegression().fit(x.numpy(), y.numpy())
    posterior = fit(LinearRegression(12, loc=1.0, precision=7.0), MaximumLikelihood(0.0), x=x, y=y)
    point, digits = posterior.point, 1e-8 if offset == 0.0 else 1e-4
    close(point["w"][1:], theirs.coef_, digits)
    close(point["w"][:1], np.array([theirs.intercept_]), digits)
    residuals = y - torch.as_tensor(theirs.predict(x.numpy()))
    close(1 / point["tau"], residuals.square().mean(), 1e-6)
    answer = ask(posterior, "p(y | x)", x=x)
    close(answer.mean, theirs.predict(x.numpy()))
    assert answer.how == "exact"
    smoothed = fit(LinearRegression(12), MaximumLikelihood(0.5), x=x, y=y).point
    close(1 / smoothed["tau"], residuals.square().mean() + 0.5 * y.var(correction=0), 1e-6)


def test_least_squares_where_features_are_copies():
    """The fitted values are unique even where the weights are not; scikit-learn takes the shortest w."""
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.cat([x, x[:, :1], 1e6 * x[:, 1:]], 1)
    y = x[:, 0] - 2 * x[:, 1] + torch.randn(30, generator=torch.Generator().manual_seed(1)).double()
    whole = fit(LinearRegression(4), MaximumLikelihood(0.0), x=x, y=y)
    close(ask(whole, "p(y | x)", x=x).mean, SklearnLinearRegression().fit(x, y).predict(x))
    few = fit(
        LinearRegression(4),
        MaximumLikelihood(),
        [{"x": x[i : i + 2], "y": y[i : i + 2]} for i in range(0, 30, 2)],
    )
    close(ask(few, "p(y | x)", x=x).mean, ask(whole, "p(y | x)", x=x).mean)
    torch.testing.assert_close(1 / few.point["tau"], 1 / whole.point["tau"], rtol=1e-7, atol=0)


def test_gaussian_regression_is_a_regression_of_each_feature_on_y():
    data = wine()
    x, y = data.x[:, :5], data.x[:, 12]
    point = fit(GaussianRegression(5), MaximumLikelihood(0.0), x=x, y=y).point
    theirs = SklearnLinearRegression().fit(y.numpy()[:, None], x.numpy())
    close(point["mu"], y.mean())
    close(1 / point["tau"], y.var(correction=0))
    close(point["w"][:, 1], theirs.coef_[:, 0])
    close(point["w"][:, 0], theirs.intercept_)
    residuals = x - torch.as_tensor(theirs.predict(y.numpy()[:, None]))
    close(1 / point["kappa"], residuals.square().mean(0))


@pytest.mark.parametrize("smoothing", [0.0, 1.0, 2.5])
def test_poisson_naive_bayes_has_the_mean_counts(smoothing):
    x, y = draw(MODELS["poisson"](), 60)
    x = gaps(x)
    point = fit(MODELS["poisson"](), MaximumLikelihood(smoothing), x=x, y=y).point
    for k in range(3):
        for j in range(4):
            cells = x[y == k, j]
            cells = cells[~cells.isnan()]
            expected = (cells.sum() + smoothing) / len(cells)
            assert point["lam"][k, j].item() == pytest.approx(expected.item(), rel=1e-12)
    close(point["pi"], torch.bincount(y).double() / 60)


@pytest.mark.parametrize("smoothing", [None, 0.25])
def test_each_column_of_a_mixed_model_is_its_own_familys(smoothing):
    model = MODELS["mixed"]()
    x, y = draw(model, 80)
    x = gaps(x)
    point = fit(model, MaximumLikelihood(smoothing), x=x, y=y).point
    places = model.columns.places
    alone = {
        "gaussian": (GaussianNaiveBayes, {}, ("mu", "mu"), ("tau", "tau")),
        "bernoulli": (BernoulliNaiveBayes, {}, ("theta", "theta")),
        "poisson": (PoissonNaiveBayes, {}, ("lam", "lam")),
        "categorical": (CategoricalNaiveBayes, {"levels": [4, 2]}, ("phi", "theta")),
    }
    for kind, (family, options, *names) in alone.items():
        columns = x[:, places[kind]]
        expected = fit(
            family(3, columns.shape[1], **options), MaximumLikelihood(smoothing), x=columns, y=y
        ).point
        for here, there in names:
            assert torch.equal(point[here], expected[there])
    assert point.keys() == {"pi", "mu", "tau", "theta", "lam", "phi"}


def rows_of(name):
    data = iris().standardized()
    if name == "poisson":
        model = MODELS["poisson"]()
        x, y = draw(model, 90)
    elif name == "mixed":
        model = MixedNaiveBayes(3, COLUMNS)
        x, y = draw(model, 90)
    elif name in ("LDA", "QDA"):
        model, x, y = (LDA if name == "LDA" else QDA)(3, 4), data.x, data.y
        order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
        x, y = x[order], y[order]
    else:
        made = {"linear": LinearRegression, "gaussian regression": GaussianRegression}[name]
        model, x, y = made(3), data.x[:, :3], data.x[:, 3]
    return model, x, y


ALL = ["poisson", "mixed", "LDA", "QDA", "linear", "gaussian regression"]


@pytest.mark.parametrize("name", ALL)
def test_counting_in_parts_and_shards_and_after_a_night_on_disk(name, tmp_path):
    model, x, y = rows_of(name)
    method, cuts = MaximumLikelihood(), [0, 31, 60, len(y)]
    parts = [{"x": x[a:b], "y": y[a:b]} for a, b in pairwise(cuts)]
    whole, first = fit(model, method, x=x, y=y), fit(model, method, **parts[0])
    save(first, tmp_path / "first.pplgen")
    again = load(tmp_path / "first.pplgen")
    for other in (
        fit(model, MaximumLikelihood(chunk=7), x=x, y=y),
        fit(model, method, parts),
        fit(again, None, parts[1:]),
        merge(*(fit(model, method, **part) for part in parts)),
    ):
        assert other.n == len(y) or other.n == len(y) - 31
        for key, value in whole.point.items():
            torch.testing.assert_close(value, other.point[key], rtol=1e-10, atol=1e-11)
        if other.n == len(y):
            assert other.shapes == whole.shapes


@pytest.mark.parametrize("name", ALL)
def test_the_prior_plays_no_part(name):
    model, x, y = rows_of(name)
    other = fit(model, x=x, y=y).model  # a prior that is far from the model's own
    for key, value in fit(model, MaximumLikelihood(), x=x, y=y).point.items():
        torch.testing.assert_close(
            fit(other, MaximumLikelihood(), x=x, y=y).point[key], value, rtol=1e-10, atol=1e-11
        )


@pytest.mark.parametrize("model", [LDA, QDA])
def test_a_singular_covariance_is_refused_in_words(model):
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(12) % 2
    copied = torch.cat([x, x[:, :1]], 1)
    with pytest.raises(DataError, match="one is singular at feature"):
        fit(model(2, 4), MaximumLikelihood(0.0), x=copied, y=y)
    mended = fit(model(2, 4), MaximumLikelihood(), x=copied, y=y)
    assert torch.isfinite(ask(mended, "p(y | x)", x=copied).probs).all()
    with pytest.raises(DataError, match="constant"):
        fit(model(2, 3), MaximumLikelihood(), x=x * torch.tensor([1.0, 0.0, 1.0]), y=y)


@pytest.mark.parametrize("model", [LDA, QDA])
def test_a_class_without_rows_has_what_all_rows_have(model):
    x = iris().x[50:]
    point = fit(model(3, 4), MaximumLikelihood(0.0), x=x, y=iris().y[50:]).point
    assert point["pi"][0] == 0
    close(point["mu"][0], x.mean(0))
    if model is QDA:
        close(point["sigma"][0] @ point["sigma"][0].T, np.cov(x.numpy().T, ddof=0))


def test_a_constant_target_leaves_the_noise_undetermined():
    with pytest.raises(DataError, match="or a constant column, leaves tau undetermined"):
        fit(LinearRegression(1), MaximumLikelihood(), x=[[0.0], [1.0], [2.0]], y=[0.0, 0.0, 0.0])


def test_the_family_of_regressions_recovers_from_too_few_rows():
    """Fewer rows than terms: the information is kept, and the mean is found once there are enough."""
    g = torch.Generator().manual_seed(0)
    design = torch.cat([torch.ones(9, 1), torch.randn(9, 3, generator=g)], 1).double()
    y = torch.randn(9, generator=g).double()
    one = torch.ones((), dtype=torch.float64)
    found = NormalGammaRegression(torch.ones(4).double(), torch.eye(4).double(), one, one).flat()
    for row, target in zip(design, y, strict=True):
        found = found.updated(row[None], target[None])
    w = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
    torch.testing.assert_close(found.loc, w, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(2 * found.rate, (y - design @ w).square().sum(), rtol=1e-9, atol=0)
    assert found.shape == 4.5
