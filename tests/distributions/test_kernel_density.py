"""Kernel densities against scikit-learn, quadrature and their own draws."""

import math
from itertools import pairwise

import pytest
import torch
from scipy import integrate
from sklearn.neighbors import KernelDensity as SklearnKernelDensity

from ppl_gen.core import score
from ppl_gen.distributions import KernelDensity, Values

FALSE_ALARM = 1e-6


def example(seed=0, n=60):
    """Values of two classes and three features, of different scales, a few missing."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=g, dtype=torch.float64) * torch.tensor([1.0, 100.0, 0.01])
    y = torch.randint(0, 2, (n,), generator=g)
    x = torch.where(torch.rand(n, 3, generator=g) < 0.1, torch.nan, x + y[:, None])
    h = torch.tensor([[0.3, 50.0, 0.001], [0.1, 7.0, 0.02]], dtype=torch.float64)
    return x, y, h


@pytest.mark.parametrize("seed", range(3))
def test_equals_scikit_learns_kernel_density(seed):
    x, y, h = example(seed)
    at = 3 * x.nan_to_num()[:31]
    values = Values.none(2, 3).and_rows(x, y)
    every = KernelDensity(values, h, torch.arange(2)[:, None]).log_prob(at)
    assert every.shape == (2, 31, 3)
    for k in range(2):
        for j in range(3):
            rows = x[y == k, j]
            theirs = SklearnKernelDensity(bandwidth=float(h[k, j]), rtol=0, atol=0)
            expected = theirs.fit(rows[~rows.isnan(), None].numpy()).score_samples(at[:, j, None].numpy())
            torch.testing.assert_close(every[k, :, j], torch.tensor(expected), rtol=1e-10, atol=1e-10)
    own = KernelDensity(values, h, y[:31]).log_prob(at)
    assert torch.equal(own, every[y[:31], torch.arange(31)])


def test_blocks_and_reach_change_nothing(monkeypatch):
    """More rows than one block holds; kernels out of reach are below the last digit."""
    g = torch.Generator().manual_seed(0)
    rows, at = torch.randn(3000, 1, generator=g).double(), 3 * torch.randn(500, 1, generator=g).double()
    h = torch.tensor([[0.02]], dtype=torch.float64)
    found = KernelDensity(
        Values.none(1, 1).and_rows(rows, torch.zeros(3000).long()), h, torch.zeros(1).long()
    )
    direct = torch.distributions.Normal(rows[:, 0], 0.02).log_prob(at).logsumexp(1) - math.log(3000)
    torch.testing.assert_close(found.log_prob(at)[:, 0], direct, rtol=1e-13, atol=1e-12)
    monkeypatch.setattr("ppl_gen.distributions.kernel_density._CELLS", 1)
    torch.testing.assert_close(found.log_prob(at)[:, 0], direct, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("away", [1e3, 1e8, 1e100])
def test_far_queries_do_not_underflow(away):
    x, y, h = example()
    fn = KernelDensity(Values.none(2, 3).and_rows(x, y), h, torch.tensor([0, 1]))
    found = fn.log_prob(torch.full((2, 3), away, dtype=torch.float64))
    for k in range(2):
        for j in range(3):
            kernels = torch.distributions.Normal(fn.values.of(k, j), h[k, j])
            expected = kernels.log_prob(torch.tensor(away, dtype=torch.float64)).logsumexp(0)
            expected = expected - math.log(len(kernels.loc))
            torch.testing.assert_close(found[k, j], expected, rtol=1e-12, atol=0)
    assert torch.equal(
        fn.log_prob(torch.full((2, 3), 1e300, dtype=torch.float64)), torch.full((2, 3), -torch.inf).double()
    )


def test_integrates_to_one():
    x, y, h = example(n=12)
    fn = KernelDensity(Values.none(2, 3).and_rows(x, y), h, torch.tensor([0, 1]))
    for k in range(2):
        for j in range(3):

            def density(t, k=k, j=j):
                return float(fn.log_prob(torch.full((2, 3), t, dtype=torch.float64))[k, j].exp())

            centres = fn.values.of(k, j).tolist()
            low, high = centres[0] - 12 * float(h[k, j]), centres[-1] + 12 * float(h[k, j])
            edges = [low, *centres, high]
            parts = pairwise(edges)
            total = sum(integrate.quad(density, a, b, epsabs=1e-12, epsrel=1e-10)[0] for a, b in parts)
            assert total == pytest.approx(1, abs=1e-9)


def distance(draws, values, h):
    """The largest distance of the draws' distribution function from that of the kernel density."""
    draws = draws.sort().values
    theirs = torch.distributions.Normal(values, h).cdf(draws[:, None]).mean(1)
    steps = torch.arange(len(draws) + 1) / len(draws)
    return float(torch.maximum((steps[1:] - theirs).abs(), (steps[:-1] - theirs).abs()).max())


def test_draws_follow_the_density():
    """Dvoretzky, Kiefer and Wolfowitz with Massart's constant, for six cells; a wrong bandwidth is seen."""
    x, y, h = example(n=10)
    n = 20_000
    fn = KernelDensity(Values.none(2, 3).and_rows(x, y), h, torch.tensor([0, 1]))
    draws = fn.sample((n,))
    assert draws.shape == (n, 2, 3)
    allowed = math.sqrt(math.log(2 * 6 / FALSE_ALARM) / (2 * n))
    for k in range(2):
        for j in range(3):
            assert distance(draws[:, k, j], fn.values.of(k, j), h[k, j]) < allowed
    widest = max(
        distance(draws[:, k, j], fn.values.of(k, j), 4 * h[k, j]) for k in range(2) for j in range(3)
    )
    assert widest > allowed
    error = draws.std(0) / math.sqrt(n)
    assert ((draws.mean(0) - fn.mean).abs() < 6 * error).all()


def test_missing_cells_leave_their_factor_out():
    x, y, h = example()
    fn = KernelDensity(Values.none(2, 3).and_rows(x, y), h, y[:5]).to_event(1)
    at = x[:5].nan_to_num()
    seen = torch.tensor([True, False, True]).expand(5, 3)
    cells = fn.base_dist.log_prob(at)
    torch.testing.assert_close(score(fn, at, seen), cells[:, 0] + cells[:, 2], rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="within the support"):
        KernelDensity(fn.base_dist.values, h, y[:5], validate_args=True).log_prob(at * torch.nan)


def test_values_grow_and_merge():
    x, y, _ = example()
    whole = Values.none(2, 3).and_rows(x, y)
    parts = [Values.none(2, 3).and_rows(x[part], y[part]) for part in (slice(20), slice(20, 60))]
    for other in (parts[0].and_rows(x[20:], y[20:]), parts[0].merged(parts[1]), parts[1].merged(parts[0])):
        assert torch.equal(other.sorted, whole.sorted)
        assert torch.equal(other.counts, whole.counts)
    assert int(whole.counts.sum()) == int((~x.isnan()).sum())
