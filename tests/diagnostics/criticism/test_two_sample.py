"""Two-sample tests: exact where they can be, few false alarms, and the mode at fault by name."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist

from ppl_gen import two_sample
from ppl_gen.diagnostics.criticism.likeness import holm
from ppl_gen.errors import DataError

CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])
SHARES = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def drawn(rng, n, shares=SHARES, sds=(1.0, 1.0, 1.0, 1.0)):
    codes = rng.choice(4, n, p=shares)
    return CENTRES[codes] + rng.normal(size=(n, 2)) * np.asarray(sds)[codes, None], codes


def compared(rng, n=400, labelled=True, **how):
    (x, a), (y, b) = drawn(rng, n), drawn(rng, n, **how)
    return two_sample(x, y, *((a, b) if labelled else ()), modes=None if labelled else 4, permutations=299)


def alarms(rounds, n, **how):
    return sum(bool(compared(np.random.default_rng(), n, **how).different) for _ in range(rounds))


def test_alarms_are_false_as_often_as_it_says():
    assert alarms(30, 60) <= stats.binom.isf(1e-6, 30, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("labelled", [True, False])
def test_alarms_are_false_as_often_as_it_says_over_many(labelled):
    assert alarms(150, 120, labelled=labelled) <= stats.binom.isf(1e-6, 150, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [{"shares": [0.45, 0.35, 0.2, 0.0]}, {"sds": (0.6, 1, 1, 1)}, {"sds": (1, 1.5, 1, 1)}]
)
def test_differences_are_found_nearly_always(how):
    """Of 400 rows each: power 0.95 at least, with a false-alarm rate of 1e-6."""
    rounds = 30
    assert alarms(rounds, 400, **how) >= stats.binom.ppf(1e-6, rounds, 0.95)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_dropped_mode_is_named(labelled):
    found = compared(np.random.default_rng(0), shares=[0.45, 0.35, 0.2, 0.0], labelled=labelled)
    assert "counts of modes" in found.different
    (dropped,) = [mode for mode in found.modes if mode.what == "dropped"]
    assert dropped.generated == 0
    assert f"{dropped.name} is dropped (0% of the generated rows" in found.verdict()
    if labelled:
        assert dropped.name == "mode 3"


def test_narrow_and_wide_modes_are_named():
    found = compared(np.random.default_rng(1), 600, sds=(0.5, 2.0, 1.0, 1.0))
    assert [mode.what for mode in found.modes] == ["too narrow", "too wide", "", ""]
    assert found.modes[0].ratio == pytest.approx(0.5, abs=0.1)
    assert "sd 0.5" in found.verdict() or "sd 0.4" in found.verdict()
    assert "<svg" in found._repr_html_()
    assert len(found.mode_table()) == 4


def test_rows_that_are_alike_are_said_to_be_without_proof():
    rng = np.random.default_rng(2)
    found = compared(rng)
    assert not found.different
    assert "no equality" in found.verdict()


def test_labels_of_generated_rows_may_be_left_to_neighbours():
    rng = np.random.default_rng(3)
    (x, a), (y, _) = drawn(rng, 400), drawn(rng, 400, [0.4, 0.3, 0.3, 0.0])
    found = two_sample(torch.tensor(x), torch.tensor(y), a, names=["a", "b", "c", "d"])
    assert {mode.name: mode.what for mode in found.modes}["d"] == "dropped"


def test_the_energy_distance_is_its_definition():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(50, 2)), rng.normal(size=(60, 2)) + 0.3
    both = np.concatenate([x, y])
    a, b = ((v - both.mean(0)) / both.std(0) for v in (x, y))
    expected = 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()
    assert two_sample(x, y).tests["energy distance"][0] == pytest.approx(expected)


def test_holm_is_between_one_test_and_bonferroni():
    assert holm([0.02, 0.02, 1.0]) == [0.06, 0.06, 1.0]


ROWS = np.random.default_rng(5).normal(size=(60, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_sample(ROWS[:9], ROWS), "real"),
        (lambda: two_sample(ROWS, ROWS[:, :1]), "generated"),
        (lambda: two_sample(ROWS, ROWS * np.nan), "generated"),
        (lambda: two_sample(np.zeros((60, 2)), np.zeros((60, 2))), "differ"),
        (lambda: two_sample(ROWS, ROWS, [0, 1]), "labels"),
        (lambda: two_sample(ROWS, ROWS, None, np.zeros(60)), "generated_labels"),
        (lambda: two_sample(ROWS, ROWS, modes=2, names=["a"]), "names"),
        (lambda: two_sample(ROWS, ROWS, permutations=9), "permutations"),
        (lambda: two_sample(ROWS, ROWS, level=0), "level"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
