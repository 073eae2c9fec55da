"""The table of odd and bad inputs: what is done, and the answer or the error that must come."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ppl_gen import ask, fit
from ppl_gen.errors import PplGenError, Unreliable
from ppl_gen.models import GaussianNaiveBayes

Y = np.array([0, 1] * 6)
X = np.round(np.random.default_rng(0).normal(size=(12, 2)) + 6 * Y[:, None], 2)  # exact in few digits
WHOLE = np.round(X).astype(np.int64)
NAMES = np.array(["ill", "well"])
HOLED = np.where(np.eye(12, 2, k=-3, dtype=bool), np.nan, X)


@dataclass(frozen=True)
class Case:
    """One odd thing that a user does.

    Attributes:
        act: it.
        plain: where it has a right answer, the same by plain means.
        refused: else the error's type, and a pattern that its message matches from its start.
        tolerance: largest difference to the plain answer, relative; 0 where numbers must be the same.
    """

    name: str
    act: Callable[[], Any]
    plain: Callable[[], Any] | None = None
    refused: tuple[type[Exception], str] | None = None
    tolerance: float = 0.0


CASES: list[Case] = []


def same(name: str, act: Callable[[], Any], plain: Callable[[], Any], tolerance: float = 0.0) -> None:
    """It has a right answer."""
    CASES.append(Case(name, act, plain, tolerance=tolerance))


def refused(name: str, act: Callable[[], Any], words: str, error: type[Exception] = PplGenError) -> None:
    """It has none, and the message starts with ``words``, which name the argument."""
    CASES.append(Case(name, act, refused=(error, words)))


def warned(name: str, act: Callable[[], Any], words: str) -> None:
    """It has an answer that cannot be trusted, and says so; warnings are errors in tests."""
    refused(name, act, words, Unreliable)


@functools.cache
def fitted() -> Any:
    """Plain input: a NumPy matrix of floats, and class codes."""
    return fit(GaussianNaiveBayes(classes=2, features=2), x=X, y=Y)


def model(**sizes: Any) -> GaussianNaiveBayes:
    return GaussianNaiveBayes(**{"classes": 2, "features": 2, **sizes})


def probs(x: Any, of: Any = None) -> torch.Tensor:
    """p(y | x), checked to be probabilities."""
    found = ask(of or fitted(), "p(y | x)", x=x).probs
    assert bool(torch.isfinite(found).all()), found
    assert bool(((found.sum(-1) - 1).abs() < 1e-12).all()), found
    return found


def after(x: Any = X, y: Any = Y, method: Any = None, of: Any = None) -> torch.Tensor:
    """What a fit to these data says of the plain rows."""
    return probs(X, fit(of or model(), *([method] if method else []), x=x, y=y))
