"""Why this row got this class: the parts add up to the log odds of the whole."""

import pytest
import torch

from ppl_gen import ask, explain, fit
from ppl_gen.data import iris
from ppl_gen.errors import DataError
from ppl_gen.models import GaussianNaiveBayes
from tests.models.naive_bayes import MODELS, NAMES, draw


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_add_up_to_the_log_odds(name):
    model = MODELS[name]()
    x, y = draw(model, 30)
    posterior = fit(model, x=x, y=y)
    row = x[0].clone()
    found = explain(posterior, row)
    top = found.probs.topk(2)
    assert found.total == pytest.approx((top.values[0] / top.values[1]).log().item(), abs=1e-8)
    assert (found.chosen, found.rival) == tuple(f"y={c}" for c in top.indices.tolist())
    assert ("(together)" in found.features) == (name == "multinomial")  # its counts share a total
    cells = found.log_odds[: x.shape[1]].abs()
    assert (cells[:-1] >= cells[1:]).all()


def test_a_missing_cell_says_nothing():
    data = iris()
    posterior = fit(GaussianNaiveBayes(classes=3, features=4), x=data.x, y=data.y)
    row = data.x[60].clone()
    row[1] = torch.nan
    found = explain(posterior, row, features=data.features, classes=data.classes, against=0)
    assert found.log_odds[found.features.index(data.features[1])] == 0
    assert (found.chosen, found.rival) == (data.classes[1], data.classes[0])
    expected = ask(posterior, "p(y | x)", x=row).probs
    assert found.total == pytest.approx((expected[1] / expected[0]).log().item(), abs=1e-8)
    lines = repr(found).splitlines()
    assert lines[0] == f"{data.classes[1]} rather than {data.classes[0]}"
    assert len(lines) == 2 + 4 + 1 + 1
    page = found._repr_html_()
    assert page.count("<tr>") == 1 + 4 + 1 + 1
    assert "<script>" not in explain(posterior, row, features=["<script>", "b", "c", "d"])._repr_html_()


def test_what_does_not_fit_is_refused():
    data = iris()
    posterior = fit(GaussianNaiveBayes(classes=3, features=4), x=data.x, y=data.y)
    with pytest.raises(DataError, match="expected one row"):
        explain(posterior, data.x[:2])
    with pytest.raises(DataError, match="expected 4 features and 3 classes"):
        explain(posterior, data.x[0], features=["a"])
    with pytest.raises(DataError, match="against: expected another class than 0"):
        explain(posterior, data.x[0], against=0)
