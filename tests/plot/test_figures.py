"""Every figure draws without a warning, shows what it was given, and leaves matplotlib as it was."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import xarray

from ppl_gen.errors import DataError
from ppl_gen.plot import (
    bounds,
    calibration,
    choices,
    clusters,
    densities,
    differences,
    elbo,
    images,
    kl_terms,
    ladder,
    latent,
    learning_curves,
    leave_one_out,
    log_odds,
    modes,
    reconstructions,
    replications,
    sample_grid,
    statistics,
    style,
    svg,
    traversals,
    uniform,
)
from ppl_gen.plot.style import INK, PAPER

RNG = np.random.default_rng(0)
STEPS = np.arange(3000)
HISTORY = -100 - 1e6 * np.exp(-STEPS / 20) + RNG.normal(size=3000)
DRAWS = {k: {"mu": RNG.normal(size=(200, 2)), "tau": RNG.gamma(3.0, size=200)} for k in ("exact", "SVI")}
FIGURES: dict[str, Callable[[], Any]] = {
    "calibration": lambda: calibration(RNG.random(200), RNG.integers(0, 2, 200)).figure,
    "calibration of two": lambda: (
        calibration({"a": torch.rand(90), "b": RNG.random(90)}, RNG.integers(0, 2, 90)).figure
    ),
    "a crossing": lambda: (
        learning_curves(
            [8, 99], {"a": [[2.0, 0.0]], "b": [[1.0, 1.0]]}, ylabel="error", crossing=(30, 8, 60)
        ).figure
    ),
    "elbo": lambda: elbo(HISTORY, log_evidence=-98.0).figure,
    "one step": lambda: elbo(torch.tensor([-5.0]), log_evidence=-5.0).figure,
    "images": lambda: images(torch.rand(10, 64), columns=4).figure,
    "learning curves": lambda: (
        learning_curves(
            [10, 30, 90, 100], {"a": RNG.random((5, 4)), "b": RNG.random((1, 4))}, ylabel="error (fraction)"
        ).figure
    ),
    "densities": lambda: densities(DRAWS),
    "latent": lambda: latent(RNG.normal(size=(60, 5)), np.arange(60) % 10).figure,
    "log odds": lambda: log_odds(["fever", "cough", "(prior)"], torch.tensor([2.1, -0.3, 0.4])).figure,
    "ladder": lambda: ladder(["exact", "SVI", "NUTS"], [0.0, 3.2, np.nan], [0, 0.2, 0.1], [0, 0.5, 0.1]),
    "choices": lambda: (
        choices(
            [1, 2, 3],
            {"LOO": ([-900.0, -1.5, 0.0], [90.0, 0.7, 0.0], 2), "evidence": ([-9, 0, -3], [0, 0, 0], None)},
            unsure={"evidence": [2]},
        ).figure
    ),
    "bounds": lambda: bounds([1, 10, 100], [-9, -8, -7.5], [0.2, 0.1, 0.1], log_evidence=-7.4).figure,
    "kl terms": lambda: kl_terms([2.0, 1.0, 0.001], active=[True, True, False]).figure,
    "reconstructions": lambda: reconstructions(torch.rand(5, 64), torch.rand(5, 64)).figure,
    "traversals": lambda: traversals(torch.rand(3, 7, 64)).figure,
    "statistics": lambda: statistics(["max of x", "mean of $y$"], [3.0, 0.0], RNG.normal(size=(90, 2))),
    "replications": lambda: replications(RNG.normal(size=(40, 2)), torch.randn(9, 40, 2), label="x"),
    "replications of counts": lambda: replications(RNG.poisson(2, 50), RNG.poisson(2, (9, 50)), label="y"),
    "replications, ecdf": lambda: replications(RNG.random(50), RNG.random((9, 50)), kind="ecdf"),
    "clusters": lambda: (
        clusters(
            RNG.normal(size=(60, 3)),
            RNG.dirichlet([1.0, 1.0], 60),
            means=RNG.normal(size=(2, 3)),
            covariances=np.ones((2, 3)),
        ).figure
    ),
    "leave one out": lambda: leave_one_out(RNG.normal(size=40), RNG.random(40)).figure,
    "differences": lambda: differences(["a", "b"], [0.0, -3.0], torch.tensor([0.0, 1.0])).figure,
    "uniform": lambda: uniform(
        {"x": ([0.2, 0.5], [0.2, 0.5], [0.1, 0.3], [0.5, 0.7]), "y": ([0.5], [0.9], [0.3], [0.7])}
    ),
    "modes": lambda: modes(["a", "$b$"], [0.5, 0.5], [1.0, 0.0], [1.1, np.nan], rows=(50, 60), wrong=[0, 1]),
    "sample grid": lambda: sample_grid({"data": torch.rand(4, 64), "samples": torch.rand(3, 64)}).figure,
    "latent line": lambda: latent(RNG.normal(size=(60, 1))).figure,
}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", FIGURES)
def test_draws_and_exports(name: str, dark: bool) -> None:
    before = dict(matplotlib.rcParams)
    with style(dark):
        figure = FIGURES[name]()
    text = svg(figure, alt='5 > 4 & "so"')
    assert dict(matplotlib.rcParams) == before
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == '5 > 4 & "so"'
    assert INK[dark] not in text
    named = name in ("latent", "clusters")  # whose names are white on their colours
    assert PAPER[dark] not in text or named
    assert "<style" not in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) == set(ids)
    assert svg(figure, alt='5 > 4 & "so"') == text


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_drawn_twice_gives_one_text(name: str) -> None:
    def seeded() -> str:
        global RNG
        RNG = np.random.default_rng(1)
        torch.manual_seed(1)
        return svg(FIGURES[name]())

    with torch.random.fork_rng():
        assert seeded() == seeded()


def test_axes_of_the_caller_are_used() -> None:
    _, ax = plt.subplots()
    assert elbo([-2.0, -1.0], ax=ax) is ax
    assert images(np.zeros((1, 4)), shape=(2, 2), ax=ax) is ax


def test_elbo_shows_the_end_and_names_the_start() -> None:
    ax = elbo(HISTORY, log_evidence=-98.0)
    low, high = ax.get_ylim()
    assert -130 < low < -100
    assert high > -98
    assert {text.get_text() for text in ax.texts} == {
        "from −1,000,099.9 nats at step 1",
        "log evidence −98.0 nats",
    }


def test_the_words_of_elbo_stand_clear_of_the_curve_and_the_grid() -> None:
    ax = elbo(HISTORY - 2800, log_evidence=-2898.0)
    ax.figure.draw_without_rendering()
    band = ax.collections[0].get_paths()[0].vertices
    to_data = ax.transData.inverted().transform
    boxes = {t.get_text()[:4]: to_data(t.get_window_extent().get_points()) for t in ax.texts}
    (left, _), (_, top) = boxes["from"]
    assert top < band[band[:, 0] >= left, 1].min()
    ticks = ax.get_yticks()
    assert all(top < tick < boxes["log "][0, 1] for tick in ticks)
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert len(shown) > 1
    assert all(text.startswith("−2,") for text in shown)


def test_elbo_leaves_out_what_is_not_finite() -> None:
    assert np.isfinite(elbo([-np.inf, -3.0, np.nan, -2.0]).get_ylim()).all()


def test_images_are_laid_out_row_by_row() -> None:
    sheet = images(np.arange(3)[:, None] * np.ones(4), shape=(2, 2), columns=2).images[0].get_array()
    assert sheet is not None
    assert sheet.shape == (5, 5)
    assert (sheet[0, 0], sheet[0, 3], sheet[3, 0]) == (0, 1, 2)
    assert sheet.mask[3, 3]


def test_learning_curves_have_the_interval_of_the_mean() -> None:
    scores = np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0]])
    ax = learning_curves([10, 100], {"a": scores}, ylabel="error (fraction)")
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    half = 4.302653 * 1 / np.sqrt(3)  # Student's t with 2 degrees of freedom
    assert band.max() == pytest.approx(2 + half, rel=1e-6)
    assert band.min() == pytest.approx(2 - half, rel=1e-6)


def test_a_wide_band_of_the_smallest_size_does_not_flatten_the_rest() -> None:
    scores = {"a": [[0.9, 0.11, 0.10], [0.1, 0.09, 0.08]], "b": [[0.2, 0.12, 0.11], [0.3, 0.12, 0.12]]}
    ax = learning_curves([8, 64, 512], scores, ylabel="error", percent=True)
    low, high = ax.get_ylim()
    bands = [band.get_paths()[0].vertices for band in ax.collections]
    assert max(band[:, 1].max() for band in bands) > high  # 0.5 ± 5.1
    later = np.concatenate([band[band[:, 0] >= 64, 1] for band in bands])
    means = np.concatenate([line.get_ydata() for line in ax.lines])
    assert low < min(later.min(), means.min()) < max(later.max(), means.max()) < high
    ax.figure.draw_without_rendering()
    assert "20\u00a0%" in {label.get_text() for label in ax.get_yticklabels()}


def test_every_word_is_in_the_look_outside_style_too() -> None:
    for draw in FIGURES.values():
        figure = draw()
        figure.draw_without_rendering()
        for text in figure.findobj(plt.Text):
            assert text.get_fontfamily()[0] == "STIXGeneral", text
        plt.close(figure)


def test_densities_read_trees_and_choose() -> None:
    arrays = {"mu": (("chain", "draw", "k"), RNG.normal(size=(1, 50, 2)))}
    tree = xarray.DataTree.from_dict({"posterior": xarray.Dataset(arrays)})
    figure = densities({"tree": tree, "arrays": DRAWS["SVI"]}, parameters=["mu[1]"])
    assert [ax.get_xlabel() for ax in figure.axes] == ["mu[1]"]
    assert len(figure.axes[0].lines) == 2


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: elbo([np.nan]), "history"),
        (lambda: elbo([]), "history"),
        (lambda: images(np.zeros((2, 63))), "8 × 8"),
        (lambda: learning_curves([1, 2], {"nb": [[0.0]]}, ylabel="error"), "nb"),
        (lambda: densities(DRAWS, parameters=["pi"]), "'pi'"),
        (lambda: densities({"exact": {"w": np.zeros((9, 99))}}), "24"),
        (lambda: latent(np.zeros((3, 2)), [0, 1]), "labels"),
        (lambda: choices([1, 2], {"LOO": ([0.0, -1.0], [0.0, 1.0], 3)}), "LOO: expected 2 differences"),
        (lambda: ladder(["a"], [1.0], [1.0, 2.0], [1.0]), "means"),
        (lambda: bounds([1, 2], [1.0]), "values"),
        (lambda: kl_terms([1.0, 2.0], active=[True]), "active"),
        (lambda: reconstructions(np.zeros((2, 4)), np.zeros((3, 4))), "again"),
        (lambda: traversals(np.zeros((2, 4))), "grid"),
        (lambda: clusters(np.zeros((3, 2)), [0, 1]), "labels"),
        (lambda: clusters(np.zeros((3, 2)), [0, 1, 1], means=np.zeros((3, 2))), "means"),
        (lambda: leave_one_out([1.0], [1.0, 2.0]), "k_hat"),
        (lambda: differences(["a"], [1.0, 2.0], [0.0, 0.0]), "values"),
        (lambda: uniform({"x": ([0.5], [0.5], [0.5], [0.5, 0.6])}), "one length"),
        (lambda: modes(["a"], [0.5, 0.5], [1.0, 0.0], [1.0, 1.0]), "shares"),
        (lambda: sample_grid({"a": np.zeros((2, 63))}), "8 × 8"),
        (lambda: sample_grid({}), "groups"),
        (lambda: statistics(["a"], [1.0, 2.0], np.zeros((9, 2))), "replicated"),
        (lambda: replications([1.0], [[1.0, 2.0]]), "replicated"),
        (lambda: replications([1.0], [[1.0]], kind="pie"), "kind"),
        (lambda: replications(np.zeros((2, 13)), np.zeros((3, 2, 13))), "at most 12"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Callable[[], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        draw()


def test_a_crossing_is_marked_where_it_is() -> None:
    curves = {"a": [[2.0, 0.0]], "b": [[1.0, 1.0]]}
    ax = learning_curves([8, 99], curves, ylabel="error", crossing=(30.0, 20.0, 60.0))
    assert ax.lines[-1].get_xdata()[0] == 30
    assert "cross at 30" in {text.get_text() for text in ax.texts}
    plt.close(ax.figure)


def test_calibration_shows_the_tenths_that_are_drawn() -> None:
    sure = torch.full((400, 2), 0.05)
    sure[:, 0] = 0.95
    y = [0] * 380 + [1] * 20
    ax = calibration({"a": sure, "b": sure}, y)
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx((0.898, 1.002))  # 19 in 20, give or take 3 %
    assert not ax.get_title("left")
    said = [text.get_text() for text in ax.texts]
    assert said == ["a, expected calibration error 0.000", "b, expected calibration error 0.000"]


def test_calibration_draws_its_numbers() -> None:
    ax = calibration([0.2] * 5 + [0.9] * 2, [0, 0, 1, 0, 0, 1, 1], bins=2)
    line = ax.containers[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0.2, 0.9])
    np.testing.assert_allclose(line.get_ydata(), [0.2, 1.0])
    plt.close(ax.figure)
    with pytest.raises(DataError, match="probs"):
        calibration([2.0], [1])


def test_names_from_outside_are_letters_that_the_font_has():
    names = ["plain", "😀 mood", "$a$ or $\\b$", "❤️‍🔥"]
    with style():
        ax = log_odds(names, [1.0, -1.0, 0.5, 0.2])
        svg(ax.figure)  # a lacking glyph would warn, which is an error here
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "plain",
        "□ mood",
        "\\$a\\$ or \\$\\b\\$",
        "□□",
    ]


def test_choices_are_ringed_and_doubtful_ones_hollow() -> None:
    shown = {"LOO": ([-9.0, -0.5, 0.0], [3.0, 0.7, 0.0], 2), "held out": ([-5.0, 0.0, -1.0], [1, 0, 1], None)}
    ax = choices([1, 2, 3], shown, unsure={"held out": [2]})
    rings = [line for line in ax.lines if line.get_markersize() == 14]
    assert [round(float(line.get_xdata()[0])) for line in rings] == [2]  # none of the second
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none" and line not in rings]
    assert [len(line.get_xdata()) for line in hollow] == [0, 1]
    assert "hollow" in ax.get_xlabel()
    assert "hollow" not in choices([1, 2, 3], shown).get_xlabel()


def test_statistics_draw_a_line_where_the_data_have_theirs() -> None:
    figure = statistics(["a", "b"], [4.0, -1.0], np.tile(np.arange(9.0)[:, None], 2))
    assert [float(ax.lines[0].get_xdata()[0]) for ax in figure.axes] == [4.0, -1.0]


def test_replications_read_trees_and_show_shares() -> None:
    drawn = (("chain", "draw", "row"), np.array([[[0, 0, 1, 1], [0, 1, 1, 1]]]))
    tree = xarray.DataTree.from_dict(
        {
            "observed_data": xarray.Dataset({"y": ("row", np.array([0, 1, 1, 2]))}),
            "posterior_predictive": xarray.Dataset({"y": drawn}),
        }
    )
    (ax,) = replications(tree).axes
    assert ax.get_xlabel() == "y"
    assert [bar.get_height() for bar in ax.patches] == [0.25, 0.5, 0.25]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.375, 0.625, 0.0])  # medians of two


def test_no_two_kinds_of_a_latent_space_look_alike() -> None:
    """Ten classes, seven colours: the others are hollow, and so are their names; no name hides another."""
    ax = latent(np.repeat(RNG.normal(size=(2, 2)), 30, 0), np.arange(60) % 10)
    looks = {
        (tuple(drawn.get_edgecolor().ravel()[:3]), bool(drawn.get_facecolor().size))
        for drawn in ax.collections
    }
    assert len(looks) == 10
    shapes = {drawn.get_paths()[0].vertices.tobytes() for drawn in ax.collections[:7]}
    assert len(shapes) == 7  # not by colour alone
    boxes = [text.get_bbox_patch() for text in ax.texts]
    assert len({(box.get_edgecolor()[:3], box.get_facecolor()[:3] == (1, 1, 1)) for box in boxes}) == 10
    ax.figure.draw_without_rendering()
    places = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(places) for b in places[:i])


def test_what_is_nil_stands_at_nil_of_a_ladder() -> None:
    left, right = ladder(["a", "b"], [0.0, 2.5], [-1e-9, 0.1], [0.0, 0.4]).axes
    assert left.lines[0].get_xdata().tolist() == [0.0, 2.5]
    assert [line.get_xdata()[0] for line in right.lines] == [0.0, 0.0]
    assert [tick.get_text() for tick in left.get_xticklabels()][:3] == ["0", "0.01", "0.1"]
    assert "log scale" in left.get_xlabel()


def test_clusters_have_ellipses_of_two_standard_deviations() -> None:
    ax = clusters(
        RNG.normal(size=(9, 2)), [0] * 9, means=[[1.0, 2.0]], covariances=[[[4.0, 0.0], [0.0, 1.0]]]
    )
    (ellipse,) = ax.patches
    assert ellipse.get_center() == (1, 2)
    assert sorted([ellipse.get_width(), ellipse.get_height()]) == pytest.approx([4, 8])
    assert ellipse.get_width() == pytest.approx(8)
    assert abs(ellipse.get_angle()) % 180 == pytest.approx(0, abs=1e-9)


def test_one_very_bad_k_does_not_squeeze_the_rest() -> None:
    ax = choices([1, 2, 3], {"LOO": ([-1e6, -3.0, 0.0], [9.0, 0.7, 0.0], 3)})
    assert ax.get_ylim()[0] > -40
    assert [text.get_text() for text in ax.texts] == ["1,000,000"]
    assert choices([1, 2, 3], {"LOO": ([-900.0, -30.0, 0.0], [9.0, 0.7, 0.0], 3)}).get_ylim()[0] < -900


def test_rows_not_to_be_trusted_are_marked_and_numbered() -> None:
    ax = leave_one_out([-1.0, -2.0, -3.0], [0.1, 0.9, np.nan])
    assert [text.get_text() for text in ax.texts] == ["1"]
    assert "1 not to be trusted" in ax.get_label()


def test_a_notebook_stays_interactive_after_its_first_figure() -> None:
    """What starts inside `style` with the first figure of a notebook, and shows every later one."""
    before = matplotlib.is_interactive()
    try:
        for error in (None, KeyError):
            matplotlib.interactive(False)
            with contextlib.suppress(KeyError), style():
                matplotlib.interactive(True)
                if error:
                    raise error
            assert matplotlib.is_interactive()
    finally:
        matplotlib.interactive(before)
