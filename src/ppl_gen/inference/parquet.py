"""Columns of Parquet files as rows of data."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.errors import DataError
from ppl_gen.inference.batches import WINDOW
from ppl_gen.inference.sources import Indexed, Values


class Parquet(Indexed):
    """Columns of one or more Parquet files, as data for `fit`.

    `SVI` takes the row groups in random order, and shuffles together the rows of as many as hold 131,072:
    of a file that is sorted, write small groups, so that each batch sees many. `Exact` and
    `MaximumLikelihood` count group after group. What tells a file from another, where a fit is resumed, are
    the statistics that it keeps of its groups (rows, bytes, extremes), not each value. Needs pyarrow:
    ``pip install 'ppl-gen[parquet]'``.

    Args:
        path: a file, or several of the same columns.
        columns: variable -> its column, or the columns of its features.

    Raises:
        DataError: no such file or column, or pyarrow is not there.
    """

    def __init__(self, path: str | Path | Sequence[str | Path], /, **columns: str | Sequence[str]):
        try:
            import pyarrow.parquet as parquet
        except ImportError:
            raise DataError(
                "Parquet: reading needs pyarrow; install it with: pip install 'ppl-gen[parquet]'"
            ) from None
        paths = [path] if isinstance(path, str | Path) else list(path)
        if not paths or not columns:
            raise DataError(
                'Parquet: expected a file and columns, as in Parquet("rows.parquet", x=["a", "b"])'
            )
        self.columns: dict[str, list[str]] = {
            k: [v] if isinstance(v, str) else list(v) for k, v in columns.items()
        }
        self.single = {name for name, value in columns.items() if isinstance(value, str)}
        self.files = []
        for each in paths:
            if not Path(each).is_file():
                raise DataError(f"Parquet: expected a file, got {str(each)!r}, which is none")
            self.files.append(parquet.ParquetFile(each))
            there = self.files[-1].schema_arrow.names
            lacking = [c for wanted in self.columns.values() for c in wanted if c not in there]
            if lacking:
                raise DataError(f"Parquet: {each} has no column {lacking[0]!r}; it has {', '.join(there)}")
        self.groups = [(f, i) for f in self.files for i in range(f.metadata.num_row_groups)]
        sizes = [f.metadata.row_group(i).num_rows for f, i in self.groups]
        self.groups = [group for group, size in zip(self.groups, sizes, strict=True) if size]
        self.blocks = self.sizes = [size for size in sizes if size]
        self.n = sum(self.sizes)
        self.lasts = torch.tensor(self.sizes).cumsum(0)
        self.held: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def __iter__(self) -> Iterator[Values]:
        """One row group after the other."""
        return (self._decoded(i) for i in range(len(self.groups)))

    def read(self, places: Tensor | slice) -> Values:
        index = torch.arange(self.n)[places]
        group = torch.searchsorted(self.lasts, index, right=True)
        found: dict[str, Any] = {}
        for i in group.unique().tolist():
            mine = group == i
            within = (index[mine] - (self.lasts[i] - self.sizes[i])).numpy()
            for name, column in self._held(i).items():
                rows = column[within]
                if name not in found:
                    found[name] = np.empty((len(index), *rows.shape[1:]), dtype=rows.dtype)
                if rows.dtype != found[name].dtype:  # integers, and somewhere a missing one
                    found[name] = found[name].astype(np.result_type(rows, found[name]))
                found[name][mine.numpy()] = rows
        return found

    def identity(self) -> str:
        return hashlib.sha256(
            repr([self.columns, *(f.metadata.row_group(i).to_dict() for f, i in self.groups)]).encode()
        ).hexdigest()

    def _held(self, group: int) -> dict[str, Any]:
        """A decoded row group; those of about two windows are kept."""
        if group not in self.held:
            self.held[group] = self._decoded(group)
            most = 2 * (WINDOW + max(self.sizes))
            while sum(self.sizes[i] for i in self.held) > most:
                self.held.popitem(last=False)
        self.held.move_to_end(group)
        return self.held[group]

    def _decoded(self, group: int) -> dict[str, Any]:
        file, i = self.groups[group]
        wanted = list(dict.fromkeys(c for each in self.columns.values() for c in each))
        table = file.read_row_group(i, columns=wanted, use_threads=False)
        cells = {c: table.column(c).to_numpy(zero_copy_only=False) for c in wanted}
        return {
            name: cells[own[0]] if name in self.single else np.column_stack([cells[c] for c in own])
            for name, own in self.columns.items()
        }
