"""The rows of a batch as a tuple of tensors, the only form that a graph takes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

SHORT = 32  # features: then operations vectorise better over rows


def tensors_of(batch: Any) -> tuple[Tensor, ...]:
    """The tensors of the rows, in an order that `with_tensors` knows."""
    if batch is None:
        return ()
    return (*batch.inputs.values(), *batch.observed.values(), *batch.seen.values())


def with_tensors(batch: Any, tensors: Sequence[Tensor]) -> Any:
    """The rows with other tensors of the same names."""
    left = iter(tensors)
    parts = {
        part: dict(zip(getattr(batch, part), left, strict=False)) for part in ("inputs", "observed", "seen")
    }
    return replace(batch, **parts)


def by_columns(a: Tensor) -> Tensor:
    """The same rows, column after column in memory, if they are short: loops over rows are long ones."""
    return a.mT.contiguous().mT if a.dim() == 2 and a.shape[1] < SHORT else a


def layout(batch: Any, scale: float) -> Any:
    """What a graph of these rows is for: another name, shape, type or stride is another graph."""
    parts = ("inputs", "observed", "seen") if batch is not None else ()
    rows = (
        (part, name, v.shape, v.dtype, v.stride())
        for part in parts
        for name, v in getattr(batch, part).items()
    )
    return scale, tuple(rows)
