"""Figures of simulation-based calibration say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import norm

from ppl_gen import plot
from ppl_gen.diagnostics import coverage
from ppl_gen.diagnostics.criticism.uniformity import ecdf_envelope
from ppl_gen.errors import DataError

RIGHT = (np.arange(100) + 0.5) / 100
LOW = RIGHT**0.4  # the truth is too often above


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_ecdf_of_what_is_wrong_leaves_the_band_in_colour():
    band = ecdf_envelope(100)[:3]
    ax = plot.rank_ecdf({"a": RIGHT, "b": LOW}, band, wrong=["b"])
    grey, coloured = ax.lines
    assert coloured.get_label() == "b"
    assert grey.get_color() != coloured.get_color()
    x, low, high = band
    for line, outside in ((grey, False), (coloured, True)):
        at = np.interp(x, *line.get_data())
        assert bool(((at < low - x - 0.011) | (at > high - x + 0.011)).any()) == outside
    assert coloured.get_ydata().min() < -0.2  # a valley: posteriors lie too low
    assert abs(grey.get_ydata()).max() <= 0.0101
    with pytest.raises(DataError, match="envelope"):
        plot.rank_ecdf({"a": RIGHT}, ([0.5], [0.1, 0.2], [0.9]))


def test_without_an_envelope_the_band_is_that_of_massart():
    """In 400 samples of 50 it is left by no more than a twentieth, and five standard errors of that."""
    places = np.random.default_rng(0).random((400, 50))
    ax = plot.rank_ecdf({"a": places[0]})
    (band,) = ax.collections
    width = band.get_paths()[0].vertices[:, 1].max()
    assert width == pytest.approx((np.log(40) / 100) ** 0.5, rel=1e-9)
    u = np.sort(places, 1)
    far = np.maximum(np.arange(1, 51) / 50 - u, u - np.arange(50) / 50).max(1) > width
    assert far.mean() < 0.05 + 5 * (0.05 * 0.95 / 400) ** 0.5
    assert (np.maximum(np.arange(1, 51) / 50 - u, u - np.arange(50) / 50).max(1) > 0.7 * width).mean() > 0.1


def test_the_histogram_of_z_is_a_density():
    ax = plot.z_scores(LOW, name="w")
    area = sum(bar.get_width() * bar.get_height() for bar in ax.patches)
    assert area == pytest.approx(1)
    assert f"mean {norm.ppf(LOW).mean():.2f}" in ax.get_label()
    with pytest.raises(DataError, match="u: expected places between 0 and 1"):
        plot.z_scores([0.0, 0.5])


def test_coverage_is_drawn_where_the_table_has_it():
    table = coverage({"b": 0.5 + 0.5 * (RIGHT - 0.5)}, [0.4, 0.8])
    columns = table["observed"], table["low"], table["high"]
    ax = plot.coverage(table["nominal"], {"b": columns})
    container = ax.containers[0]
    assert container.lines[0].get_ydata().tolist() == table["observed"].tolist()
    with pytest.raises(DataError, match="b: expected 1 shares"):
        plot.coverage([0.5], {"b": columns})


def test_all_three_together():
    u = {"a": RIGHT, "b": LOW}
    figure = plot.simulated_calibration(u, ecdf_envelope(100)[:3], wrong=["b"], table=coverage(u))
    assert [ax.get_xlabel() for ax in figure.axes][1:] == ["z of b", "nominal coverage"]
    assert "outside the band: b" in figure.axes[0].get_label()
    assert plot.svg(figure).startswith("<svg")
