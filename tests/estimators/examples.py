"""How many examples hypothesis tries: few, or PPL_GEN_EXAMPLES (of the environment) times as many."""

import os

from hypothesis import HealthCheck, settings


def examples(count: int) -> settings:
    """``count`` examples of a test, times PPL_GEN_EXAMPLES; a slow one is none the worse for it."""
    times = int(os.environ.get("PPL_GEN_EXAMPLES", 1))
    return settings(max_examples=count * times, deadline=None, suppress_health_check=list(HealthCheck))
