"""Rows that stay where they are: read and admitted as the steps take them."""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ppl_gen.core import Site
from ppl_gen.errors import DataError
from ppl_gen.inference.batches import Order
from ppl_gen.inference.climb import Rows
from ppl_gen.inference.generators import Generators
from ppl_gen.inference.sources import Arrays, Indexed, Stream
from ppl_gen.inputs import Data

Door = Callable[[Mapping[str, Any], Mapping[str, Site] | None], Data]
CHUNK = 1 << 20  # cells of a row's values that are looked at together
SLOW = 2e-3  # seconds; Python's threads wait for each other up to five milliseconds
FEW = 1024  # rows that a fit starts from, where more would have to be read for it


@dataclass(frozen=True)
class Stored(Data):
    """Data whose rows are not in memory; ``inputs`` and ``observed`` hold their shapes and types alone.

    Attributes:
        source: where the rows are.
        door: admits some of them.
        first: rows that stand for all where a fit starts.
        holes: a variable with missing cells -> in how many rows, and the first of them.
        identity: the fingerprint.
    """

    source: Any = None
    door: Any = None
    first: Any = None
    holes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    identity: str = ""

    @property
    def example(self) -> Data:
        first: Data = self.first
        return first

    @property
    def blank(self) -> dict[str, tuple[int, int]]:
        return {name: hole for name, hole in self.holes.items() if self.observed[name].dim() == 1}

    def fingerprint(self) -> str:
        return self.identity

    def take(self, index: Tensor | slice) -> Data:
        """Read and admit rows; an error tells their places among all."""
        places = range(self.n)[index] if isinstance(index, slice) else index
        part = _admitted(self.door, self.source.read(index), self.sites, places)
        masks = {name: torch.ones_like(part.observed[name], dtype=torch.bool) for name in self.holes}
        return replace(part, seen=masks | dict(part.seen)) if masks else part

    def batches(self, size: int, seed: int, step: int) -> Generator[Rows]:
        """What the steps take, from ``step`` on."""
        if isinstance(self.source, Stream):
            yield from self._streamed(self.source, seed, step)
        order = Order(self.n, size, seed, self.source.blocks)
        for here in count(step):
            index = order.batch(here)
            own = Generators(seed * 1_000_003 + here) if self.source.random else None
            part = own(self.take, index) if own else self.take(index)
            yield Rows(part, index, self.n / part.n)

    def _streamed(self, source: Stream, seed: int, step: int) -> Generator[Rows]:
        here, epoch = 0, 0
        if source.steps:
            epoch, here = step // source.steps, step // source.steps * source.steps
        while True:
            rows = 0
            for values in source.epoch(seed, epoch):
                part = _admitted(self.door, values, self.sites)
                if here >= step:
                    yield Rows(part, torch.arange(rows, rows + part.n), self.n / part.n)
                here, rows = here + 1, rows + part.n
            source.refuse_others_than(rows)
            epoch += 1


