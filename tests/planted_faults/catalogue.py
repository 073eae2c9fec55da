"""Programs with a fault each, and fits that have none: ``PLANTED``, ``SOUND`` and, of both, ``HELD_OUT``."""

from tests.planted_faults import heldout, inference, joints, sound  # noqa: F401
from tests.planted_faults.base import HELD_OUT, PLANTED, SOUND

__all__ = ["HELD_OUT", "PLANTED", "SOUND"]
