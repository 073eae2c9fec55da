"""Means and sds of draws, what the draws are worth, and differences beyond chance."""

import math

import pytest
import torch

from ppl_gen.diagnostics.choosing.moments import in_words, moments

G = torch.Generator


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=G().manual_seed(seed), dtype=torch.float64)


def test_weights_and_errors_by_hand():
    values = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    found = moments({"w": values}, weights)
    assert found.means["w"].item() == pytest.approx(1.0)
    assert found.sds["w"].item() == pytest.approx(math.sqrt(0.5 + 0.0 + 1.0))
    assert found.effective["w"].item() == pytest.approx(1.5 / (0.25 * 1 + 0.0625 * 4))
    off = (1 / 1.5 - 1, -1.0, 4 / 1.5 - 1)
    squared = 0.25 * off[0] ** 2 + 0.0625 * (off[1] ** 2 + off[2] ** 2)
    assert found.sd_errors["w"].item() == pytest.approx(math.sqrt(squared) / 2)


def test_the_error_of_a_weighted_sd_is_its_scatter():
    """Over 300 sets of 500 draws of a Normal of sd 0.8, weighted to sd 1: large weights lie far out."""
    sets = 0.8 * normal(300, 500)
    found = [moments({"w": v}, (v.square() * (1 / 0.8**2 - 1) / 2).softmax(0)) for v in sets]
    logs = torch.stack([m.sds["w"].log() for m in found])
    said = torch.stack([m.sd_errors["w"] for m in found]).mean()
    assert abs(said / logs.std() - 1) < 5 / math.sqrt(2 * 300) + 0.15  # that tail is heavy


def test_the_error_of_an_sd_is_its_scatter():
    """Over 400 sets of 200 Normal draws, whose log sd scatters by about 1 / sqrt(400)."""
    sets = normal(400, 200)
    logs = torch.stack([moments({"w": v}).sds["w"].log() for v in sets])
    said = torch.stack([moments({"w": v}).sd_errors["w"] for v in sets]).mean()
    assert abs(said / logs.std() - 1) < 5 / math.sqrt(2 * 400) + 0.05  # the formula is of first order


def test_a_sticky_chain_is_worth_fewer_draws():
    """An AR(1) chain of correlation r has n (1 - r) / (1 + r) effective draws."""
    r, n = 0.9, 20_000
    steps, chain = normal(2, n), torch.zeros(2, n, dtype=torch.float64)
    for i in range(1, n):
        chain[:, i] = r * chain[:, i - 1] + math.sqrt(1 - r * r) * steps[:, i]
    worth = moments({"w": chain.flatten()}, chains=2).effective["w"].item() / (2 * n)
    assert 0.5 * 0.1 / 1.9 < worth < 2.2 * 0.1 / 1.9  # 40 batch means: chi-squared / 39 within 0.45 … 2, 1e-6
    assert moments({"w": steps.flatten()}, chains=2).effective["w"].item() / (2 * n) > 0.45


def test_differences_beyond_chance_are_said_and_others_not():
    best = moments({"w": normal(4000, 3), "a": normal(4000, seed=1)})
    same = moments({"w": normal(1000, 3, seed=2), "a": normal(1000, seed=3)})
    assert in_words(same, best, "exact") == ""
    shift = torch.tensor([0.0, 0.6, 0.0], dtype=torch.float64)
    scale = torch.tensor([0.5, 1.0, 1.6], dtype=torch.float64)
    other = moments({"w": normal(1000, 3, seed=2) * scale + shift, "a": normal(1000, seed=3)})
    said = in_words(other, best, "exact")
    assert "means off from those of exact: w[1] by +0." in said
    assert "sds too small, as multiples of those of exact: w[0] 0.5" in said or "w[0] 0.4" in said
    assert "sds too large, as multiples of those of exact: w[2] 1." in said
    assert [name for name, _, _ in other.differences(best)] == ["w[0]", "w[1]", "w[2]"]
    mean, sd = other.errors(best)
    assert mean == pytest.approx(0.6 / 2, abs=0.1)
    assert sd == pytest.approx(math.sqrt((0.25 + 0.36) / 4), abs=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_number_that_does_not_vary_is_off_by_nothing(dtype):
    """Weighted means of 1.0 are 1 up to rounding, as is a number that comes out of a few operations."""
    steps = torch.randint(-2, 3, (1000,), generator=G().manual_seed(2)).to(dtype)
    third = (1 + torch.finfo(dtype).eps * steps) / 3
    drawn = {"L": torch.ones(1000, 2, dtype=dtype), "third": third, "w": normal(1000)}
    assert drawn["third"].unique().numel() > 1  # it scatters
    once = moments(drawn)
    for seed in range(40):
        again = moments(drawn, (0.35 * normal(1000, seed=1 + seed)).softmax(0))
        for one, other in ((once, again), (again, once), (once, moments(drawn, chains=4))):
            assert {name for name, *_ in one.differences(other)} <= {"w"}
            assert in_words(one, other, "weights").count("third") == 0
            assert one.errors(other)[0] < 0.2  # of w alone
    assert (once.sds["L"] == 0).all()


def test_a_small_scatter_about_a_large_number_is_a_scatter():
    """Days since 1970 with an sd of a tenth, whose float32 holds five of them and more."""
    days = (20_000 + 0.1 * normal(1000)).float()
    found = moments({"day": days})
    assert found.sds["day"].item() == pytest.approx(0.1, rel=5 / math.sqrt(2 * 1000))
    late = moments({"day": days + 0.2})
    assert [name for name, _, _ in late.differences(found)] == ["day"]
    never = moments({"day": torch.full((1000,), 20_000.0)})
    assert not list(never.differences(never))
