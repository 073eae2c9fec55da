"""The page of a guide with many parameters and draws stays small, and shows those that weights move."""

import matplotlib.pyplot as plt
import pytest
import torch

from ppl_gen import SVI, diagnose, fit, report
from ppl_gen.diagnostics.trust.page import PAIRED, _farthest
from ppl_gen.models import LogisticRegression


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_many_parameters_and_draws_make_a_page_below_a_megabyte(tmp_path):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 9, generator=generator)
    y = x[:, :3].argmax(1)
    posterior = fit(LogisticRegression(classes=3, features=9), SVI(steps=100, progress=False), x=x, y=y)
    found = diagnose(posterior, draws=2000, more_steps=0)
    text = report(found, tmp_path / "page.html").read_text()
    assert len(text) < 1e6
    assert f"The {PAIRED} parameters that weights move most" in text
    assert "These are the first 20 of 30 parameters." in text
    assert text.count("<image") >= PAIRED * (PAIRED - 1) / 2


def test_the_parameters_shown_are_those_that_weights_move_most():
    draws = {"a": torch.randn(400, 2, 3, generator=torch.Generator().manual_seed(1)), "b": torch.ones(400)}
    weights = draws["a"][:, 1, 2].double().mul(3).softmax(0)
    names, all_of = _farthest(draws, weights)
    assert "a[1, 2]" in names
    assert "b" not in names  # it does not vary
    assert len(names) == PAIRED
    assert not all_of
    blamed, _ = _farthest(draws, weights, "a[0, 0] and b")
    assert {"a[0, 0]", "b", "a[1, 2]"} < set(blamed)  # what is at fault first
    assert _farthest({"b": draws["b"]}, weights) == (["b"], True)
