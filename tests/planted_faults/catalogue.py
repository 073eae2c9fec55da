"""Programs with a fault each, and fits that have none; of both, two lists were held out."""

from tests.planted_faults import heldout, heldout_again, inference, joints, sound  # noqa: F401
from tests.planted_faults.base import HELD_OUT, HELD_OUT_AGAIN, PLANTED, SOUND

__all__ = ["HELD_OUT", "HELD_OUT_AGAIN", "PLANTED", "SOUND"]
