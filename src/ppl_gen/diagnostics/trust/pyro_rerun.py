"""A bare program of a fit, run again with another value for one of its arguments."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

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


class Place(NamedTuple):
    """Where an argument stands: by position or by name, and in a dictionary under its key."""

    argument: int | str
    key: Hashable = None


def arguments_of(found: PyroFit) -> dict[str, tuple[Place, Rows]]:
    """The arrays among the arguments of the fit that have rows, and those in dictionaries, by name."""
    args, kwargs = found.arguments
    places = named(found.model, range(len(args)), {name: name for name in kwargs})
    every = dict[str, tuple[Place, Any]]()
    for name, value in named(found.model, args, kwargs).items():
        if isinstance(value, Mapping):
            every |= {f"{name}[{key!r}]": (Place(places[name], key), part) for key, part in value.items()}
        else:
            every[name] = Place(places[name]), value
    return {
        name: (place, value)
        for name, (place, value) in every.items()
        if isinstance(value, Tensor | np.ndarray) and value.ndim
    }


def latents_of(found: PyroFit) -> poutine.Trace:
    """One draw of the guide."""
    args, kwargs = found.arguments
    with whole_plates():
        return poutine.trace(found.guide).get_trace(*args, **kwargs)


def rerun(
    found: PyroFit, latents: poutine.Trace, seed: int, place: Place | None = None, value: Any = None
) -> dict[str, Node]:
    """The sites of the model on these latents and all rows, where ``place`` holds the ``value`` instead."""
    args, kwargs = list(found.arguments[0]), dict(found.arguments[1])
    if place is not None:
        those: Any = kwargs if isinstance(place.argument, str) else args
        whole = those[place.argument]
        those[place.argument] = value if place.key is None else {**whole, place.key: value}
    with isolated(seed), whole_plates():
        trace = poutine.trace(poutine.replay(found.model, trace=latents)).get_trace(*args, **kwargs)
        trace.compute_log_prob()
        return variables(trace)


def equal(a: Any, b: Any) -> bool:
    """Of one shape, and alike up to rounding."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), 1e-4, 1e-5, equal_nan=True)
