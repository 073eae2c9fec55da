"""The modules of a posterior (model, prior, guide): what is written of one, and one filled with it."""

import copy
from collections.abc import Mapping
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ppl_gen.errors import DataError, ForeignFile
from ppl_gen.inference.guides import Automatic, Mode, Point, WithParameters
from ppl_gen.inference.nuts import Draws
from ppl_gen.posterior import Posterior
from ppl_gen.storage.values import shown

_Module = TypeVar("_Module", bound=nn.Module)


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, not copied."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def description(module: nn.Module) -> dict[str, Any]:
    """What a module is beside its tensors' values."""
    tensors = tensors_of(module)
    orders = {n: sorted(range(t.dim()), key=t.stride().__getitem__, reverse=True) for n, t in tensors.items()}
    return {
        "modules": {name: [type(m).__name__, m.training] for name, m in module.named_modules()},
        "frozen": [name for name, t in module.named_parameters() if not t.requires_grad],
        # The order in memory decides how sums round.
        "orders": {
            name: order
            for name, order in orders.items()
            if not tensors[name].is_contiguous() and tensors[name].permute(order).is_contiguous()
        },
    }


def filled(parts: Mapping[str, Any], tensors: Mapping[str, Tensor], part: str, fresh: _Module) -> _Module:
    """A copy of the module ``fresh`` with the tensors and the modes of the file's ``part``."""
    module, saved = copy.deepcopy(fresh), parts[part]
    there = {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}
    here = tensors_of(module)
    inside = dict(module.named_modules())
    file_says = {name: kind for name, (kind, _) in saved["modules"].items()}
    _same("module", part, file_says, {name: type(m).__name__ for name, m in inside.items()})
    shapes = ({name: tuple(t.shape) for name, t in sorted(ts.items())} for ts in (there, here))
    _same("tensor", part, *shapes)
    for name, tensor in there.items():
        order = saved["orders"].get(name, range(tensor.dim()))
        target = torch.empty_permuted(tensor.shape, tuple(order), dtype=tensor.dtype)
        here[name].data = target.copy_(tensor).to(here[name].device)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in saved["frozen"])
    for name, (_, training) in saved["modules"].items():
        inside[name].training = training
    return module


def _same(what: str, part: str, file_says: Mapping[str, Any], passed: Mapping[str, Any]) -> None:
    for name in [*file_says, *passed]:
        first, second = (str(side.get(name, "missing")) for side in (file_says, passed))
        if first != second:
            raise ForeignFile(
                f"the {what} {name!r} of its {part} is {first} in the file, and {second} in the one that was "
                f"made afresh or passed"
            )


def kind_of(posterior: Posterior) -> str:
    """Where it comes from: none, the model's own, automatic, a function, point, mode, draws, or a module."""
    guide = posterior.guide
    if guide is None:
        return "none"
    if isinstance(guide, MethodType) and guide.__self__ is posterior.model and guide.__name__ == "guide":
        return "own"
    if isinstance(guide, nn.Module):
        known: dict[type, str] = {Automatic: "automatic", WithParameters: "function", Point: "point"}
        known |= {Mode: "mode", Draws: "draws"}
        return known.get(type(guide), "module")
    raise DataError(f"posterior: save knows no guide such as {guide!r}")


def guide_name(guide: Any) -> str:
    """What a person calls the guide."""
    program = guide.family if isinstance(guide, Automatic) else getattr(guide, "program", guide)
    return shown(getattr(program, "func", program))
