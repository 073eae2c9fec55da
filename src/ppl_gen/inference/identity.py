"""What a fit is a fit of, in words that can be compared: its model, its data and its settings."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LONG = 60  # characters; longer values are told by a digest


def identity_of_fit(method: Any, start: Any, guide: Any, data: Any) -> dict[str, str]:
    """Of a declared joint, as it starts, and its rows; ``guide`` is the one that is continued, if one is."""
    made = getattr(start, "configuration", {})
    about = {"the model": f"{type(start).__name__}, {start.joint}"}
    about |= {f"the model's {name}": told(value) for name, value in made.items()}
    about |= fixed("the model's", start) | fixed("the guide's", method.guide if guide is None else guide)
    arrays = {name: v for name, v in data.values.items() if isinstance(v, Tensor)}
    about |= {f"the data {name}": shape(value) for name, value in arrays.items()}
    about |= {"the rows": f"{data.n:,}", "the data": f"#{data.fingerprint()[:16]}"}
    return about | settings(method, start)


def identity_of_pair(
    method: Any, model: Any, guide: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, str]:
    """Of a bare Pyro model and guide as they start, and what they are called with."""
    about = {"the model": told(model), "the guide": told(guide)}
    about |= fixed("the model's", model) | fixed("the guide's", guide)
    about |= {f"argument {i + 1}": told(value) for i, value in enumerate(args)}
    about |= {f"the argument {name}": told(value) for name, value in kwargs.items()}
    return about | settings(method, model)


def settings(method: Any, p: Any) -> dict[str, str]:
    """The settings that decide the numbers: the method's, else the model's."""
    others = ("progress", "checkpoint", "prefetch")
    names = (field.name for field in fields(method) if field.name not in others)
    own = getattr(p, "svi", {})
    return {n: told(own.get(n) if getattr(method, n) is None else getattr(method, n)) for n in names}


def fixed(whose: str, program: Any) -> dict[str, str]:
    """Buffers and frozen parameters of a module, or of the one whose method the program is."""
    owner = program if isinstance(program, nn.Module) else getattr(program, "__self__", None)
    if not isinstance(owner, nn.Module):
        return {}
    frozen = {name: w for name, w in owner.named_parameters() if not w.requires_grad}
    held = {**dict(owner.named_buffers()), **frozen}
    return {f"{whose} tensor {name}": told(value) for name, value in held.items()}


def shape(value: Any) -> str:
    """Type and shape of a tensor or array."""
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def told(value: Any) -> str:
    """A value in words: the same for the same value in every process, another for another.

    Functions are told by their code and what they enclose; modules and other objects by their class.

    >>> told(3), told([1.5, "a"]), told(torch.zeros(2))
    ('3', "[1.5, 'a']", 'float32 (2,) #af5570f5a1810b7a')
    """
    text = _told(value)
    return text if len(text) <= LONG else f"{text[: LONG - 20]}… #{_digest(text.encode())}"


def _told(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray | np.generic):
        array = torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value.detach().cpu())
        flat = array.contiguous().flatten()
        return f"{shape(array)} #{_digest(flat.view(torch.uint8).numpy().data)}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_told, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_told(k)}: {_told(v)}" for k, v in value.items()) + "}"
    if isinstance(value, functools.partial):
        return f"{_told(value.func)}{_told(value.args)}{_told(value.keywords)}"
    if isinstance(value, MethodType):
        return _told(value.__func__)
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        code = f"{_code(value.__code__)}{_told(value.__defaults__)}{_told(cells)}"
        return f"{value.__qualname__} #{_digest(code.encode())}"
    if isinstance(value, type):
        return value.__qualname__
    if is_dataclass(value):
        return f"{type(value).__qualname__}{_told({f.name: getattr(value, f.name) for f in fields(value)})}"
    plain = bool | int | float | complex | str | bytes | torch.dtype | torch.device | None
    return repr(value) if isinstance(value, plain) else type(value).__qualname__


def _code(code: CodeType) -> str:
    return f"{code.co_code!r}{code.co_names}{list(map(_constant, code.co_consts))}"


def _constant(value: Any) -> str:
    if isinstance(value, frozenset):  # whose order is another in every process
        return f"{sorted(map(repr, value))}"
    return _code(value) if isinstance(value, CodeType) else repr(value)


def _digest(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
