"""No estimator answers odd input with nonsense, nor refuses it without the argument's name."""

import pytest

from tests.door.estimators import ODD, OURS, make


def test_the_list_is_long_and_each_case_has_a_name_of_its_own():
    assert len({(odd.kind, odd.name) for odd in ODD}) == len(ODD) >= 150


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd.kind}, {odd.name}")
def test_odd_input(odd):
    assert odd.judge(make(OURS, odd.kind)) == ""
