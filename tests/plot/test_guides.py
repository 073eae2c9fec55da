"""Figures of guides: what they show is what they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ppl_gen.errors import DataError
from ppl_gen.plot import forest, k_hat, pair, svg


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_k_hat_stands_at_its_number_and_exact_at_the_left():
    ax = k_hat(0.9, threshold=0.67, interval=(0.7, 1.1))
    assert "0.90" in texts(ax)
    assert any("trusted up to 0.67" in text for text in texts(ax))
    assert ax.get_xlim()[1] > 1.1
    far = k_hat(16.3, interval=(15.0, 17.2))
    assert far.get_xlim()[1] > 17.2
    assert far.lines[1].get_xdata() == [16.3]
    assert "exact" in texts(k_hat(-np.inf))
    rows = k_hat([-np.inf, 0.2, 0.9, 5.0], threshold=0.7)
    assert any("50% of rows above" in text for text in texts(rows))
    assert "exact" in [label.get_text() for label in rows.get_xticklabels()]
    with pytest.raises(DataError, match="nan"):
        k_hat([0.1, np.nan])


def test_a_forest_has_a_line_for_every_parameter_and_weighs_its_draws():
    draws = {"w": np.arange(200.0).reshape(100, 2), "tau": np.linspace(1, 2, 100)}
    last = np.zeros(100)
    last[-1] = 1.0
    ax = forest({"guide": draws, "weighted": draws}, weights={"weighted": last}).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["w[0]", "w[1]", "tau"]
    marks = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    assert np.allclose(marks[:3], 0)
    assert np.allclose(marks[3:], (99 - 49.5) / np.arange(100).std())
    assert "w[0]" in svg(ax.figure)
    with pytest.raises(DataError, match="at least one parameter"):
        forest({})


def test_a_pair_shows_what_weights_leave():
    draws = {"a": np.arange(50.0), "b": np.arange(50.0) ** 2}
    weights = np.zeros(50)
    weights[7] = 2.0
    figure = pair(draws, weights=weights)
    points = [np.asarray(c.get_offsets()) for c in figure.axes[2].collections]
    assert len(figure.axes) == 4
    assert np.allclose(points[1], [7.0, 49.0])
    with pytest.raises(DataError, match="as many of each parameter, drawn together, got 50 of a, 3 of b"):
        pair({"a": np.arange(50.0), "b": np.arange(3.0)})
    for wrong, named in (({"weights": [1.0]}, "weights"), ({"names": ["c"]}, "names")):
        with pytest.raises(DataError, match=named):
            pair(draws, **wrong)
