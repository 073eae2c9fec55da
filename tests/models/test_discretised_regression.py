"""Naive Bayes for a discretised target: the classifier of its bins, and closed forms of its histogram."""

import math

import pytest
import torch
from sklearn.naive_bayes import GaussianNB

from ppl_gen import EM, MaximumLikelihood, VariationalBayes, ask, check_model, fit, load, merge, save
from ppl_gen.distributions import Histogram, UniformBin, bin_of
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.models import DiscretisedRegression, GaussianNaiveBayes
from tests.models.test_regression import rows

X, Y = rows(200)
EDGES = DiscretisedRegression.quantiles(Y, 6)
MODEL = DiscretisedRegression(3, EDGES, concentration=0.5, loc=0.2, strength=0.5)
POSTERIOR = fit(MODEL, x=X, y=Y)
CODES, WIDTHS = bin_of(Y, EDGES), EDGES.diff()
CLASSIFIER = fit(GaussianNaiveBayes(6, 3, concentration=0.5, loc=0.2, strength=0.5), x=X, y=CODES)


def gaps():
    x = X.clone()
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.3] = math.nan
    return x


def test_contract():
    check_model(DiscretisedRegression(2, 3, shape=3.0, rate=1.0), n=10)
    check_model(DiscretisedRegression(1, [-2.0, -0.5, 3.0, 4.0], shape=3.0, rate=1.0))


def test_its_posterior_is_that_of_the_classifier_of_the_bins():
    for name in ("concentration", "loc", "strength", "shape", "rate"):
        assert torch.equal(getattr(POSTERIOR.model, name), getattr(CLASSIFIER.model, name))
    assert POSTERIOR.log_evidence == pytest.approx(
        CLASSIFIER.log_evidence - WIDTHS[CODES].log().sum().item(), rel=1e-12
    )


def test_log_evidence_is_the_product_of_sequential_predictives():
    posterior, total = MODEL, 0.0
    for row, target in zip(X[:20], Y[:20], strict=True):
        total += ask(posterior, "p(x, y)").log_prob(x=row, y=target).item()
        posterior = fit(posterior, x=row[None], y=target[None])
    assert fit(MODEL, x=X[:20], y=Y[:20]).log_evidence == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("hidden", [False, True])
def test_p_of_y_given_x_is_an_exact_histogram(hidden):
    x = gaps() if hidden else X
    probs = ask(CLASSIFIER, "p(y | x)", x=x).probs
    answer = ask(POSTERIOR, "p(y | x)", x=x)
    density = (probs / WIDTHS).log()[torch.arange(len(Y)), CODES]
    torch.testing.assert_close(answer.log_prob(y=Y), density, rtol=1e-10, atol=1e-10)
    assert answer.how == "enumerated"
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    torch.testing.assert_close(answer.mean, probs @ middles, rtol=1e-10, atol=1e-10)
    assert answer.how == "enumerated"
    torch.testing.assert_close(ask(POSTERIOR, "p(b | x)", x=x).probs, probs, rtol=1e-10, atol=1e-12)
    drawn, draws = answer.sample(2000, seed=0), 2000
    assert answer.how == "enumerated"
    counts = torch.nn.functional.one_hot(bin_of(drawn, EDGES), 6).double().mean(0)
    allowed = 6.5 * (probs * (1 - probs) / draws).sqrt() + 8 / draws  # 1,200 cells
    assert ((counts - probs).abs() <= allowed).all()
    second = (probs * (middles**2 + WIDTHS**2 / 12)).sum(1) - answer.mean**2
    assert ((drawn.mean(0) - answer.mean).abs() < 5.5 * (second / draws).sqrt()).all()


def test_p_of_x_given_y_is_that_of_the_bin():
    for question, asked in (("p(x | y)", gaps()), ("p(x | y)", X)):
        here = ask(POSTERIOR, question, y=Y).log_prob(x=asked)
        torch.testing.assert_close(
            here, ask(CLASSIFIER, question, y=CODES).log_prob(x=asked), rtol=1e-10, atol=1e-10
        )
    assert ask(POSTERIOR, "p(x | y)", y=Y[:2]).sample(5).shape == (5, 2, 3)
    total = ask(POSTERIOR, "p(x)").log_prob(x=X)
    torch.testing.assert_close(total, ask(CLASSIFIER, "p(x)").log_prob(x=X), rtol=1e-10, atol=1e-10)


