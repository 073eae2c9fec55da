"""Users' arrays, whatever library they come from, as tensors."""

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ppl_gen.errors import DataError


def as_tensor(name: str, value: Any, floats: torch.dtype) -> Tensor:
    """One value as a tensor: floats of type ``floats``, integers and booleans as int64; missing cells NaN."""
    if isinstance(value, DataLoader | Dataset):
        raise DataError(
            f"{name}: expected an array, a tensor, a frame or a list, got {type(value).__name__}: pass it in "
            f'the place of named data, fit(model, SVI(), Batches(loader, names=("x", …)))'
        )
    tensor = value.detach() if hasattr(value, "detach") else _from_array(name, value)
    if tensor.is_inference():  # cannot be saved for a gradient
        tensor = tensor.clone()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        raise DataError(f"{name}: expected real numbers, got {tensor.dtype}")
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
    """Whether no number is inf or nan: a finite sum proves it twenty times faster than a look at each."""
    return not value.is_floating_point() or bool(
        torch.isfinite(value.sum()) or torch.isfinite(value).all()  # a sum may overflow
    )


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


def _from_array(name: str, value: Any) -> Tensor:
    if hasattr(value, "to_numpy"):
        _refuse_text_columns(name, value)
        value = value.to_numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{name}: expected numbers in rows of one length, got {_short(value)}") from error
    if array.dtype == object:  # None and pandas' NA are missing cells
        blank = np.array([cell is None or type(cell).__name__ == "NAType" for cell in array.flat], dtype=bool)
        with suppress(TypeError, ValueError):
            array = np.where(blank.reshape(array.shape), np.nan, array).astype(np.float64)
    if array.dtype.kind not in "fiub":
        example = array[()] if array.ndim == 0 else array.flat[0] if array.size else ""
        codes = (
            f". Encode classes as 0, 1, 2, …: classes, {name} = numpy.unique({name}, return_inverse=True)"
            if isinstance(example, str)
            else ""
        )
        raise DataError(f"{name}: expected numbers, got {array.dtype} such as {_short(example)}{codes}")
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        array = np.where(np.ma.getmaskarray(value), np.nan, array)
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    kind: Any = np.float32 if single else np.float64 if array.dtype.kind == "f" else np.int64
    array = np.ascontiguousarray(array, dtype=kind).reshape(array.shape)  # native, positive strides, 0-d kept
    if array.flags.writeable:  # the filters of warnings belong to all threads
        return torch.from_numpy(array)
    with warnings.catch_warnings():  # of read-only memory, such as a file's: nothing here writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _refuse_text_columns(name: str, frame: Any) -> None:
    """A data frame's columns are told by name."""
    if getattr(frame, "ndim", 1) != 2 or not hasattr(frame, "columns"):
        return
    text = [c for c in frame.columns if any(isinstance(cell, str) for cell in frame[c])]
    if text:
        raise DataError(
            f"{name}: expected numbers, got text in the column{'s' * (len(text) > 1)} "
            f"{', '.join(map(repr, text[:5]))}{' and others' * (len(text) > 5)}. MixedNaiveBayes takes "
            f"categories as codes: encoder = columns_of({name}), encoder.columns, encoder.encode({name})"
        )


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, np.generic) and not isinstance(value, str) else repr(value)
    text = repr(str(value)) if isinstance(value, str) else text
    return text if len(text) <= 60 else f"{text[:57]}…"
