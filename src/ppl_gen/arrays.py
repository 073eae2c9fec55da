"""Users' arrays, whatever library they come from, as tensors."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ppl_gen.errors import DataError
from ppl_gen.frames import NUMERIC, is_frame, refuse_dates, refuse_other_columns

_LARGEST = 2**63 - 1  # a whole number that int64 holds


def as_tensor(name: str, value: Any, floats: torch.dtype) -> Tensor:
    """One value as a tensor: floats of type ``floats``, integers and booleans as int64; missing cells NaN."""
    if isinstance(value, DataLoader | Dataset):
        raise DataError(
            f"{name}: expected an array, a tensor, a frame or a list, got {type(value).__name__}: pass it in "
            f'the place of named data, fit(model, SVI(), Batches(loader, names=("x", …)))'
        )
    tensor = dense(name, value) if isinstance(value, Tensor) else _from_array(name, value)
    if tensor.dtype == torch.uint64 and bool((tensor.view(torch.int64) < 0).any()):
        raise DataError(f"{name}: expected whole numbers below 2^63, got larger ones: {name}.astype(float)")
    return tensor.to(floats if tensor.is_floating_point() else torch.int64)


def rows_of(name: str, value: Any, columns: int, floats: torch.dtype) -> Tensor:
    """Rows (…, columns) of finite numbers, of type ``floats``; a tensor keeps its gradient.

    >>> rows_of("x", [[1, 2], [3, 4]], 2, torch.float32)
    tensor([[1., 2.],
            [3., 4.]])
    """
    tensor = (
        value if isinstance(value, Tensor) and value.is_floating_point() else as_tensor(name, value, floats)
    )
    tensor = tensor.to(floats)
    if tensor.shape[-1:] != (columns,):
        raise DataError(f"{name}: expected shape (…, {columns}), got {tuple(tensor.shape)}")
    refuse_nonfinite(name, tensor)
    return tensor


def row_weights(weights: Any, n: int) -> Tensor:
    """How often each of ``n`` rows counts: numbers from 0 up, not all 0."""
    found = as_tensor("weights", weights, torch.float64).double()
    if tuple(found.shape) != (n,):
        raise DataError(f"weights: expected one for each of {n} rows, got shape {tuple(found.shape)}")
    refuse_nonfinite("weights", found)
    if bool((found < 0).any()) or not bool(found.any()):
        raise DataError(f"weights: expected numbers from 0 up, not all 0, got {found.min():g} among them")
    return found


def all_finite(value: Tensor) -> bool:
    """Whether no number is inf or nan; the least and the largest tell, in one pass without a copy."""
    return math.isfinite(_largest(value))


def _largest(value: Tensor) -> float:
    """The largest size of a number; nan if one is nan."""
    if not value.is_floating_point() or not value.numel():
        return 0.0
    low, high = value.detach().aminmax()
    return float(torch.maximum(-low, high))


def refuse_extremes(name: str, value: Tensor, small: bool = False) -> float:
    """Name the first number whose square, summed over rows, could leave the range of floating point.

    Args:
        name: the argument's.
        value: anything.
        small: whether to refuse numbers too of which all squares round to 0, as variances then do.

    Returns:
        The largest size of a number; nan or inf, which are left to others, if there is one.
    """
    largest = _largest(value)
    limits = torch.finfo(value.dtype if value.is_floating_point() else torch.float64)
    most, least = limits.max**0.5 / 1e4, limits.tiny**0.5 * 1e4
    if most < largest < math.inf:
        place = torch.nonzero(value.abs() > most)[0].tolist()
        came = value[tuple(place)].item()
        raise DataError(
            f"{name}: expected numbers of at most {most:.0e} in size, since squares of them add up; got "
            f"{came:g} at {place}: rescale, {name} / {abs(came):.0e}"
        )
    if small and 0 < largest < least:
        raise DataError(
            f"{name}: expected numbers of at least {least:.0e} in size, since their squares count; the "
            f"largest is {largest:.0e}: rescale, {name} / {largest:.0e}"
        )
    return largest


def refuse_nonfinite(name: str, value: Tensor, why: str = "") -> None:
    """Name the first number that is inf or nan."""
    if not all_finite(value):
        place = torch.nonzero(~torch.isfinite(value))[0].tolist()
        raise DataError(
            f"{name}: expected finite real numbers, got {value[tuple(place)].item()} at {place}{why}"
        )


def refuse_codes(name: str, value: Tensor, levels: int) -> None:
    """Name the first number that is none of the class codes 0 to ``levels`` - 1."""
    known = (value >= 0) & (value < levels) & (value == value.floor())
    if not bool(known.all()):
        place = torch.nonzero(~known)[0].tolist()
        raise DataError(
            f"{name}: expected class codes 0 to {levels - 1}, got {value[tuple(place)].item():g}"
            f"{f' at {place}' if place else ''}"
        )


def dense(name: str, value: Tensor) -> Tensor:
    """Any tensor as a dense one of real numbers on the CPU, without its history; by default not a copy."""
    tensor = value.detach()
    if tensor.is_inference():  # cannot be saved for a gradient
        tensor = tensor.clone()
    if tensor.is_complex():
        raise DataError(f"{name}: expected real numbers, got {tensor.dtype}")
    if tensor.is_meta:
        raise DataError(f"{name}: expected numbers, got a tensor of the device 'meta', which holds none")
    if tensor.is_nested:
        raise DataError(f"{name}: expected numbers in rows of one length, got a nested tensor")
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    return tensor.cpu()  # where models live; a method with a device takes its batches there


def _from_array(name: str, value: Any) -> Tensor:
    if is_frame(value):
        refuse_other_columns(name, value)
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    elif hasattr(value, "toarray") and hasattr(value, "nnz"):  # SciPy's sparse matrices
        value = value.toarray()
    elif hint := _no_array(name, value):
        raise DataError(f"{name}: expected an array, a tensor, a frame or a list, got {hint}")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{name}: expected numbers in rows of one length, got {_short(value)}") from error
    refuse_dates(name, array)
    if array.dtype == object:  # None and pandas' NA are missing cells
        blank = np.array([cell is None or type(cell).__name__ == "NAType" for cell in array.flat], dtype=bool)
        text = any(isinstance(cell, str | bytes) for cell in array.flat)  # NumPy would read "1.5" as a number
        with suppress(TypeError, ValueError, OverflowError):
            array = array if text else np.where(blank.reshape(array.shape), np.nan, array).astype(np.float64)
    if array.dtype.kind not in NUMERIC:
        example = next((cell for cell in array.flat if not isinstance(cell, int | float | None)), "")
        codes = (
            f". Encode classes as 0, 1, 2, …: classes, {name} = numpy.unique({name}, return_inverse=True)"
            if isinstance(example, str)
            else ""
        )
        raise DataError(f"{name}: expected numbers, got {array.dtype} such as {_short(example)}{codes}")
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        array = np.where(np.ma.getmaskarray(value), np.nan, array)
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() > _LARGEST:
        raise DataError(f"{name}: expected whole numbers below 2^63, got {array.max()}: {name}.astype(float)")
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    kind: Any = np.float32 if single else np.float64 if array.dtype.kind == "f" else np.int64
    array = np.ascontiguousarray(array, dtype=kind).reshape(array.shape)  # native, positive strides, 0-d kept
    if array.flags.writeable:  # the filters of warnings belong to all threads
        return torch.from_numpy(array)
    with warnings.catch_warnings():  # of read-only memory, such as a file's: nothing here writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _no_array(name: str, value: Any) -> str:
    """What came, in words, where NumPy would make one object of it; else nothing."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__}: pass its values by name, or pandas.DataFrame({name})"
    if isinstance(value, set | frozenset):
        return "a set, which has no order: pass a list"
    if hasattr(value, "collect") and hasattr(value, "lazy"):
        return f"a {type(value).__name__}, which is not read yet: {name}.collect()"
    if isinstance(value, Iterator):
        return f"a {type(value).__name__}, which can be read once: pass list({name})"
    return f"a {type(value).__name__}" if callable(value) else ""


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, np.generic) and not isinstance(value, str) else repr(value)
    text = repr(str(value)) if isinstance(value, str) else text
    return text if len(text) <= 60 else f"{text[:57]}…"
