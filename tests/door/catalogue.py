"""All odd inputs to the verbs: importing the files fills the table."""

from tests.door.base import CASES
from tests.door.cases import containers, labels, sizes, slips, surroundings  # noqa: F401

__all__ = ["CASES"]
