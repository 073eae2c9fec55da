"""Newton's climb to the mode, where a sum of rows in float32 rounds more than a step gains."""

import pytest
import torch

from ppl_gen.inference.mode import Watched, mode
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import admit
from tests.planted_faults.base import REAL, normal
from tests.planted_faults.heldout_again import Phases


class Counted(Watched):
    """A log density that counts how often it is looked at."""

    looks = 0

    def __call__(self, u):
        self.looks += 1
        return super().__call__(u)


@pytest.mark.parametrize("seed", range(6))
def test_rounding_does_not_hold_up_the_last_steps(seed):
    """From nearby Newton's steps square the error: five are plenty, and halving them finds nothing."""
    x = normal(0, 100, 2)
    y = 1 + (x @ torch.tensor([1.0, -0.7], dtype=REAL)) ** 2 + 0.5 * normal(1, 100)
    data = admit(Phases(), {"x": x, "y": y})
    assert data.observed["y"].dtype == torch.float32
    target = Unconstrained(Phases(), None, data, None, "Laplace")
    target.start = torch.tensor([1.1, 0.97, -0.7], dtype=REAL) + 0.02 * normal(seed, 3)
    looked = Counted(target)
    at, _, precision = mode(target, 500, 20, looked)
    assert looked.looks <= 6
    u = at.clone().requires_grad_()
    slope = torch.autograd.grad(target(u), u)[0]
    assert float(slope @ torch.cholesky_solve(slope[:, None], torch.linalg.cholesky(precision))) < 1e-7
