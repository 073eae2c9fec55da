"""All wrong pairs: importing the files fills the table."""

from tests.linting.cases import enumeration, names, parameters, plates, programs, shapes, supports  # noqa: F401
from tests.linting.cases.base import PAIRS

__all__ = ["PAIRS"]
