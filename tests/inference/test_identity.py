"""What a fit is told by: the same in every process, and another for whatever changes its numbers."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch

from ppl_gen.distributions import Binomial
from ppl_gen.inference.identity import told


def scaled(factor):
    return lambda done: factor * done if done in {0.25, 0.5, "a", "b", "c"} else 1.0


class Thing:
    pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (0.1, 0.1 + 1e-16 * 2), ("a", "b"), (None, 0), (True, 1), ((1, 2), [1, 2]),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)), (torch.zeros(2), torch.tensor([0.0, 1e-40])),
        (torch.zeros(2, 3), torch.zeros(3, 2)), (np.zeros(2), np.ones(2)), (scaled(2.0), scaled(3.0)),
        (scaled(2.0), lambda done: 2.0 * done), (Binomial(8), Binomial(9)),
        (torch.optim.Adam, torch.optim.SGD),
        (functools.partial(torch.optim.Adam, eps=1e-8), functools.partial(torch.optim.Adam, eps=1e-9)),
        ({"a": 1}, {"a": 2}), ("x" * 100 + "a", "x" * 100 + "b"), (torch.float32, torch.float64),
    ],
)  # fmt: skip
def test_other_values_are_told_otherwise(one, other):
    assert told(one) != told(other)
    assert told(one) == told(one)


def test_equal_values_are_told_alike():
    assert told(torch.arange(6.0).view(2, 3).t()) == told(torch.arange(6.0).view(2, 3).t().contiguous())
    assert told(scaled(2.0)) == told(scaled(2.0))
    assert told(Thing()) == told(Thing()) == "Thing"  # no address
    assert told(torch.nn.Linear(1, 1)) == told(torch.nn.Linear(1, 1))  # weights are learned
    assert len(told(list(range(1000)))) < 100


def test_another_process_tells_the_same():
    program = (
        "from tests.inference.test_identity import scaled; from ppl_gen.inference.identity import told\n"
        "print(told(scaled(2.0)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == told(scaled(2.0))
