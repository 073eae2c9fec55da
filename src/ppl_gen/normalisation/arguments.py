"""What a distribution was given, and how far that is inside its range."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, TransformedDistribution
from torch.distributions.utils import lazy_property

from ppl_gen.normalisation.integrals import base_of


def arguments_of(fn: Any) -> Iterator[tuple[str, Tensor, Any]]:
    """The tensors that a distribution was given, those of its parts included, with their constraints."""
    base = base_of(fn)
    parts = [getattr(base, p, None) for p in ("component_distribution", "_component_distribution")]
    if type(base).__name__ == "MixtureSameFamily":
        for part in parts:
            yield from arguments_of(part) if isinstance(part, Distribution) else ()
    for name, bound in getattr(base, "arg_constraints", {}).items():
        stated = getattr(type(base), name, None)  # what is lazy is computed from what was given
        stated = isinstance(stated, property) and not isinstance(stated, lazy_property)
        value = getattr(base, name) if stated else base.__dict__.get(name)
        if isinstance(value, Tensor):
            yield name, value, bound
    if isinstance(base, TransformedDistribution) and not getattr(base, "arg_constraints", {}):
        yield from arguments_of(base.base_dist)


def room(value: Tensor, bound: Any) -> Tensor | None:
    """How far each number is from the end of its range, below zero outside; None if there is no end."""
    while hasattr(bound, "base_constraint"):
        bound = bound.base_constraint
    low: Any = getattr(bound, "lower_bound", None)
    high: Any = getattr(bound, "upper_bound", None)
    if low is not None and high is not None:
        return torch.minimum(value - low, high - value)
    if low is not None or high is not None:
        return value - low if low is not None else high - value
    text = str(bound)
    if "Simplex" in text:
        return value
    return value.diagonal(dim1=-2, dim2=-1) if "LowerCholesky" in text else None
