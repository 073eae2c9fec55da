"""Programs with one fault each, and fits that have none: ``PLANTED`` and ``SOUND``."""

from tests.planted_faults import inference, joints, sound  # noqa: F401
from tests.planted_faults.base import PLANTED, SOUND

__all__ = ["PLANTED", "SOUND"]
