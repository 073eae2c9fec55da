"""Labels of any kind as codes 0, 1, …, and the probabilities of their classes."""

from typing import Any

import numpy as np
from sklearn.utils.multiclass import type_of_target, unique_labels

from ppl_gen.errors import DataError


def chosen_prior(priors: Any, classes: int, name: str = "priors") -> np.ndarray | None:
    """Class probabilities that the user chose, by scikit-learn's rules and with its messages."""
    if priors is None:
        return None
    found = prior_numbers(priors, classes, name)
    if not np.isclose(found.sum(), 1.0):
        raise ValueError(f"{name}: The sum of the priors should be 1. Got {found.sum():g}.")
    return found


def prior_numbers(priors: Any, classes: int, name: str = "priors") -> np.ndarray:
    """One number from 0 up for each class (n_classes,), not all 0."""
    try:
        found = np.array(priors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: expected a number for each class, got {priors!r}: {error}") from error
    if found.shape != (classes,):
        raise ValueError(
            f"{name}: Number of priors must match number of classes. Got shape {found.shape} for {classes}."
        )
    if not np.isfinite(found).all():
        place = int(np.argmin(np.isfinite(found)))
        raise ValueError(f"{name}: expected finite numbers, got {found[place]} in place {place}")
    if (found < 0).any() or not found.any():
        raise ValueError(f"{name}: Priors must be non-negative, and not all 0. Got {found.tolist()}.")
    return found


def labels(y: np.ndarray) -> np.ndarray:
    """The classes in ``y``, in order; refuses what is no classification, as scikit-learn does."""
    try:
        return _integers(y)[1] if y.dtype.kind in "iu" and len(y) else unique_labels(np.unique(y))
    except TypeError as error:
        kinds = " and ".join(sorted({type(label).__name__ for label in y.tolist()}))
        raise TypeError(f"y: expected classes of one kind, all there, got {kinds}: {error}") from error
    except ValueError as error:
        example = (
            next((label for label in y.tolist() if label != label // 1), "")
            if y.dtype.kind == "f"
            else y.tolist()[0]
        )
        raise DataError(
            f"y: expected classes, got {y.dtype} such as {example!r}. Unknown label type: "
            f"{type_of_target(y)}: round numbers, or take a regression"
        ) from error


def encode(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The place of each label among the ``classes``: codes (n_samples,)."""
    if y.dtype.kind in "iu" and classes.dtype.kind in "iu" and len(y):
        low, there = _integers(y)
        strangers = there[~np.isin(there, classes)]
        if not len(strangers) and int(there[-1]) - int(low) < _SPAN:
            table = np.searchsorted(classes, np.arange(int(there[-1]) - int(low) + 1).astype(y.dtype) + low)
            return table[y - low]
    codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    strangers = np.unique(y[classes[codes] != y])
    if len(strangers):
        raise ValueError(
            f"The target label(s) {strangers} in y do not exist in the initial classes {classes}"
        )
    return codes


_SPAN = 1 << 16  # whole numbers this close together are counted, which is faster than sorting them


def _integers(y: np.ndarray) -> tuple[Any, np.ndarray]:
    """The smallest of some whole numbers, and those that occur, in order."""
    low, high = y.min(), y.max()
    if int(high) - int(low) >= _SPAN:
        return low, np.unique(y)
    return low, np.nonzero(np.bincount((y - low).astype(np.int64)))[0].astype(y.dtype) + low
