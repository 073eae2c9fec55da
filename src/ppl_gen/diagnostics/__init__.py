"""What is known about a posterior: ArviZ's view of it, and how far to trust it."""

from ppl_gen.diagnostics.arviz_bridge import summary, to_arviz

__all__ = ["summary", "to_arviz"]
