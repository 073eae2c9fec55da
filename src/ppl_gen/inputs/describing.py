"""What a model draws, as one run of it shows, and whether its inputs have the shape that it declares."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyro
import torch
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, Site, sites
from ppl_gen.errors import DataError, PplGenError
from ppl_gen.unscored import up_to_a_constant


def describe(p: ProbabilisticModel, inputs: Mapping[str, Any]) -> dict[str, Site]:
    """The sites of the model, from one run on two rows."""
    n = max((len(v) for v in inputs.values() if v.dim()), default=2)
    modes = {module: module.training for module in p.modules()}
    try:
        p.eval()  # so that a batch norm does not remember these rows
        with torch.no_grad(), pyro.validation_enabled(False):
            return sites(p.model, {**inputs, "n": n})
    except NotImplementedError as error:
        if type(p).model is ProbabilisticModel.model:
            raise
        raise up_to_a_constant(p, str(error).splitlines()[0]) from error
    finally:
        for module, training in modes.items():
            module.training = training


def described(p: ProbabilisticModel, inputs: Mapping[str, Tensor], n: int) -> dict[str, Site]:
    """The sites on the first two rows; inputs of another shape than the model declares are named.

    The default `given_shape` says (features,) of every input. Where there are several, or the features are
    those of what is generated, another shape is wrong only if the program does not run on it.
    """
    shapes = {name: p.given_shape(name) for name in inputs}
    wrong = {
        name: shape
        for name, shape in shapes.items()
        if shape is not None and tuple(inputs[name].shape[1:]) != shape
    }
    declared = type(p).given_shape is not ProbabilisticModel.given_shape
    if declared and wrong:
        name, shape = next(iter(wrong.items()))
        raise DataError(misshapen(name, shape, inputs[name]))
    try:
        found = describe(p, {name: v[:2] if v.dim() and len(v) == n else v for name, v in inputs.items()})
    except (RuntimeError, IndexError, ValueError) as error:
        for name, shape in wrong.items():
            if not isinstance(error, PplGenError):
                raise DataError(misshapen(name, shape, inputs[name])) from error
        raise
    for name, shape in wrong.items():  # it ran all the same, by broadcasting
        wide = inputs[name].dim() == 1 + len(shape) and len(inputs) == 1
        if wide and not any(tuple(site.event_shape) == shape for site in found.values() if site.local):
            raise DataError(misshapen(name, shape, inputs[name]))
    return found


def misshapen(name: str, row: Iterable[int], value: Tensor) -> str:
    """What an input is told that has the rows' right number, or not, but not their shape."""
    shape = ", ".join(map(str, ("rows", *row)))
    return f"{name}: expected shape ({shape}{',' * (shape == 'rows')}), got {tuple(value.shape)}"
