"""Long lists of like cases: `make test` runs one in so many, `make test-all` every one."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], one_in: int) -> list[Any]:
    """The cases, of which all but one in so many, from the first on, are marked slow."""
    return [c if i % one_in == 0 else _slow(c) for i, c in enumerate(cases)]


def _slow(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
