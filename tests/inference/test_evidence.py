"""Averages of weights: their value, their standard error, and k-hat.

Statistical tests raise a false alarm with probability 1e-6 each, whatever the seed.
"""

import math

import numpy as np
import pytest
import scipy.stats as st
import torch

from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, pareto_k

Z = st.norm.isf(1e-6 / 2)  # two-sided


def normals(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_log_mean_exp_keeps_its_digits():
    logs = normals(50, 3) - 5000
    expected = np.log(np.mean(np.exp(logs.numpy() + 5000), 0)) - 5000
    np.testing.assert_allclose(log_mean_exp(logs).numpy(), expected, rtol=1e-14)
    assert log_mean_exp(torch.full((4, 1), -torch.inf)).item() == -torch.inf


@pytest.mark.parametrize("shared", [False, True])
def test_standard_error_is_calibrated(shared):
    """z-scores of repeated averages have mean square 1, up to the chi-square's own spread."""
    repeats, draws, spread = 2000, 4000, 0.5
    noise = spread * normals(draws, repeats, seed=1)
    truth = spread**2 / 2
    base = 0.8 * noise if shared else None
    value, error = log_mean_exp(noise), log_mean_exp_error(noise, base)
    if shared:
        value, truth = value - log_mean_exp(base), truth - (0.8 * spread) ** 2 / 2
    z = (value - truth) / error
    # The estimated error is off by a relative sd below 0.03 (log-normal weights of sd 0.5), and the delta
    # method by O(1 / draws): together below 1%, once squared and averaged over repeats.
    low, high = st.chi2.isf([1 - 1e-6 / 2, 1e-6 / 2], repeats) / repeats
    assert low * 0.99 < z.square().mean().item() < high * 1.01
    wrong = (2 * error) ** 2  # an error twice too large would be caught
    assert ((value - truth) ** 2 / wrong).mean().item() < low * 0.99


def test_equal_weights_have_no_error_and_no_tail():
    logs = torch.full((100, 2), -7.0)
    assert log_mean_exp_error(logs).abs().max() < 1e-6
    assert log_mean_exp_error(logs, logs).abs().max() < 1e-6
    assert (pareto_k(logs) == -torch.inf).all()
    assert torch.isnan(pareto_k(normals(10, 2))).all()  # too few for a tail


@pytest.mark.parametrize("k", [0.0, 0.3, 0.6, 0.9, 1.3])
def test_pareto_k_finds_the_exponent(k):
    """The fit to the largest M exact Pareto weights: Normal with sd (1 + k) / sqrt(M); a prior worth 10."""
    draws, columns = 4000, 400
    u = torch.rand(draws, columns, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    logs = -k * u.log() if k else (-u.log()).log()  # k = 0: exponential weights
    found = pareto_k(logs)
    tail = min(draws // 5, math.ceil(3 * math.sqrt(draws)))
    expected = (tail * k + 5) / (tail + 10)
    # Each estimate is asymptotically Normal; the mean of 400 has this sd, and a bias of O(1 / M), here 3 / M.
    sd = (1 + k) / math.sqrt(tail * columns)
    assert abs(found.mean().item() - expected) < Z * sd + 3 / tail
    assert Z * sd + 3 / tail < 0.15  # so it tells these exponents apart


def test_pareto_k_does_not_depend_on_the_scale_of_the_weights():
    logs = 2 * normals(1000, 3)
    torch.testing.assert_close(pareto_k(logs), pareto_k(logs - 3000.0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(pareto_k(logs)[0], pareto_k(logs[:, 0]))