def test_the_density_of_y_integrates_to_one():
    grid = torch.linspace(float(EDGES[0]), float(EDGES[-1]), 200_001, dtype=torch.float64)
    answer = ask(POSTERIOR, "p(y | x)", x=X[:1].expand(len(grid), 3))
    assert torch.trapezoid(answer.log_prob(y=grid).exp(), grid).item() == pytest.approx(1.0, abs=1e-4)


def test_at_the_point_of_maximum_likelihood_it_is_scikit_learns_classifier():
    posterior = fit(MODEL, MaximumLikelihood(), x=X, y=Y)
    theirs = GaussianNB().fit(X.numpy(), CODES.numpy())
    probs = ask(posterior, "p(b | x)", x=X).probs
    torch.testing.assert_close(probs, torch.from_numpy(theirs.predict_proba(X.numpy())), rtol=0, atol=1e-8)


def test_it_streams_merges_and_survives_a_file(tmp_path):
    parts = [{"x": X[i::3], "y": Y[i::3]} for i in range(3)]
    save(fit(MODEL, **parts[0]), tmp_path / "first.pplgen")
    first = load(tmp_path / "first.pplgen")
    for found in (fit(MODEL, None, parts), merge(first, *(fit(MODEL, **part) for part in parts[1:]))):
        assert found.log_evidence == pytest.approx(POSTERIOR.log_evidence, rel=1e-10)
        answer = ask(found, "p(y | x)", x=X)
        torch.testing.assert_close(answer.mean, ask(POSTERIOR, "p(y | x)", x=X).mean, rtol=1e-9, atol=1e-10)


def test_more_bins_predict_better_up_to_the_rows_that_there_are():
    x, y = rows(3000, features=1)
    errors = []
    for bins in (1, 4, 16):
        model = DiscretisedRegression(1, DiscretisedRegression.quantiles(y[:2000], bins))
        found = ask(fit(model, x=x[:2000], y=y[:2000]), "p(y | x)", x=x[2000:]).mean
        errors.append((found - y[2000:]).square().mean().item())
    assert errors[0] > errors[1] > errors[2]


def test_quantiles_hold_equally_many_and_repeats_make_fewer():
    assert (torch.bincount(CODES) - 200 / 6).abs().max() <= 1
    assert DiscretisedRegression.quantiles([1.0, 1.0, 1.0, 2.0, 3.0], 4).tolist() == [1.0, 2.0, 3.0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="bins: expected at least two edges, each above the one before"):
        DiscretisedRegression(1, [0.0, 2.0, 1.0])
    with pytest.raises(DataError, match="bins: expected a whole number from 1 up"):
        DiscretisedRegression(1, 0)
    with pytest.raises(DataError, match="y: expected numbers from -5 to 5, got 7"):
        fit(DiscretisedRegression(1, 4), x=[[0.0], [1.0]], y=[0.0, 7.0])
    with pytest.raises(DataError, match="y: expected no missing cells"):
        fit(DiscretisedRegression(1, 4), x=[[0.0], [1.0]], y=[0.0, math.nan])
    for method in (EM(), VariationalBayes()):
        with pytest.raises(Unanswerable, match=r"reads b off x and y: .* use Exact\(\) or MaximumLikelihood"):
            fit(DiscretisedRegression(1, 4), method, x=[[0.0], [1.0]], y=[0.0, 1.0])


def test_the_family_counts_and_charges_the_widths():
    edges = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    fn = UniformBin(torch.tensor([0, 1, 1]), edges)
    found = fn.log_prob(torch.tensor([0.5, 3.0, 1.0]).double()).exp()
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5, 0.5]).double())
    assert (fn.log_prob(torch.tensor([1.0, 0.5, 0.0]).double()) == -math.inf).all()
    prior = Histogram(torch.tensor([1.0, 2.0]).double(), edges)
    assert prior.updated(torch.tensor([0.0, 1.0, 3.0]).double()).concentration.tolist() == [2.0, 4.0]
