"""Where rows lie that no memory holds: memory maps, torch's data sets and loaders."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    default_collate,
)

from ppl_gen.checks import called, whole
from ppl_gen.errors import DataError
from ppl_gen.inference.generators import Generators

Values = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Batches:
    """Rows that a torch data set or loader brings, with names: what `fit` takes as its data.

    The order of a data set's rows is a function of the seed and the epoch. A loader keeps its own; what it
    draws at random (its order, augmentations) the seed and the epoch decide too. A loader reads between the
    steps, so let its own workers read ahead (``num_workers``).

    What tells the rows from others, where a fit is resumed or continued, is a hash of fifty rows of a data
    set, evenly spaced, or of the first batch of any other source: the rest is taken on trust.

    Args:
        source: a map-style Dataset (`SVI`'s ``batch_size`` cuts it), a DataLoader, or anything that can be
            gone through again and again and gives batches.
        names: of the parts of a tuple, in its order; None leaves a part out. Not for mappings.
        rows: how many rows one epoch has, where the source does not know.

    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from ppl_gen import SVI, fit
    >>> from ppl_gen.models import LogisticRegression
    >>> x, y = torch.tensor([[0.], [1.], [2.], [3.]]), torch.tensor([0, 0, 1, 1])
    >>> loader = DataLoader(TensorDataset(x, y), batch_size=3, shuffle=True)
    >>> lr = LogisticRegression(classes=2, features=1)
    >>> fit(lr, SVI(steps=5), Batches(loader, names=("x", "y"))).n
    4
    """

    source: Any
    names: Sequence[str | None] | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        if self.rows is not None:
            whole("rows", self.rows)
        if isinstance(self.names, str):
            raise DataError(f"names: expected one name for each part, such as ('x', 'y'), got {self.names!r}")

    def __iter__(self) -> Iterator[Values]:
        """One epoch, in the source's own order for a loader and from the first row on for a data set."""
        here = opened(self)
        if isinstance(here, Stream):
            return here.epoch(0, 0)
        places = torch.arange(here.n).split(1024)
        return (here.read(place) for place in places)

    def named(self, item: Any) -> Values:
        """One batch, or row, with names."""
        if isinstance(item, Mapping):
            return item
        parts = item if isinstance(item, list | tuple) else (item,)
        if self.names is None:
            raise DataError(
                f'batches: expected mappings such as {{"x": rows}}, got {called(item)}; name its '
                f"parts: Batches(…, names=('x', 'y'))"
            )
        if len(parts) != len(self.names):
            raise DataError(f"names: expected one for each of {len(parts)} parts, got {self.names!r}")
        return {name: part for name, part in zip(self.names, parts, strict=True) if name is not None}


class Indexed:
    """Rows that can be read by their places."""

    n: int
    blocks: Sequence[int] | None = None  # rows that are read together, where the file decides
    random = False  # whether reading draws random numbers

    def read(self, places: Tensor | slice) -> Values:
        """Rows in the order of their places."""
        raise NotImplementedError

    def identity(self) -> str:
        """What tells these rows from others."""
        raise NotImplementedError


class Arrays(Indexed):
    """Arrays of one length, memory maps among them; what is not one is read whole."""

    def __init__(self, values: Values):
        self.values = {name: _plain(value) for name, value in values.items()}
        lengths = {name: len(v) for name, v in self.values.items() if v.ndim}
        self.n = max(lengths.values(), default=0)
        for name, length in lengths.items():
            if length != self.n:
                raise DataError(
                    f"{name}: expected {self.n:,} rows, as in the others, got {length:,} of shape "
                    f"{tuple(self.values[name].shape)}"
                )

    def read(self, places: Tensor | slice) -> Values:
        """Copies: a tensor on pages of the file would be read again at every look."""
        index = places if isinstance(places, slice) else places.numpy()
        return {name: np.array(v[index]) if v.ndim else v for name, v in self.values.items()}


class Items(Indexed):
    """A map-style data set of torch."""

    def __init__(self, batches: Batches):
        self.batches, self.items = batches, batches.source
        self.n = _length(self.items, batches.rows)
        self.random = Generators(0).used_by(self.read, torch.zeros(1, dtype=torch.long))

    def read(self, places: Tensor | slice) -> Values:
        """Rows collated by torch's own rule."""
        index = list(range(self.n)[places]) if isinstance(places, slice) else places.tolist()
        together = getattr(self.items, "__getitems__", None)
        rows = together(index) if together else [self.items[i] for i in index]
        return self.batches.named(default_collate(rows))

    def identity(self) -> str:
        return _identity(self.items, self.n)


class Stream:
    """Batches that come as their source likes, epoch after epoch."""

    def __init__(self, batches: Batches):
        self.batches, self.source = batches, batches.source
        self.n = _rows_of(self.source, batches)
        self.steps = _steps_of(self.source)
        dropped = isinstance(self.source, DataLoader) and self.source.drop_last
        self.least = self.n - (self.source.batch_size or self.n) + 1 if dropped else self.n

    def epoch(self, seed: int, epoch: int) -> Iterator[Values]:
        """The batches of one epoch; what is drawn for them at random, the seed and the epoch decide."""
        own = Generators(seed * 1_000_003 + epoch)
        items, end = own(iter, self.source), object()
        while (item := own(next, items, end)) is not end:
            yield self.batches.named(item)

    def refuse_others_than(self, rows: int) -> None:
        """An epoch had so many ``rows``; with another number each of them would have had a wrong weight."""
        if not self.least <= rows <= self.n:
            raise DataError(
                f"batches: expected {self.n:,} rows an epoch, as {called(self.source)} says; got {rows:,}. "
                f"Tell how many there are: Batches(…, rows={rows})"
            )

    def identity(self) -> str:
        rows = getattr(self.source, "dataset", None)
        if rows is not None and not isinstance(rows, IterableDataset):
            return _identity(rows, self.n)
        first = self.batches.named(Generators(0)(lambda: next(iter(self.source))))
        return _digest([self.n, first])


def opened(batches: Any) -> Indexed | Stream:
    """The rows behind what a user passes in the place of ``batches``."""
    if isinstance(batches, Indexed):
        return batches
    batches = batches if isinstance(batches, Batches) else Batches(batches)
    source = batches.source
    if isinstance(source, IterableDataset):
        raise DataError("batches: this data set gives single rows: DataLoader(dataset, batch_size=…)")
    if isinstance(source, Dataset):
        return Items(batches)
    if not hasattr(source, "__iter__"):
        raise DataError(f"batches: expected a DataLoader, a Dataset or Parquet(…), got {called(source)}")
    if iter(source) is source:
        raise DataError(
            f"batches: expected what can be gone through again and again, epoch after epoch; "
            f"{called(source)} can be read once. Exact() and MaximumLikelihood() need no more"
        )
    return Stream(batches)


def in_a_file(values: Values) -> bool:
    """Whether some are memory maps, and all are arrays of as many rows."""
    arrays = [v for v in values.values() if not hasattr(v, "to_numpy")]
    if len(arrays) < len(values) or not any(map(_mapped, arrays)):
        return False
    return len({np.shape(v)[:1] for v in arrays}) == 1


def _mapped(value: Any) -> bool:
    while isinstance(value, np.ndarray):
        if isinstance(value, np.memmap):
            return True
        value = value.base
    return False


def _steps_of(source: Any) -> int:
    """The batches of an epoch, if any epoch can be had without those before it; else 0."""
    if isinstance(source, list | tuple):
        return len(source)
    if not isinstance(source, DataLoader) or isinstance(source.dataset, IterableDataset):
        return 0
    own = (source.generator, getattr(source.sampler, "generator", None))  # which go on from epoch to epoch
    kinds = SequentialSampler, RandomSampler, SubsetRandomSampler
    plain = isinstance(source.sampler, kinds) and type(source.batch_sampler) in (BatchSampler, type(None))
    return len(source) if plain and own == (None, None) else 0


def _rows_of(source: Any, batches: Batches) -> int:
    """The rows of one epoch, which give each row of a batch its weight: n / batch."""
    if batches.rows is not None:
        return batches.rows
    if isinstance(source, list | tuple):
        return sum(len(next(iter(batches.named(part).values()))) for part in source)
    if isinstance(source, DataLoader):
        if source.persistent_workers:
            raise DataError(
                "batches: expected a DataLoader with persistent_workers=False: such workers draw on from one "
                "fit to the next, so that no seed decides what they draw"
            )
        sampler = source.sampler
        if isinstance(source.dataset, IterableDataset):
            return _length(source.dataset, None)
        if isinstance(sampler, SequentialSampler | RandomSampler):
            return _length(source.dataset, None)
        if isinstance(sampler, SubsetRandomSampler):
            return len(sampler)
        raise DataError(
            f"batches: {called(sampler)} takes rows in its own way; tell how many stand for all, since each "
            f"row weighs that many / batch: Batches(loader, rows=…)"
        )
    return _length(source, None)


def _length(rows: Any, told: int | None) -> int:
    if told is not None:
        return told
    try:
        return whole("rows", len(rows))
    except (TypeError, NotImplementedError):
        raise DataError(
            f"batches: expected to know how many rows there are, since each weighs n / batch; {called(rows)} "
            f"has no len(): Batches(…, rows=…)"
        ) from None


def _plain(value: Any) -> Any:
    return np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)


def _identity(rows: Any, n: int) -> str:
    """A hash of some fifty rows, evenly spaced."""
    places = [n * i // 50 for i in range(min(n, 50))] if n > 50 else list(range(n))
    return _digest([n, *Generators(0)(lambda: [rows[i] for i in places])])


def _digest(item: Any) -> str:
    digest = hashlib.sha256()
    if isinstance(item, Mapping):
        item = sorted(item.items())
    if isinstance(item, list | tuple):
        for part in item:
            digest.update(_digest(part).encode())
    elif isinstance(item, Tensor | np.ndarray):
        digest.update(repr(item.shape).encode() + _plain(item).tobytes())
    else:
        digest.update(repr(item).encode())
    return digest.hexdigest()
