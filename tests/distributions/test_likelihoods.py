"""The discretised logistic against the difference of its distribution function, as its paper writes it."""

import pytest
import torch

from ppl_gen.distributions import DiscretizedLogistic


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_bins_of_the_logistic_s_distribution_function(levels):
    raw = torch.tensor([[0.3, -1.0], [-0.9, 0.5], [2.0, -2.0]], dtype=torch.float64)
    found = torch.stack(
        [
            DiscretizedLogistic(levels)(raw[:, :]).log_prob(torch.full((3, 1), float(v)))
            for v in range(levels)
        ],
        1,
    )
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    half = 1 / (levels - 1)
    above = ((x + half - raw[:, :1]) / raw[:, 1:].exp()).sigmoid()
    below = ((x - half - raw[:, :1]) / raw[:, 1:].exp()).sigmoid()
    above[:, -1], below[:, 0] = 1.0, 0.0
    torch.testing.assert_close(found.exp(), above - below, rtol=1e-6, atol=1e-13)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(3, dtype=torch.float64), rtol=1e-12, atol=0)


def test_far_bins_keep_their_digits_and_their_gradient():
    """A difference of two sigmoids that are both 1 would be log 0."""
    raw = torch.tensor([[0.9, -5.0]], requires_grad=True)
    value = DiscretizedLogistic(17)(raw).log_prob(torch.zeros(1, 1))
    (gradient,) = torch.autograd.grad(value.sum(), raw)
    assert -1e4 < value.item() < -200
    assert bool(torch.isfinite(gradient).all())
