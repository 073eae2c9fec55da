"""The ladder from exact to approximate, on models where the first rung is known."""

import math

import numpy as np
import pytest
import torch

from ppl_gen import EM, MAP, SVI, VariationalBayes, ask, fit, load, save
from ppl_gen.data import iris
from ppl_gen.diagnostics import ladder
from ppl_gen.errors import DataError
from ppl_gen.models import PPCA, GaussianMixture, GaussianNaiveBayes, LinearRegression

D = iris().standardized()
X, Y = D.x[:40, :3], D.x[:40, 3]


@pytest.fixture(scope="module")
def regression():
    quick = ["exact", "maximum likelihood", "enumeration", "Laplace", "SVI, own guide", "SVI, mean-field"]
    return ladder(LinearRegression(3), rungs=[*quick, "importance-weighted"], steps=400, draws=300, x=X, y=Y)


def test_gaps_are_to_the_exact_evidence(regression):
    exact = fit(LinearRegression(3), x=X, y=Y).log_evidence
    assert (regression.log_evidence, regression.evidence_by) == (exact, "exact")
    table = regression.table()
    assert abs(table.loc["exact", "gap (nats)"]) < 1e-9
    for name in ("Laplace", "SVI, mean-field"):
        rung = regression[name]
        assert rung.bound < exact + 5 * rung.error
        bound, error = rung.posterior.estimate_elbo(300, seed=5)
        assert abs(rung.bound - bound) < 6 * math.hypot(rung.error, error)
    assert table.loc["SVI, mean-field", "gap (nats)"] > table.loc["Laplace", "gap (nats)"]
    assert abs(regression["importance-weighted"].bound - exact) < 0.5


def test_errors_are_against_the_reference(regression):
    assert regression.reference == "exact"
    assert regression.errors("exact") == (0, 0)
    laplace, field = regression.errors("Laplace"), regression.errors("SVI, mean-field")
    noise = math.sqrt(2 / 300)  # both are averages of 300 draws
    assert laplace[0] < 4 * noise
    assert laplace[1] < 4 * noise
    assert field[1] > 4 * noise  # a mean field is too narrow for correlated weights


def test_what_does_not_apply_says_why(regression):
    assert "enumeration" not in regression.table().index
    assert "SVI, own guide" not in regression.table().index
    words = regression.words()
    assert "enumeration: does not apply. LinearRegression is" in words
    assert "the values of tau, w cannot be listed" in words
    assert "has no guide of its own" in words
    page = regression._repr_html_()
    assert "<table" in page
    assert "does not apply" in page
    assert "gap (nats)" in str(regression)


def test_figure_and_trees(regression):
    import matplotlib

    matplotlib.use("Agg")
    figure = regression.figure()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(regression.table().index)
    trees = regression.trees(draws=5)
    assert set(trees) == {"exact", "Laplace", "SVI, mean-field"}
    assert trees["Laplace"].posterior["w"].sizes["draw"] == 5


@pytest.mark.slow
def test_a_mixture_s_ladder_holds_points_and_coordinate_ascent():
    x = torch.tensor([[0.0], [0.3], [0.5], [9.0], [9.4], [9.9]])
    rungs = ["EM", "MAP", "Laplace", "variational Bayes", "importance-weighted"]
    model = GaussianMixture(components=2, features=1)
    found = ladder(model, rungs=rungs, draws=200, x=x)
    assert found.table().index.tolist() == rungs, found.words()
    assert {name: type(found[name].posterior.method) for name in ("EM", "MAP", "variational Bayes")} == {
        "EM": EM, "MAP": MAP, "variational Bayes": VariationalBayes,
    }  # fmt: skip
    assert {name for name in rungs if math.isnan(found[name].bound)} == {"EM", "MAP"}
    rung = found["variational Bayes"]
    assert abs(rung.bound - rung.posterior.elbo[-1]) < 6 * rung.error
    alone = ladder(model, rungs=["variational Bayes", "importance-weighted"], draws=200, x=x)
    weighted, rung = alone["importance-weighted"], alone["variational Bayes"]
    assert weighted.bound > rung.bound - 6 * rung.error  # by Jensen; its draws are others
    refused = ladder(LinearRegression(3), rungs=["EM", "MAP", "variational Bayes"], draws=10, x=X, y=Y)
    assert [rung.name for rung in refused.rungs if rung.why] == ["EM", "variational Bayes"]


def test_codes_have_a_ladder_too():
    found = ladder(
        PPCA(3, 1),
        rungs=["exact", "maximum likelihood", "SVI, own guide", "importance-weighted", "NUTS"],
        steps=300,
        draws=100,
        x=X,
    )
    assert found.evidence_by == "maximum likelihood"
    assert np.isnan(found.table()["error of means (sd)"]).all()
    assert "every row of PPCA has its own z" in found.words()
    with pytest.raises(
        DataError, match=r"'Exact' is no rung; there are 'exact', .*\. Did you mean 'exact'\?"
    ):
        found["Exact"]


def test_unknown_rungs_and_what_is_no_model_are_refused():
    nb = GaussianNaiveBayes(classes=2, features=1)
    with pytest.raises(DataError, match=r"names of 'exact', .*'SVI, own guide', .*, got 'Exact'\. Did you"):
        ladder(nb, rungs=["Exact"], x=[[0.0], [1.0]], y=[0, 1])
    with pytest.raises(DataError, match="model: expected"):
        ladder(GaussianNaiveBayes)


@pytest.mark.slow
def test_a_flow_is_a_guide_and_is_saved(tmp_path):
    model = LinearRegression(3)
    first = fit(model, SVI(steps=1, guide="flow"), x=X, y=Y)
    posterior = fit(model, SVI(steps=500, guide="flow"), x=X, y=Y)
    exact = fit(model, x=X, y=Y).log_evidence
    bound, error = posterior.estimate_elbo(200)
    assert first.estimate_elbo(200)[0] < exact - 50
    assert exact - 8 < bound < exact + 6 * error
    save(posterior, tmp_path / "flow.pplgen")
    again = load(tmp_path / "flow.pplgen")
    assert torch.equal(again.draw(3, seed=0)["w"], posterior.draw(3, seed=0)["w"])
    assert ask(again, "p(w)").sample(2).shape == (2, 4)
