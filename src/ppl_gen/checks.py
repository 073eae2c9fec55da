"""Checks of arguments: an error names the argument, what was expected and what came."""

import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from ppl_gen.errors import DataError

NEAR = 0.7  # of 1, the likeness from which on one name may be another with a slip
_VISIBLE = ContextVar("visible", default=True)


@contextmanager
def unseen() -> Iterator[None]:
    """While a graph is captured: a program that looks at numbers would decide for all numbers to come."""
    token = _VISIBLE.set(False)
    try:
        yield
    finally:
        _VISIBLE.reset(token)


def visible() -> bool:
    """Whether a check may look at the numbers in a tensor now."""
    return _VISIBLE.get()


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number from ``least`` up.

    >>> whole("classes", 0)
    Traceback (most recent call last):
    ...
    ppl_gen.errors.DataError: classes: expected a whole number from 1 up, got 0
    """
    number = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise DataError(f"{name}: expected a whole number from {least} up, got {value!r}")
    return number


def positive(name: str, value: Any) -> float:
    """A positive finite number."""
    number = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
        raise DataError(f"{name}: expected a positive number, got {value!r}")
    return float(number)


def instance(name: str, value: Any, default: Any) -> Any:
    """A value of the kind of the ``default``, which stands for None."""
    kind = type(default).__mro__[-2]
    if value is not None and not isinstance(value, kind):
        raise DataError(f"{name}: expected {default!r}, or another {kind.__name__}, got {called(value)}")
    return default if value is None else value


def hyperparameter(name: str, value: Any, shape: tuple[int, ...], above_zero: bool = True) -> Tensor:
    """A prior's number or array as a float64 tensor of ``shape``."""
    try:
        tensor = torch.as_tensor(value, dtype=torch.float64).detach()
        expanded = tensor.expand(shape).clone()
    except (RuntimeError, TypeError, ValueError):
        came = tuple(getattr(value, "shape", ())) or repr(value)
        raise DataError(f"{name}: expected a number or an array that fits {shape}, got {came}") from None
    good = torch.isfinite(expanded) & (expanded > 0) if above_zero else torch.isfinite(expanded)
    if not bool(good.all()):
        what = "positive finite numbers" if above_zero else "finite numbers"
        raise DataError(f"{name}: expected {what}, got {expanded[~good][0].item():g}")
    return expanded


def covariance_factor(name: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    """The lower Cholesky factor, of ``shape``, of a covariance: a number, a diagonal or a matrix."""
    tensor = torch.as_tensor(value, dtype=torch.float64).detach()
    if tensor.dim() < 2:
        tensor = torch.diag_embed(hyperparameter(name, value, shape[-1:]))
    factor, failed = torch.linalg.cholesky_ex(hyperparameter(name, tensor, shape, above_zero=False))
    if bool(failed.any()) or not torch.allclose(tensor, tensor.mT):
        raise DataError(f"{name}: expected a symmetric positive definite matrix, got {value!r}")
    return factor


def called(value: Any) -> str:
    """What came, in words: a class passed for an instance is a likely slip.

    >>> called(Tensor), called(3)
    ('the class Tensor; make one: Tensor(…)', 'int')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}; make one: {value.__name__}(…)"
    return type(value).__name__


def did_you_mean(name: str, names: Any) -> str:
    """A hint at the nearest of ``names``, or nothing.

    >>> did_you_mean("Y", ["x", "y"])
    " Did you mean 'y'?"
    """
    near = [n for n in names if n.lower() == name.lower()] or difflib.get_close_matches(name, names, 1, NEAR)
    return f" Did you mean {near[0]!r}?" if near else ""
