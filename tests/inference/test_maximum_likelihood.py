"""Maximum likelihood against scikit-learn, and the same point by every way of counting."""

import pytest
import torch
from sklearn.naive_bayes import GaussianNB

from ppl_gen import SVI, Exact, MaximumLikelihood, ask, fit, load, merge, save, to_arviz
from ppl_gen.data import iris, wine
from ppl_gen.errors import DataError, NoDensity, NoEvidence, Unanswerable
from ppl_gen.models import (
    CategoricalNaiveBayes,
    GaussianNaiveBayes,
    LogisticRegression,
    MultinomialNaiveBayes,
)


def model(data, **options):
    return GaussianNaiveBayes(len(data.classes), len(data.features), **options)


@pytest.mark.parametrize("smoothing", [None, 0.0, 1e-3])
@pytest.mark.parametrize("data", [iris(), wine()])
def test_it_is_scikit_learns_gaussian_nb(data, smoothing):
    theirs = GaussianNB(**({} if smoothing is None else {"var_smoothing": smoothing}))
    theirs.fit(data.x.numpy(), data.y.numpy())
    posterior = fit(model(data, loc=3.0, strength=9.0), MaximumLikelihood(smoothing), x=data.x, y=data.y)
    found = posterior.point["mu"], 1 / posterior.point["tau"], posterior.point["pi"]
    for ours, expected in zip(found, (theirs.theta_, theirs.var_, theirs.class_prior_), strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(expected), rtol=1e-8, atol=0)
    answer = ask(posterior, "p(y | x)", x=data.x)
    torch.testing.assert_close(
        answer.probs, torch.from_numpy(theirs.predict_proba(data.x.numpy())), rtol=0, atol=1e-8
    )
    assert answer.how == "enumerated"
    joint = ask(posterior, "p(x, y)")
    expected = torch.from_numpy(theirs.predict_joint_log_proba(data.x.numpy()))[
        torch.arange(len(data.y)), data.y
    ]
    torch.testing.assert_close(joint.log_prob(x=data.x, y=data.y), expected, rtol=1e-8, atol=1e-8)
    assert joint.how == "exact"


def same(one, other):
    for name, value in one.point.items():
        torch.testing.assert_close(value, other.point[name], rtol=1e-10, atol=0)


def test_counting_goes_on_in_parts_shards_and_after_a_night_on_disk(tmp_path):
    data, nb, method = iris(), model(iris()), MaximumLikelihood()
    whole = fit(nb, method, x=data.x, y=data.y)
    parts = [{"x": data.x[i : i + 40], "y": data.y[i : i + 40]} for i in range(0, 150, 40)]
    same(whole, fit(nb, MaximumLikelihood(chunk=7), x=data.x, y=data.y))
    same(whole, fit(nb, method, parts))
    first = fit(nb, method, **parts[0])
    assert torch.isfinite(first.point["tau"]).all()  # classes 1 and 2 have no rows yet
    save(first, tmp_path / "first.pplgen")
    again = load(tmp_path / "first.pplgen")
    same(first, again)
    same(whole, fit(again, None, parts[1:]))
    same(whole, merge(*(fit(nb, method, **part) for part in parts)))
    with pytest.raises(DataError, match="counted twice"):
        fit(again, **parts[0])


def test_missing_cells_are_left_out():
    data = iris()
    x = data.x.clone()
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.2] = torch.nan
    point = fit(model(data), MaximumLikelihood(0.0), x=x, y=data.y).point
    for k in range(3):
        for j in range(4):
            cells = x[data.y == k, j]
            cells = cells[~torch.isnan(cells)]
            assert point["mu"][k, j] == pytest.approx(cells.mean().item(), rel=1e-12)
            assert 1 / point["tau"][k, j] == pytest.approx(cells.var(correction=0).item(), rel=1e-10)


def test_every_draw_is_the_point():
    data = iris()
    posterior = fit(model(data), MaximumLikelihood(), x=data.x, y=data.y)
    assert torch.equal(posterior.draw(3)["mu"][2], posterior.point["mu"])
    assert torch.equal(ask(posterior, "p(mu)").sample(), posterior.point["mu"])
    tree = to_arviz(posterior, draws=3)
    assert (tree.posterior["pi"].std("draw") == 0).all()
    assert "a point of maximum likelihood" in tree.posterior.attrs["how"]
    with pytest.raises(NoDensity, match="gives it no density"):
        ask(posterior, "p(pi)").log_prob(pi=posterior.point["pi"])
    for bound in (lambda: posterior.log_evidence, posterior.estimate_elbo):
        with pytest.raises(NoEvidence, match="a point"):
            bound()
    assert "a point of maximum likelihood" in str(posterior)


def test_what_has_no_point_is_refused():
    data = iris()
    with pytest.raises(Unanswerable, match="declares no point of maximum likelihood"):
        fit(LogisticRegression(classes=3, features=4), MaximumLikelihood(), x=data.x, y=data.y)
    with pytest.raises(Unanswerable, match="MaximumLikelihood needs every row's y"):
        fit(model(data), MaximumLikelihood(), x=data.x)
    with pytest.raises(DataError, match="smoothing: expected None or a number from 0 up, got -1"):
        MaximumLikelihood(-1)
    posterior = fit(model(data), MaximumLikelihood(), x=data.x[:70], y=data.y[:70])
    for method in (Exact(), SVI(steps=1)):
        with pytest.raises(DataError, match="afresh"):
            fit(posterior, method, x=data.x[70:], y=data.y[70:])
        with pytest.raises(DataError, match="another method"):
            fit(fit(model(data), method, x=data.x, y=data.y), MaximumLikelihood(), x=data.x, y=data.y + 0)


@pytest.mark.parametrize("family", [MultinomialNaiveBayes, CategoricalNaiveBayes])
def test_a_class_without_rows_needs_smoothing(family):
    made = family(2, 2, levels=3) if family is CategoricalNaiveBayes else family(2, 2)
    with pytest.raises(DataError, match="smoothing: expected more than 0 here, since a class without rows"):
        fit(made, MaximumLikelihood(0), x=[[0, 1], [2, 1]], y=[0, 0])
    probs = ask(fit(made, MaximumLikelihood(), x=[[0, 1], [2, 1]], y=[0, 0]), "p(y | x)", x=[[1, 1]]).probs
    assert torch.isfinite(probs).all()
