"""Where a fit computes, and how precisely its networks do."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ppl_gen.errors import DataError
from ppl_gen.inference.climb import Rows
from ppl_gen.inputs import Data

NETWORKS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def checked(device: Any) -> str:
    """The name of a device that torch knows, whether or not this machine has it.

    >>> checked("gpu")
    Traceback (most recent call last):
    ...
    ppl_gen.errors.DataError: device: expected None, "cpu", "cuda" or "cuda:1", got 'gpu'
    """
    try:
        name = str(torch.device(device))
    except (RuntimeError, TypeError):
        name = ""
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise DataError(f'device: expected None, "cpu", "cuda" or "cuda:1", got {device!r}')
    return name


def ready(device: str | None) -> torch.device:
    """The device, which this machine has; its generators exist from now on, so that they can be restored.

    >>> ready("cuda:99")
    Traceback (most recent call last):
    ...
    ppl_gen.errors.DataError: device: expected one that this machine has (cpu...), got 'cuda:99'
    """
    found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    found += ["mps"] * torch.backends.mps.is_available()
    wanted = torch.device(device or "cpu")
    index = "" if wanted.type != "cuda" else f":{wanted.index or 0}"
    if f"{wanted.type}{index}" not in found:
        raise DataError(f"device: expected one that this machine has ({', '.join(found)}), got {device!r}")
    if wanted.type == "cuda":
        torch.cuda.init()
    return wanted


def moved(data: Data, device: torch.device) -> Data:
    """The same rows there."""
    there = {
        part: {name: v.to(device) for name, v in getattr(data, part).items()}
        for part in ("inputs", "observed", "seen")
    }
    return replace(data, inputs=there["inputs"], observed=there["observed"], seen=there["seen"])


def fed(rows: Iterator[Rows], device: torch.device) -> Generator[Rows]:
    """The same batches there; where they come from, nothing is known of the device."""
    while True:
        with torch.device("cpu"):
            here = next(rows)
        yield here._replace(batch=moved(here.batch, device))


@contextmanager
def computing(programs: Iterable[Any], device: torch.device, precision: str | None) -> Iterator[None]:
    """The modules behind ``programs`` on the device, and all new tensors too; on the CPU again at the end.

    With precision "bfloat16" matrix products and convolutions take numbers of 16 bits (8 of them in the
    mantissa) and add up in 32 (Micikevicius et al. 2018, Mixed precision training; Kalamkar et al. 2019).
    Parameters, log densities and the optimiser keep theirs.
    """
    owners = (p if isinstance(p, nn.Module) else getattr(p, "__self__", None) for p in programs)
    modules = nn.ModuleList(owner for owner in owners if isinstance(owner, nn.Module))
    with ExitStack() as stack:
        if torch.is_autocast_enabled(device.type):  # the caller's: precision alone decides here
            stack.enter_context(torch.autocast(device.type, enabled=False))
        if precision:
            for module in modules.modules():
                if isinstance(module, NETWORKS):
                    stack.enter_context(_coarse(module, device.type))
        if device.type != "cpu":
            stack.callback(modules.to, "cpu")
            modules.to(device)
            stack.enter_context(device)
        yield


@contextmanager
def _coarse(module: nn.Module, kind: str) -> Iterator[None]:
    """One layer in bfloat16, with inputs and outputs as they were."""
    forward = module.forward

    def coarse(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        with torch.autocast(kind, dtype=torch.bfloat16):
            found: Tensor = forward(x, *args, **kwargs)
        return found.to(x.dtype)

    module.forward = coarse
    try:
        yield
    finally:
        del module.forward
