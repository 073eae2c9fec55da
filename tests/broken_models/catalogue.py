"""Models with one mistake each. ``BROKEN`` tells the word of check_model's message that names it."""

from tests.broken_models import conjugacy, densities, dependencies, guides, programs, state  # noqa: F401
from tests.broken_models.base import BROKEN

__all__ = ["BROKEN"]
