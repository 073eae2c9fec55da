"""Labels of any kind as codes 0, 1, …, and the probabilities of their classes."""

from typing import Any

import numpy as np
from sklearn.utils.multiclass import type_of_target, unique_labels

from ppl_gen.errors import DataError


def chosen_prior(priors: Any, classes: int) -> np.ndarray | None:
    """Class probabilities that the user chose, by scikit-learn's rules and with its messages."""
    if priors is None:
        return None
    found = np.array(priors, dtype=np.float64)
    if len(found) != classes:
        raise ValueError("Number of priors must match number of classes.")
    if not np.isclose(found.sum(), 1.0):
        raise ValueError("The sum of the priors should be 1.")
    if (found < 0).any():
        raise ValueError("Priors must be non-negative.")
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
            next((label for label in y.tolist() if label != label // 1), "") if y.dtype.kind == "f" else y[0]
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
