"""All wrong pairs: importing the files fills the table."""

from tests.linting.cases import (  # noqa: F401
    bounds,
    enumeration,
    names,
    parameters,
    plates,
    programs,
    scoring,
    shapes,
    supports,
)
from tests.linting.cases.base import PAIRS

__all__ = ["PAIRS"]
