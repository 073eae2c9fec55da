"""Points, boxes, lines and curves. All lengths are pixels at the picture's natural size."""

from math import hypot
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]
Curve: TypeAlias = tuple[Point, Point, Point]
"""The three control points of a quadratic Bézier curve."""


class Box(NamedTuple):
    """A rectangle with round corners: a node, a plate, or the name of a plate."""

    x: float
    y: float
    half_width: float
    half_height: float
    rounding: float

    @property
    def corners(self) -> tuple[Point, Point]:
        dx, dy = self.half_width, self.half_height
        return (self.x - dx, self.y - dy), (self.x + dx, self.y + dy)

    def distance(self, point: Point) -> float:
        """From the border to `point`, negative inside."""
        dx = abs(point[0] - self.x) - self.half_width + self.rounding
        dy = abs(point[1] - self.y) - self.half_height + self.rounding
        return hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - self.rounding


def between(a: Point, b: Point, t: float) -> Point:
    """The point at ``t`` of the way."""
    return a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])


def gap(box: Box, start: Point, end: Point) -> float:
    """Between `box` and the straight line, by ternary search: the distance is convex along a line."""
    low, high = 0.0, 1.0
    for _ in range(12):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        left, right = (box.distance(between(start, end, t)) for t in (a, b))
        low, high = (low, b) if left < right else (a, high)
    return box.distance(between(start, end, (low + high) / 2))


def cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the lines from `a` to `b` and from `c` to `d` meet."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def blossom(curve: Curve, s: float, t: float) -> Point:
    """The polar form: where ``s = t`` a point of the curve, else the middle control point of that part."""
    a, b, c = curve
    return between(between(a, b, s), between(b, c, s), t)


def points_on(curve: Curve, steps: int = 32) -> list[Point]:
    """Points of the curve, its ends included."""
    return [blossom(curve, t / steps, t / steps) for t in range(steps + 1)]
