"""The numbers behind an answer: which factors matter, what is summed out, averaged or drawn."""

from ppl_gen.engine.draws import Engine
from ppl_gen.engine.methods import Importance, LowerBound

__all__ = ["Engine", "Importance", "LowerBound"]
