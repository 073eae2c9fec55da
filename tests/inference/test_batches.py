"""The order of rows: each once an epoch, a function of (seed, epoch, place), and as random as it should."""

import pytest
import torch

from ppl_gen.inference.batches import BLOCK, WINDOW, Order

SHAPES = {
    "one batch": dict(n=5, size=9),
    "few rows": dict(n=103, size=10),
    "one window": dict(n=WINDOW, size=1000),
    "many windows, ragged": dict(n=3 * WINDOW + 77, size=1000),
    "batches longer than a window": dict(n=2 * WINDOW + 5, size=WINDOW + 1),
    "blocks of a file": dict(n=WINDOW + 1100, size=700, blocks=[1000, 1, WINDOW, 99]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_row_comes_once_an_epoch(shape):
    order = Order(**SHAPES[shape])
    for epoch in range(2):
        steps = range(epoch * len(order), (epoch + 1) * len(order))
        batches = [order.batch(step) for step in steps]
        assert {order.epoch(step) for step in steps} == {epoch}
        assert all(len(batch) == order.size for batch in batches[:-1])
        assert torch.equal(torch.cat(batches).sort().values, torch.arange(order.n))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_a_function_of_the_seed_and_its_number(shape):
    order, again = (Order(**SHAPES[shape], seed=3) for _ in range(2))
    last = 3 * len(order) - 1
    through = [order.batch(step) for step in range(max(0, last - 40), last + 1)]
    assert torch.equal(again.batch(last), through[-1])  # straight to it
    assert torch.equal(again.batch(0), order.batch(0))
    if len(order) > 1:
        assert not torch.equal(order.batch(0), order.batch(len(order)))  # another epoch
        assert not torch.equal(order.batch(0), Order(**SHAPES[shape], seed=4).batch(0))


def test_few_rows_are_shuffled_all_together():
    expected = torch.randperm(1000, generator=torch.Generator().manual_seed(7 * 1_000_003 + 2))
    order = Order(1000, 100, seed=7)
    assert torch.equal(torch.cat([order.batch(step) for step in range(20, 30)]), expected)


def test_a_batch_of_a_sorted_file_is_a_fair_sample():
    """Its mean place is near the middle; a batch of neighbours would be far off."""
    n, size = 20 * WINDOW, 4096
    order = Order(n, size, seed=1)
    # A window holds 1,024 random blocks: the mean of its places has this standard deviation, and the
    # batch, drawn from it, about that of so many independent places on top.
    sd = n / 12**0.5 * (BLOCK / WINDOW + 1 / size) ** 0.5
    means = torch.stack([order.batch(step).double().mean() for step in range(0, len(order), 40)])
    assert len(means) == 16
    assert ((means - n / 2).abs() < 5.5 * sd).all()  # 16 looks; false alarms below 1e-6
    assert abs(torch.arange(size).double().mean() - n / 2) > 40 * sd
    rows = order.batch(0).sort().values
    assert rows.diff().unique().numel() > size / 20
