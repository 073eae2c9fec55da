"""The third step, edges: the straightest arc that passes no node and no plate's name."""

from collections.abc import Collection, Mapping
from itertools import pairwise
from math import hypot

from ppl_gen.graph.columns import CLEAR, label_of
from ppl_gen.graph.geometry import Box, Curve, blossom, cross, points_on
from ppl_gen.graph.rows import Item, Plate, edges


def arcs_of(
    graph: Mapping[str, Collection[str]], boxes: Mapping[Item, Box]
) -> list[tuple[tuple[str, str], Curve]]:
    """For every edge the straightest arc clear of other nodes, plates' names and, if it can, other arcs."""
    nodes = {item: box for item, box in boxes.items() if isinstance(item, str)}
    labels = [label_of(item, box) for item, box in boxes.items() if isinstance(item, Plate)]
    drawn: list[tuple[tuple[str, str], Curve]] = []

    def length(edge: tuple[str, str]) -> float:
        child, parent = (nodes[name] for name in edge)
        return hypot(child.x - parent.x, child.y - parent.y)

    for child, parent in sorted(edges(graph), key=length, reverse=True):
        source, target = nodes[parent], nodes[child]
        in_the_way = [*(box for name, box in nodes.items() if name not in (parent, child)), *labels]

        def flaws(bend: float) -> float:
            arc = _arc(source, target, bend)  # noqa: B023 (called before the next turn of the loop)
            near = sum(box.distance(point) < CLEAR for box in in_the_way for point in points_on(arc))  # noqa: B023
            crossings = sum(
                cross(a, b, c, d)
                for _, other in drawn
                for a, b in pairwise(points_on(arc, 6))
                for c, d in pairwise(points_on(other, 6))
            )
            heads = sum(hypot(arc[2][0] - x, arc[2][1] - y) < 8 for _, (_, _, (x, y)) in drawn)
            return 100 * near + crossings + 0.4 * heads + abs(bend)

        bend = min((side * size / 10 for size in range(11) for side in (1, -1)), key=flaws)
        drawn.append(((parent, child), _arc(source, target, bend)))
    return drawn


def _arc(source: Box, target: Box, bend: float) -> Curve:
    """From border to border; `bend` is the sideways reach of the control point relative to the length."""
    dx, dy = target.x - source.x, target.y - source.y
    middle = (source.x + dx / 2 - bend * dy, source.y + dy / 2 + bend * dx)
    whole = ((source.x, source.y), middle, (target.x, target.y))

    def leaves(box: Box, inner: float, outer: float) -> float:
        for _ in range(30):
            half = (inner + outer) / 2
            inner, outer = (half, outer) if box.distance(blossom(whole, half, half)) < 0 else (inner, half)
        return outer

    start, end = leaves(source, 0.0, 0.5), leaves(target, 1.0, 0.5)
    return blossom(whole, start, start), blossom(whole, start, end), blossom(whole, end, end)
