"""Leave no trace: every verb runs inside `isolated`, which restores all global state on the way out."""

import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pyro
import torch
from pyro.poutine import runtime
from torch.distributions import Distribution

_ONE_AT_A_TIME = threading.RLock()  # Pyro's handler stack and parameter store belong to the process


@contextmanager
def isolated(seed: int | None = None, *, grad: bool = False, validate: bool = False) -> Iterator[None]:
    """Run Pyro code without lasting effect on the process.

    Random states (torch on all devices in use, NumPy, random), Pyro's settings, validation flags and
    parameter store, the default dtype, autograd's mode and the filters of warnings are as before
    afterwards, also after an error. Inside, the parameters of a module stay in the module, and ``seed``
    (fresh entropy if None) decides every draw. Handlers and plates of the caller do not reach in. Threads
    take turns.
    """
    with _ONE_AT_A_TIME, ExitStack() as stack:
        devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        stack.enter_context(torch.random.fork_rng(devices=list(devices)))
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())
        stack.callback(Distribution.set_default_validate_args, Distribution._validate_args)
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        stack.enter_context(warnings.catch_warnings())  # parts of torch that load late add filters
        stack.enter_context(pyro.settings.context(module_local_params=True))
        stack.enter_context(pyro.validation_enabled(validate))
        stack.enter_context(pyro.get_param_store().scope())
        stack.enter_context(_outside_handlers())
        stack.enter_context(_numbers())
        stack.enter_context(torch.set_grad_enabled(grad))
        seed = int.from_bytes(random.SystemRandom().randbytes(4), "little") if seed is None else seed
        pyro.set_rng_seed(seed % 2**32)
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run code of ours, verbs and what is between them, as if torch's defaults were its own.

    The default device "meta" and inference mode do not reach in, nor does a default dtype of half precision.
    """
    with ExitStack() as stack:
        stack.enter_context(_numbers())
        if torch.finfo(torch.get_default_dtype()).bits < 32:
            stack.enter_context(_ONE_AT_A_TIME)
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        yield


@contextmanager
def _numbers() -> Iterator[None]:
    """Tensors that hold numbers, of which gradients can be taken."""
    with ExitStack() as stack:
        if torch.get_default_device().type == "meta":  # which would leave every number out
            stack.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        yield


@contextmanager
def seeded(seed: int | None = None) -> Iterator[None]:
    """Draw torch's numbers from ``seed`` (None: from where they stand), and leave them as they were.

    Threads take turns with those inside `isolated`: the random state belongs to the process.
    """
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        yield


@contextmanager
def _outside_handlers() -> Iterator[None]:
    """A verb called by a Pyro program is no part of it: its variables are not the program's."""
    dims, enumerated = runtime._DIM_ALLOCATOR, runtime._ENUM_ALLOCATOR
    kept = runtime._PYRO_STACK[:], dims._stack[:], dict(vars(enumerated))
    runtime._PYRO_STACK.clear()
    dims._stack.clear()
    try:
        yield
    finally:
        runtime._PYRO_STACK[:], dims._stack[:] = kept[:2]
        vars(enumerated).update(kept[2])


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums round alike however many cores there are, and processes do not fight for them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
