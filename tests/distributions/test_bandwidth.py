"""The leave-one-out likelihood against leaving each row out, and its maximum against a dense grid."""

import math

import pytest
import torch

from ppl_gen.distributions import Values, leave_one_out, select_bandwidth
from ppl_gen.errors import DataError
from tests.thinned import thinned


def shapes(seed=0):
    """Values of several shapes: name -> (m,)."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(80, generator=g, dtype=torch.float64)
    heavy = z / torch.rand(80, generator=g, dtype=torch.float64)
    return {
        "normal": z,
        "two peaks": torch.cat([z[:40], 0.001 * z[40:] + 30]),
        "heavy tails": heavy,
        "one twin": torch.cat([z, z[:1]]),
        "far from zero": 1e6 + z,
        "three": z[:3],
    }


def brute_force(x, h):
    """Each value under the kernels of the others, one by one."""
    total = 0.0
    for i in range(len(x)):
        others = torch.cat([x[:i], x[i + 1 :]])
        total += float(torch.distributions.Normal(others, h).log_prob(x[i]).logsumexp(0)) - math.log(
            len(others)
        )
    return total


@pytest.mark.parametrize("name", shapes())
def test_leave_one_out_leaves_each_value_out(name):
    x = shapes()[name].sort().values
    for h in (0.01, 0.3, 5.0):
        score, slope = leave_one_out(x, h)
        assert score == pytest.approx(brute_force(x, h), rel=1e-9)
        up, down = (brute_force(x, h * math.exp(step)) for step in (1e-5, -1e-5))
        assert slope == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-3)


def chosen(parts, **options):
    """The bandwidths of a table with a class for each of the ``parts``."""
    x, y = torch.cat(parts)[:, None], torch.cat([torch.full((len(p),), k) for k, p in enumerate(parts)])
    return select_bandwidth(Values.none(len(parts), 1).and_rows(x, y), **options)


@pytest.mark.parametrize("seed", thinned(range(3), 3))
@pytest.mark.parametrize("name", shapes())
def test_the_bandwidth_is_the_maximiser(name, seed):
    x = shapes(seed)[name].sort().values
    bandwidth, score = chosen([x])
    h = float(bandwidth)
    spread = float(x.std(correction=0))
    grid = torch.logspace(
        math.log10(max(1e-3 * spread, x.unique().diff().min() / 2)), math.log10(9 * spread), 1500
    )
    best = max(leave_one_out(x, t)[0] for t in grid.tolist())
    assert float(score) == pytest.approx(leave_one_out(x, h)[0], rel=1e-12)
    assert float(score) >= best - 1e-9 * abs(best)
    assert leave_one_out(x, spread)[0] < best - 0.01  # the rows' own standard deviation is not it
    assert leave_one_out(x, h)[1] == pytest.approx(0, abs=1e-5 * len(x))


@pytest.mark.parametrize("sharing", ["feature", "one"])
def test_a_shared_bandwidth_maximises_the_sum(sharing):
    parts = [shapes()["normal"], 5 + 3 * shapes(1)["normal"][:30]]
    bandwidth, score = chosen(parts, sharing=sharing)
    assert bandwidth[0, 0] == bandwidth[1, 0]
    sorted_ = [p.sort().values for p in parts]
    grid = torch.logspace(-2, 1, 1500).tolist()
    best = max(sum(leave_one_out(p, t)[0] for p in sorted_) for t in grid)
    assert float(score) >= best - 1e-9 * abs(best)
    each, apart = chosen(parts)
    assert each[0, 0] < bandwidth[0, 0] < each[1, 0]
    assert apart > score


def test_one_bandwidth_spans_the_features_and_each_feature_may_have_its_own():
    x = torch.stack([shapes()["normal"], 10 * shapes(1)["normal"]], 1)
    values = Values.none(1, 2).and_rows(x, torch.zeros(80).long())
    one, feature = (select_bandwidth(values, sharing)[0] for sharing in ("one", "feature"))
    assert one[0, 0] == one[0, 1]
    assert feature[0, 0] < one[0, 0] < feature[0, 1]
    fixed, score = select_bandwidth(values, torch.tensor([[0.5, 5.0]]).double())
    assert fixed.tolist() == [[0.5, 5.0]]
    assert float(score) == pytest.approx(brute_force(x[:, 0], 0.5) + brute_force(x[:, 1], 5.0), rel=1e-12)


def test_units_do_not_matter():
    x = shapes()["normal"]
    h, _ = chosen([x])
    for unit in (1e-8, 1e8):
        torch.testing.assert_close(chosen([unit * x])[0], unit * h, rtol=1e-6, atol=0)


def test_where_the_likelihood_has_no_maximum_there_is_a_floor():
    twins = shapes()["normal"].repeat(2)
    assert leave_one_out(twins.sort().values, 1e-9)[0] > leave_one_out(twins.sort().values, 1e-6)[0] > 0
    assert float(chosen([twins])[0]) == pytest.approx(1e-3 * float(twins.std(correction=0)))
    assert float(chosen([twins], floor=0.1)[0]) == pytest.approx(0.1 * float(twins.std(correction=0)))
    rounded = torch.tensor(
        [0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.6, 0.6], dtype=torch.float64
    )  # half the step of the feature
    assert float(chosen([rounded])[0]) == pytest.approx(0.05)
    constant, varied = torch.full((9,), 2.0).double(), shapes()["normal"]
    spread = float(torch.cat([constant, varied]).std(correction=0))
    bandwidth, score = chosen([constant, varied])  # a class that does not vary, in a feature that does
    assert float(bandwidth[0]) == pytest.approx(1e-3 * spread)
    assert math.isfinite(float(score))


def test_a_single_value_takes_the_spread_of_its_feature():
    lonely, varied = torch.tensor([0.5]).double(), shapes()["normal"]
    bandwidth, score = chosen([lonely, varied])
    assert float(bandwidth[0]) == pytest.approx(float(torch.cat([lonely, varied]).std(correction=0)))
    assert float(score) == pytest.approx(float(chosen([varied])[1]), rel=1e-6)
    shared, _ = chosen([lonely, varied], sharing="feature")
    assert shared[0] == shared[1]


@pytest.mark.parametrize("rows", [[[3.0]], [[3.0], [3.0]]])
def test_values_that_are_all_the_same_are_refused(rows):
    values = Values.none(1, 1).and_rows(torch.tensor(rows).double(), torch.zeros(len(rows)).long())
    with pytest.raises(DataError, match="x: expected values of feature 0 that differ, got 3 alone"):
        select_bandwidth(values)
