"""A bare program of a fit, run again with another value for one of its arguments."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import variables
from ppl_gen.diagnostics.trees.pyro_labels import named
from ppl_gen.diagnostics.trees.subsamples import whole_plates
from ppl_gen.inference import PyroFit
from ppl_gen.inference.elbo import Node
from ppl_gen.isolation import isolated

Rows = Tensor | np.ndarray[Any, Any]


Place = tuple[Any, ...]  # by position or by name, then the keys of dictionaries and places in sequences


def arguments_of(found: PyroFit) -> dict[str, tuple[Place, Rows]]:
    """The arrays of numbers among the arguments of the fit that have rows, by name.

    Those in dictionaries, data frames, tuples and lists, too.
    """
    args, kwargs = found.arguments
    places = named(found.model, range(len(args)), {name: name for name in kwargs})
    every = dict[str, tuple[Place, Rows]]()

    def add(name: str, place: Place, value: Any) -> None:
        if isinstance(value, Tensor | np.ndarray):
            if value.ndim and (isinstance(value, Tensor) or value.dtype.kind in "biuf"):
                every[name] = place, value
        elif isinstance(value, Mapping):
            for key, part in value.items():
                add(f"{name}[{key!r}]", (*place, key), part)
        elif hasattr(value, "columns") and hasattr(value, "assign"):  # a frame of pandas
            for key in value.columns:
                add(f"{name}[{key!r}]", (*place, key), np.array(value[key]))
        elif isinstance(value, tuple | list):
            for i, part in enumerate(value):
                add(f"{name}[{i}]", (*place, i), part)

    for name, value in named(found.model, args, kwargs).items():
        add(name, (places[name],), value)
    return every


def _with(whole: Any, place: Place, value: Any) -> Any:
    """The same, but for what stands at that place."""
    if not place:
        return value
    key, *more = place
    part = _with(whole[key], tuple(more), value)
    if isinstance(whole, Mapping):
        return {**whole, key: part}
    if hasattr(whole, "assign"):
        return whole.assign(**{key: part})
    parts = [part if i == key else old for i, old in enumerate(whole)]
    return type(whole)(*parts) if hasattr(whole, "_fields") else type(whole)(parts)


def latents_of(found: PyroFit) -> poutine.Trace:
    """One draw of the guide."""
    args, kwargs = found.arguments
    with whole_plates():
        return poutine.trace(found.guide).get_trace(*args, **kwargs)


def rerun(
    found: PyroFit, latents: poutine.Trace, seed: int, place: Place | None = None, value: Any = None
) -> dict[str, Node]:
    """The sites of the model on these latents and all rows, where ``place`` holds the ``value`` instead."""
    args, kwargs = found.arguments
    if place is not None and isinstance(place[0], str):
        kwargs = _with(kwargs, place, value)
    elif place is not None:
        args = _with(args, place, value)
    with isolated(seed), whole_plates():
        trace = poutine.trace(poutine.replay(found.model, trace=latents)).get_trace(*args, **kwargs)
        trace.compute_log_prob()
        return variables(trace)


def equal(a: Any, b: Any) -> bool:
    """Of one shape, and alike up to rounding."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), 1e-4, 1e-5, equal_nan=True)


def numbers(value: Rows) -> np.ndarray[Any, Any]:
    """A copy in float64."""
    return np.array(value.numpy(force=True) if isinstance(value, Tensor) else value, dtype=np.float64)
