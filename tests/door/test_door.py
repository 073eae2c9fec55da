"""What is welcome means the same in every form; the rest is refused by name; nothing is silent nonsense."""

import re

import numpy as np
import pytest
import torch

from ppl_gen.errors import PplGenError, Unreliable
from tests.door.catalogue import CASES


def test_the_table_is_long_and_each_case_has_a_name_of_its_own():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 150


LONG = "logistic regression: rows", "within "  # a second each, since they take steps of SVI


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] * case.name.startswith(LONG))
        for case in CASES
    ],
)
def test_odd_input(case):
    if case.refused:
        error, words = case.refused
        assert issubclass(error, PplGenError | TypeError | Unreliable)
        with pytest.raises(error) as caught:
            case.act()
        assert re.match(words, str(caught.value), re.DOTALL), f"{type(caught.value).__name__}: {caught.value}"
        return
    assert case.plain is not None
    found, expected = case.act(), case.plain()
    if isinstance(expected, torch.Tensor):
        assert bool(torch.isfinite(torch.as_tensor(found)).all())
        if case.tolerance:
            torch.testing.assert_close(found, expected, rtol=case.tolerance, atol=case.tolerance)
        else:
            assert torch.equal(found, expected), (found, expected)
    else:
        assert np.array_equal(np.asarray(found), np.asarray(expected)), (found, expected)
