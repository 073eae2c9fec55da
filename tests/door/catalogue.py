"""All odd inputs to the verbs: importing the files fills the table."""

from tests.door.base import CASES
from tests.door.cases import containers, habits, labels, sizes  # noqa: F401

__all__ = ["CASES"]
