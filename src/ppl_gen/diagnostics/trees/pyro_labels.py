"""Names for the dimensions of a bare Pyro program: its plates, and the arguments that it was given."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pyro import poutine
from torch import Tensor, nn

from ppl_gen.core import variables
from ppl_gen.diagnostics.trees.labels import Coords, Dims, Labels, own_dims
from ppl_gen.errors import DataError
from ppl_gen.inference.elbo import Node, delta


class PlateLabels(Labels):
    """Labels of a program's variables; a plate that is called like a variable gets another name."""

    taken: frozenset[str] = frozenset()

    def plates(self, names: Sequence[str]) -> tuple[str, ...]:
        """The dimensions of these plates."""
        return tuple(_apart(name, self.taken) for name in names)


class Given(dict[str, Tensor]):
    """Numbers that a model was given, by name; ``columns`` are those of data frames."""

    columns: dict[str, tuple[str, ...]]


def labels_of_trace(
    trace: poutine.Trace, given: Given, dims: Dims | None, coords: Coords | None, chains: int
) -> PlateLabels:
    """Labels from one run: plates by name, other dimensions ``x_dim_0``; a frame's columns by name.

    Arguments of the model have the plate of their size, if only one has it.
    """
    found = variables(trace)
    taken = frozenset(found) | frozenset(given)
    sizes = {f.name: f.size for site in found.values() for f in site["cond_indep_stack"] if f.vectorized}
    own = {}
    for name, site in found.items():
        events = tuple(f"{name}_dim_{i}" for i in range(site["fn"].event_dim))
        if (
            delta(site) and site["is_observed"]
        ):  # pyro.deterministic calls all its dimensions event dimensions
            own[name] = _deterministic(name, site)
        else:
            own |= own_dims({name: site}, {name: events}, singular=False)
        own[name] = tuple(_apart(dim, taken) for dim in own[name])
    for name, value in given.items():
        plate = [plate for plate, size in sizes.items() if value.dim() and len(value) == size]
        first = (_apart(plate[0], taken) if len(plate) == 1 else f"{name}_dim_0",)
        own[name] = (first + tuple(f"{name}_dim_{i}" for i in range(1, value.dim())))[: value.dim()]
    labels = PlateLabels(own, dims, coords, chains)
    labels.taken = taken
    labels.columns = {labels.own[name][-1]: columns for name, columns in given.columns.items()}
    return labels


def _apart(dim: str, taken: frozenset[str]) -> str:
    """No dimension may be called like a variable."""
    return f"{dim}_plate" if dim in taken else dim


def _deterministic(name: str, site: Node) -> tuple[str, ...]:
    shape = site["value"].shape
    frames = {f.dim: f for f in site["cond_indep_stack"] if f.vectorized}
    fits = all(-dim <= len(shape) and shape[dim] == frame.size for dim, frame in frames.items())
    return tuple(
        frames[i - len(shape)].name if fits and i - len(shape) in frames else f"{name}_dim_{i}"
        for i in range(len(shape))
    )


def constants(
    model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], observed: Mapping[str, Node]
) -> Given:
    """The numbers that the model was given and does not generate, by the names of its arguments."""
    kept = Given()
    kept.columns = {}
    values = named(model, args, kwargs)
    seen = [site["value"] for site in observed.values()]
    for name, value in values.items():
        tensor = _numbers(value)
        if tensor is None or any(tensor.shape == v.shape and bool((tensor == v).all()) for v in seen):
            continue
        kept[name] = tensor
        if hasattr(value, "columns"):
            kept.columns[name] = tuple(map(str, value.columns))
    return kept


def named(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a model is called with, by the names that its signature has for it."""
    try:
        bound = signature_of(model).bind(*args, **kwargs)
    except (TypeError, ValueError):  # a builtin, or a callable that hides its signature
        return {}
    values: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            values |= value
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            values |= {f"{name}_{i}": part for i, part in enumerate(value)}
        else:
            values[name] = value
    return values


def signature_of(program: Any) -> inspect.Signature:
    """What a program is called with, as it was written: also of the copies of `fit_pyro`.

    Raises:
        ValueError: it hides its signature.
    """
    program = program.program if hasattr(program, "parameters_by_name") else program
    return inspect.signature(program.forward if isinstance(program, nn.Module) else program)


def refuse_unbound(name: str, program: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Arguments that the program cannot be called with, before Python says so of a line of Pyro's."""
    try:
        signature = signature_of(program)
    except ValueError:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [
            p.name for p in signature.parameters.values() if p.default is p.empty and p.kind not in several
        ]
        raise DataError(
            f"model: {name}{signature} cannot be called with the arguments that came: {error}. Pass after "
            f"the model what the fit was given: to_arviz(fitted, {', '.join(['model', *needed])})"
        ) from None


def _numbers(value: Any) -> Tensor | None:
    if isinstance(value, bool) or not (isinstance(value, int | float) or hasattr(value, "__array__")):
        return None
    try:
        return value.detach() if isinstance(value, Tensor) else torch.tensor(np.array(value))
    except (TypeError, ValueError):  # of text, or of objects
        return None
