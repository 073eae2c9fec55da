"""Values as JSON: tagged, without loss."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pyro.infer import autoguide
from torch import Tensor

from ppl_gen import distributions, inference, models
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import Likelihood, StandardNormal
from ppl_gen.errors import ForeignFile
from ppl_gen.inference import guides

SETTINGS = (Likelihood, StandardNormal)  # frozen data classes that a model is made with
CLASSES: dict[str, type] = {  # the only classes that a file can ask for
    f"{module.__name__}.{name}": value
    for module, kind in (
        (models, ProbabilisticModel), (distributions, SETTINGS), (inference, object),
        (autoguide, autoguide.AutoGuide), (guides, autoguide.AutoGuide), (torch.optim, torch.optim.Optimizer),
    )
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, kind)
}  # fmt: skip
NAMES = {value: name for name, value in CLASSES.items()}


def encoded(value: Any, tensors: dict[str, Tensor]) -> tuple[Any, str]:
    """The value as JSON and an empty text, or None and the value's name if a file cannot hold it."""
    try:
        return _encode(value, tensors), ""
    except TypeError:
        return None, shown(value)


def shown(value: Any) -> str:
    """What a person calls the value."""
    return str(getattr(value, "__name__", type(value).__name__))


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    def inner(values: Any) -> list[Any]:
        return [_encode(v, tensors) for v in values]

    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: inner(value)}
    if type(value) is dict:
        return {"dict": [inner(value.keys()), inner(value.values())]}
    if isinstance(value, type) and value in NAMES:
        return {"class": NAMES[value]}
    if isinstance(value, functools.partial):
        return {"partial": inner([value.func, list(value.args), dict(value.keywords)])}
    if isinstance(value, SETTINGS) and type(value) in NAMES:
        return {"likelihood": inner([type(value), dict(vars(value))])}
    key = f"value.{len(tensors)}"
    if type(value) is Tensor:
        tensors[key] = value
        return {"tensor": key}
    if isinstance(value, np.ndarray | np.generic):
        native = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
        tensors[key] = torch.from_numpy(native)
        return {"array": key}
    raise TypeError(f"a file holds no {type(value).__name__}")


def decode(code: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that was encoded."""

    def inner(codes: Any) -> list[Any]:
        return [decode(c, tensors) for c in codes]

    if not isinstance(code, dict):
        return code
    ((kind, content),) = code.items()
    match kind:
        case "list":
            return inner(content)
        case "tuple":
            return tuple(inner(content))
        case "dict":
            return dict(zip(inner(content[0]), inner(content[1]), strict=True))
        case "class":
            return CLASSES[content]
        case "partial":
            function, args, keywords = inner(content)
            return functools.partial(function, *args, **keywords)
        case "likelihood":
            family, fields = inner(content)
            if issubclass(family, SETTINGS):
                return family(**fields)
        case "tensor":
            return tensors[content].clone()
        case "array":
            return tensors[content].clone().numpy()[()]
    raise ForeignFile(f"it holds a {kind!r}, which this version does not know")
