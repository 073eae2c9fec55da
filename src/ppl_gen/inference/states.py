"""The state of a fit beside its modules, as JSON and tensors: random generators and the optimiser."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def random_states() -> dict[str, Any]:
    """The states of all generators that a step may draw from."""
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": list(cuda),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "python": (version, torch.tensor(words), gauss),
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Draw on from these states."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_initialized():
        torch.cuda.set_rng_state_all(states["cuda"][: torch.cuda.device_count()])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """What it remembers, parameter by parameter, and its settings."""
    (group,) = optimiser.param_groups
    return {
        "state": [dict(optimiser.state.get(w, {})) for w in group["params"]],
        "group": {name: value for name, value in group.items() if name != "params" and not callable(value)},
    }


def set_optimiser_state(optimiser: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Make it remember what was saved; ``load_state_dict`` would round to the parameters' type."""
    (group,) = optimiser.param_groups
    for parameter, state in zip(group["params"], saved["state"], strict=True):
        if state:
            optimiser.state[parameter] = {name: _like(parameter, value) for name, value in state.items()}
    group.update(saved["group"])


def _like(parameter: Tensor, value: Any) -> Any:
    """A tensor in the parameter's order in memory, which decides how some sums round."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value).detach()


def encode(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """The value as JSON; its tensors go into ``tensors`` under names that start with ``name``.

    Raises:
        TypeError: a file cannot hold it.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        key = f"{name}.{len(tensors)}"
        tensors[key] = value
        return {"tensor": [key, value.device.type]}
    if type(value) in (list, tuple):
        return {type(value).__name__: [encode(v, tensors, name) for v in value]}
    if isinstance(value, Mapping):
        return {"dict": [[encode(v, tensors, name) for v in pair] for pair in value.items()]}
    raise TypeError(f"a checkpoint holds no {type(value).__name__}")


def decode(code: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that was encoded."""
    if not isinstance(code, dict):
        return code
    ((kind, content),) = code.items()
    if kind == "tensor":
        key, device = content
        return tensors[key].clone().to(device)
    if kind == "dict":
        return {decode(k, tensors): decode(v, tensors) for k, v in content}
    made = [decode(c, tensors) for c in content]
    return tuple(made) if kind == "tuple" else made
