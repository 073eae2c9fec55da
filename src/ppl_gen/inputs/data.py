"""What passed the door: named tensors, their rows, and what of them is missing."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.core import Site

_HASHED_WHOLE = 1 << 22  # bytes; larger tensors are fingerprinted by the sums of their blocks
_BLOCK = (257, 509)  # whole numbers of 64 bits, 1 MB; primes, with which no table's rows are aligned


@dataclass(frozen=True)
class Data:
    """Named values that passed the door.

    Attributes:
        inputs: what the joint is given (x of a discriminative model).
        observed: values of generated variables.
        n: the number of rows.
        seen: where an observed variable has missing cells, the mask of those that are there.
        sites: every generated variable as one run of the model shows it.
        open: whether the guide is told which cells are missing.
        columns: what a data frame calls its columns.
        classes: where classes came by name, what the codes 0, 1, … of a variable stand for.
    """

    inputs: Mapping[str, Tensor]
    observed: Mapping[str, Tensor]
    n: int
    sites: Mapping[str, Site]
    seen: Mapping[str, Tensor] = field(default_factory=dict)
    open: bool = False
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """Everything by name: what signatures of models and guides may ask for."""
        told = {name: v for name, v in self.gaps.items() if name in self.seen} if self.open else {}
        return {**self.inputs, **self.observed, **told, "n": self.n}

    @property
    def rows(self) -> dict[str, Tensor]:
        """The values that have one entry for each row."""
        local = {name: v for name, v in self.observed.items() if self.sites[name].local}
        return {**{name: v for name, v in self.inputs.items() if v.dim() and len(v) == self.n}, **local}

    @property
    def gaps(self) -> dict[str, Tensor]:
        """The rows, with NaN where a cell is missing."""
        return self.rows | {
            name: torch.where(seen, self.observed[name], torch.nan) for name, seen in self.seen.items()
        }

    @property
    def example(self) -> "Data":
        """Rows that stand for all where a fit starts."""
        return self

    @property
    def blank(self) -> dict[str, tuple[int, int]]:
        """A variable of one number a row -> how many rows lack it, and the first of them."""
        gone = {name: torch.nonzero(~seen).flatten() for name, seen in self.seen.items() if seen.dim() == 1}
        return {name: (len(rows), int(rows[0])) for name, rows in gone.items() if len(rows)}

    def take(self, index: Tensor | slice) -> "Data":
        """The rows of ``index``; a slice copies nothing."""
        part = {name: v[index] for name, v in self.rows.items()}
        return Data(
            {name: part.get(name, v) for name, v in self.inputs.items()},
            {name: part.get(name, v) for name, v in self.observed.items()},
            len(range(self.n)[index]) if isinstance(index, slice) else len(index),
            self.sites,
            {name: v[index] for name, v in self.seen.items()},
            self.open,
            self.columns,
            self.classes,
        )

    def with_value(self, name: str, value: Tensor) -> "Data":
        """The same rows and one more observed variable."""
        return replace(self, observed={**self.observed, name: value})

    def fingerprint(self) -> str:
        """A hash of names, shapes, types and values, and of what is missing.

        Of a tensor above 4 MB it is the hash of the sums of all its blocks of 1 MB, by rows and by columns,
        of what the memory holds, read as whole numbers, modulo 2⁶⁴. That takes a fifth of the time: no one
        changed value goes unnoticed, and values that change places only if they leave every one of these
        sums as it was. Against forgers it is no proof.
        """
        digest = hashlib.sha256()
        gaps = {f"{name} seen": mask for name, mask in self.seen.items()}
        for name, value in sorted({**self.inputs, **self.observed, **gaps}.items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype};".encode())
            array = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            size = 8 * math.prod(_BLOCK)
            blocks = len(array) // size if array.nbytes > _HASHED_WHOLE else 0
            for start in range(0, blocks * size, size):
                block = array[start : start + size].view(np.int64).reshape(_BLOCK)
                digest.update(block.sum(0).data)
                digest.update(block.sum(1).data)
            digest.update(array[blocks * size :].data)
        return digest.hexdigest()


def may_repeat(found: Mapping[str, Site], observed: Iterable[str]) -> bool:
    """Whether rows repeat by themselves, being discrete; the same continuous rows are the same data."""
    supports = (found[name].support for name in observed if name in found)
    return all(getattr(support, "is_discrete", True) for support in supports)