def stored(source: Indexed | Stream, door: Door) -> Stored:
    """The rows of a source, behind the door.

    Arrays are looked through at once, chunk after chunk, so that bad cells are found before the first step;
    rows from elsewhere are looked at as they come.
    """
    if source.n == 0:
        raise DataError("batches: expected at least one row, got none")
    identity, holes = "", dict[str, tuple[int, int]]()
    if isinstance(source, Stream):
        some: list[Data] = []
        for values in source.epoch(0, 0):
            some.append(_admitted(door, values, some[0].sites if some else None))
            if sum(part.n for part in some) >= FEW:
                break
        if not some:
            raise DataError("batches: expected at least one, got none")
        first = _joined(some)
    elif isinstance(source, Arrays):
        some = [_admitted(door, source.read(slice(2)), None, range(2))]
        rows = max(1000, CHUNK // max(1, sum(v[0].numel() for v in some[0].rows.values())))
        identity, holes = _looked_through(source, door, some[0].sites, rows)
        places = torch.arange(min(source.n, rows)) * source.n // min(source.n, rows)
        first = _admitted(door, source.read(places), some[0].sites, places)
    else:
        places = Order(source.n, min(source.n, FEW), 0, source.blocks).batch(0)
        read = Generators(0)(source.read, places)
        first = _admitted(door, read, None, places)
    inputs, observed = (
        {k: torch.empty(_grown(first, k, v, source.n), dtype=v.dtype, device="meta") for k, v in of.items()}
        for of in (first.inputs, first.observed)
    )
    return Stored(
        inputs=inputs,
        observed=observed,
        n=source.n,
        sites=first.sites,
        columns=first.columns,
        classes=first.classes,
        source=source,
        door=door,
        first=first,
        holes=holes,
        identity=identity or source.identity(),
    )


def _looked_through(
    source: Arrays, door: Door, sites: Mapping[str, Site], rows: int
) -> tuple[str, dict[str, tuple[int, int]]]:
    """The fingerprint of all rows, and where cells are missing."""
    digests, holes = list[str](), dict[str, tuple[int, int]]()
    for start in range(0, source.n, rows):
        places = range(start, min(start + rows, source.n))
        part = _admitted(door, source.read(slice(places.start, places.stop)), sites, places)
        digests.append(part.fingerprint())
        for name, seen in part.seen.items():
            gone = torch.nonzero(~seen.flatten(1).all(1) if seen.dim() > 1 else ~seen).flatten()
            before, at = holes.get(name, (0, start + int(gone[0])))
            holes[name] = before + len(gone), at
    return digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest(), holes


def _admitted(
    door: Door,
    values: Mapping[str, Any],
    sites: Mapping[str, Site] | None,
    places: Sequence[int] | Tensor | None = None,
) -> Data:
    try:
        return door(values, sites)
    except DataError as error:
        if places is None:
            raise DataError(f"in a batch: {error}") from None
        told = re.sub(r" at \[(\d+)", lambda found: f" at [{int(places[int(found[1])])}", str(error))
        raise DataError(told) from None


def _joined(parts: list[Data]) -> Data:
    """The rows of all parts; what rows share is the first part's."""
    if len(parts) == 1:
        return parts[0]
    gaps = sorted({name for part in parts for name in part.seen})
    seen = {
        name: torch.cat(
            [p.seen.get(name, torch.ones_like(p.observed[name], dtype=torch.bool)) for p in parts]
        )
        for name in gaps
    }
    rows = {name: torch.cat([part.rows[name] for part in parts]) for name in parts[0].rows}
    first = parts[0]
    return replace(
        first,
        inputs={name: rows.get(name, v) for name, v in first.inputs.items()},
        observed={name: rows.get(name, v) for name, v in first.observed.items()},
        n=sum(part.n for part in parts),
        seen=seen,
    )


def _grown(data: Data, name: str, value: Tensor, n: int) -> tuple[int, ...]:
    return (n, *value.shape[1:]) if name in data.rows else tuple(value.shape)


def feed(data: Data, size: int, seed: int, step: int = 0) -> Generator[Rows]:
    """What the steps take, from ``step`` on: a function of the seed and the step."""
    if isinstance(data, Stored):
        yield from data.batches(size, seed, step)
    order = Order(data.n, size, seed)
    for here in count(step):
        index = order.batch(here)
        yield Rows(data.take(index) if len(index) < data.n else data, index, data.n / len(index))


def whole_or_stored(data: Data, size: int) -> tuple[Data, int]:
    """The data, in memory if each step takes all rows, and the rows of a batch (0 is all)."""
    size = size if 0 < size < data.n else data.n
    if isinstance(data, Stored) and isinstance(data.source, Indexed) and size == data.n:
        return data.take(slice(None)), size
    if isinstance(data, Stored) and isinstance(data.source, Stream):
        size = min(size, data.first.n)
    return data, size


def look(data: Data, size: int, seed: int, prefetch: int | None) -> tuple[Rows, int]:
    """The first batch, and how many a thread should read ahead.

    None where they are in memory, or draw random numbers, which belong to all threads; left open, two where
    reading one takes long enough for another thread to be worth its trouble.
    """
    with closing(feed(data, size, seed)) as rows:
        first, start = next(rows), perf_counter()
        if not isinstance(data, Stored) or isinstance(data.source, Stream) or data.source.random:
            return first, 0
        if prefetch is None:
            next(rows)
            return first, 2 * (perf_counter() - start > SLOW)
    return first, prefetch
