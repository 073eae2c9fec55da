"""Models with one mistake each. ``BROKEN`` tells the word of check_model's message that names it."""

from tests.broken_models import (  # noqa: F401
    conjugacy,
    densities,
    dependencies,
    guides,
    programs,
    ranges,
    state,
    students_guides,
    students_programs,
)
from tests.broken_models.base import BROKEN

__all__ = ["BROKEN"]
