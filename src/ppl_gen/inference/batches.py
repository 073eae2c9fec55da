"""Which rows a step takes: a function of the seed, the epoch and the place in it, in constant memory."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ppl_gen.checks import whole

WINDOW = 1 << 17  # rows that are shuffled together
BLOCK = 128  # neighbouring rows that are read together
_MOST_BLOCKS = 1 << 20  # beyond this many, blocks grow: their order is held in memory


class Order:
    """The batches of every epoch, each row once an epoch; the last batch may be smaller.

    Few rows, up to 131,072, are shuffled all together. More are shuffled as a card player does: neighbours
    stay in blocks of 128, the blocks are put in random order, and the rows of each thousand of successive
    blocks are then shuffled among themselves. So a step reads from a part of the file that memory can hold,
    and memory does not grow with the rows.

    Args:
        n: the number of rows.
        size: of a batch; all rows, in their own order, if it is n or more.
        seed: decides the order together with the epoch.
        blocks: how many rows each block has, where the file decides.

    >>> order = Order(n=5, size=2, seed=0)
    >>> [order.batch(step).tolist() for step in range(4)]
    [[4, 0], [1, 3], [2], [0, 4]]
    >>> len(order), order.epoch(3)
    (3, 1)
    """

    def __init__(self, n: int, size: int, seed: int = 0, blocks: Sequence[int] | None = None):
        self.n, self.size, self.seed = whole("n", n), min(whole("size", size), n), seed
        if blocks is None:
            block = max(BLOCK, -(-n // _MOST_BLOCKS))
            blocks = [block] * (n // block) + [n % block] * (n % block > 0) if n > WINDOW else [n]
        self.sizes = torch.tensor(blocks)
        self.firsts = self.sizes.cumsum(0) - self.sizes
        self._blocks = lru_cache(2)(self._shuffled_blocks)
        self._windows = lru_cache(2)(self._shuffled_window)  # a batch may end in the next one

    def __len__(self) -> int:
        """The steps of one epoch."""
        return -(-self.n // self.size)

    def epoch(self, step: int) -> int:
        """The epoch of a step."""
        return step // len(self)

    def batch(self, step: int) -> Tensor:
        """The places of the rows that the step takes."""
        if self.size == self.n:
            return torch.arange(self.n)
        epoch, place = divmod(step, len(self))
        first, last = place * self.size, min((place + 1) * self.size, self.n)
        starts = self._blocks(epoch)[1]
        windows = (torch.searchsorted(starts, torch.tensor([first, last - 1]), right=True) - 1).tolist()
        parts = []
        for window in range(windows[0], windows[1] + 1):
            start = int(starts[window])
            parts.append(self._windows(epoch, window)[max(first - start, 0) : last - start])
        return torch.cat(parts)

    def _shuffled_blocks(self, epoch: int) -> tuple[list[Tensor], Tensor]:
        """The blocks of each window, and where in the epoch each window starts."""
        if len(self.sizes) == 1:
            return [torch.zeros(1, dtype=torch.long)], torch.zeros(1, dtype=torch.long)
        order = torch.randperm(len(self.sizes), generator=self._random(epoch))
        starts = self.sizes[order].cumsum(0) - self.sizes[order]
        _, counts = torch.unique_consecutive(starts // WINDOW, return_counts=True)
        return list(order.split(counts.tolist())), starts[counts.cumsum(0) - counts]

    def _shuffled_window(self, epoch: int, window: int) -> Tensor:
        if len(self.sizes) == 1:
            return torch.randperm(self.n, generator=self._random(epoch))
        blocks = self._blocks(epoch)[0][window]
        sizes = self.sizes[blocks]
        within = torch.arange(int(sizes.sum())) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        rows = self.firsts[blocks].repeat_interleave(sizes) + within
        return rows[torch.randperm(len(rows), generator=self._random(epoch, window))]

    def _random(self, *place: int) -> torch.Generator:
        seed = self.seed
        for number in place:
            seed = seed * 1_000_003 + number
        return torch.Generator().manual_seed(seed % 2**63)
