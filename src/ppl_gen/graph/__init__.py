"""Pictures of a joint: `draw` makes the directed graph with plates, `latex` and `markup` the line above it.

The picture is laid out in three steps, each with one idea, and then drawn (`drawing`):

1. `rows`: inside every plate, a variable stands below its parents; a plate inside counts as one big variable;
2. `columns`: start from any picture without overlaps and move one thing at a time while that removes flaws;
3. `arcs`: for every edge the straightest arc that passes no node and no plate's name.

Rows keep apart what stands above one another, and no move of a column may make neighbours overlap: so every
plate holds its members and nothing else.
"""

from ppl_gen.graph.drawing import draw
from ppl_gen.graph.mathematics import latex, markup

__all__ = ["draw", "latex", "markup"]
