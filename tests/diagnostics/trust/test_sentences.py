"""Each sentence of a diagnosis ends with one mark."""

import re

import pytest
import torch

from ppl_gen import fit
from ppl_gen.diagnostics.trust.checks import FAULTS, fault
from ppl_gen.diagnostics.trust.diagnose import Diagnosis
from ppl_gen.diagnostics.trust.page import page
from ppl_gen.models import GaussianNaiveBayes

SKIPPED = ("weights: no density. SVI() bounds it.", "chains: one alone.")


@pytest.fixture(scope="module")
def posterior():
    return fit(GaussianNaiveBayes(classes=2, features=1), x=torch.arange(4.0)[:, None], y=[0, 0, 1, 1])


@pytest.mark.parametrize("fix", ["are the units right?", "take more steps", "take more steps. Or fewer."])
@pytest.mark.parametrize("name", ["wrong scale", "means off", "sds too small", "too few steps"])
@pytest.mark.parametrize("state", ["fault", "caution"])
def test_no_mark_stands_twice(posterior, fix, name, state):
    check = fault(name, "rows", "sd 2, expected 1.", fix, state=state)
    then = fault("skewed", "rows", "is it?", "transform it", state="caution", meaning="it is lopsided.")
    d = Diagnosis(posterior, (check, then), None, SKIPPED)
    shown = page(d).html().partition("<style")[0] + page(d).html().rpartition("</style>")[2]
    for text in (str(check), str(then), d.verdict, d.unseen, shown):
        assert not re.search(r"[.?!][.;]", text), text
    said = fix if fix[-1] in ".?" else f"{fix}."
    assert f"Try: {said} Then: skewed." in d.verdict
    assert f"What to do: {said}<" in shown
    assert "expected 1. " in str(check)
    assert f"{FAULTS[name]}. {fix[0].upper()}" in str(check)
    assert d.unseen == "Not looked at: weights: no density. SVI() bounds it; chains: one alone."
