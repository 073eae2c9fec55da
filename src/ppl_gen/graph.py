"""Pictures of a joint: `draw` makes the directed graph with plates, `latex` and `markup` the line above it.

The picture is laid out in three steps, each with one idea:

1. rows: inside every plate, a variable stands below its parents; a plate inside counts as one big variable;
2. columns: start from any picture without overlaps and move one thing at a time while that removes flaws;
3. edges: the straightest arc that passes no node and no plate's name.

Rows keep apart what stands above one another, and no move of a column may make neighbours overlap: so every
plate holds its members and nothing else.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from html import escape
from itertools import combinations, pairwise
from math import hypot
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

__all__ = ["draw", "latex", "markup"]

RADIUS = 20.0  # of a node; all lengths are pixels at the picture's natural size
COLUMN = 45.0  # half the usual distance between neighbours, so that a child can stand between two parents
ROW_GAP = 46.0  # from a row's bottom to the next row's top
PAD, PAD_NAME = 16.0, 30.0  # from a plate's members to its border, and where its name stands between them
CLEAR = 7.0  # how far an edge stays from what it passes

_LETTERS = """
    alpha=α beta=β gamma=γ delta=δ epsilon=ε zeta=ζ eta=η theta=θ iota=ι kappa=κ lam=λ lambda=λ mu=μ nu=ν xi=ξ
    pi=π rho=ρ sigma=σ tau=τ upsilon=υ phi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ
    Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ Omega=Ω
"""
_GREEK = dict(pair.split("=") for pair in _LETTERS.split())

Point: TypeAlias = tuple[float, float]
Curve: TypeAlias = tuple[Point, Point, Point]
"""The three control points of a quadratic Bézier curve."""


# The public functions ---------------------------------------------------------------------------------------


def latex(line: str) -> str:
    r"""The declared line of a model in LaTeX, without dollar signs.

    Args:
        line: a product of factors, as in ``"p(z) p(x | z)"``. Greek names become Greek letters, trailing
            digits subscripts, and other names of several letters stand upright.

    Raises:
        ValueError: the line is not a product of factors.

    Example:
        >>> print(latex("p(pi) p(mu | tau) p(x0 | y, mu, weight)"))
        p(\pi)\,p(\mu \mid \tau)\,p(x_{0} \mid y, \mu, \mathrm{weight})
    """
    names = r"\s*\w+\s*(?:,\s*\w+\s*)*"
    if not re.fullmatch(rf"(?:\s*\w+\({names}(?:\|{names})?\))+\s*", line):
        raise ValueError(f"line: expected a product of factors such as 'p(z) p(x | z)', got {line!r}")
    spaced = re.sub(
        r"\s*\|\s*", r" \\mid ", re.sub(r"\s*,\s*", ", ", re.sub(r"\s*([()])\s*", r"\1", line.strip()))
    )
    return re.sub(
        r"(?<!\\)\b\w+",
        lambda name: _latex_name(name.group()),
        spaced.replace(")", r")\,").removesuffix(r"\,"),
    )


def markup(line: str) -> str:
    """The line in HTML: letters in italics, Greek ones for Greek names; no factor is broken over two lines.

    It needs neither a script nor a special font, and is read aloud as it was written.

    Example:
        >>> print(markup("p(mu | x0)"))
        <span role="math" aria-label="p(mu | x0)"><span style="white-space: nowrap"><i>p</i>(<i>μ</i> |
        <i>x</i><sub>0</sub>)</span></span>
    """

    def name(match: re.Match[str]) -> str:
        letters, digits = _parts(match.group())
        written = f"<i>{letters}</i>" if len(letters) == 1 else escape(letters)
        return written + (f"<sub>{digits}</sub>" if digits else "")

    factors = re.findall(r"[^()]+(?:\([^()]*\))?", line)
    typeset = (re.sub(r"[^\W\d]\w*", name, factor.strip()) for factor in factors)
    lines = " ".join(f'<span style="white-space: nowrap">{factor}</span>' for factor in typeset)
    return f'<span role="math" aria-label="{escape(line)}">{lines}</span>'


def draw(
    parents: Mapping[str, Collection[str]],
    *,
    plates: Mapping[str, Collection[str]] = MappingProxyType({}),
    observed: Collection[str] = (),
    given: Collection[str] = (),
    title: str = "",
) -> str:
    """A directed graphical model with plates, as one self-contained SVG element.

    Circles are random variables, shaded ones observed; shaded squares are given (they stand right of the bar
    and have no distribution). Lines take the colour of the text around, on light pages as on dark ones.

    Args:
        parents: for every variable, those its distribution depends on. A parent without an entry is given.
        plates: for every plate, all the variables inside; two plates are nested or disjoint.
        observed: the variables to shade.
        given: further inputs that are not generated.
        title: what the picture shows, for the tooltip and in front of the description read aloud.

    Raises:
        TypeError: a string stands where a collection of names is expected.
        ValueError: no variable at all, an unknown one in ``plates`` or ``observed``, plates that overlap in
            part, or a cycle.

    Source:
        The notation is that of Bishop, *Pattern Recognition and Machine Learning* (2006), section 8.1; rows
        by longest path are the first step of Sugiyama, Tagawa & Toda (1981).

    Example:
        >>> svg = draw({"z": [], "x": ["z"]}, plates={"data": ["z", "x"]}, observed=["x"], title="VAE")
        >>> svg[:28], svg[-6:]
        ('<svg xmlns="http://www.w3.or', '</svg>')
        >>> "x depends on z" in svg
        True
    """
    for argument in (parents, plates):
        for key, value in argument.items():
            if isinstance(value, str):
                raise TypeError(
                    f"{key}: expected a collection of names such as [{value!r}], got the string {value!r}"
                )
    inputs = dict.fromkeys([*given, *(p for names in parents.values() for p in names if p not in parents)])
    graph = {**{name: () for name in inputs}, **{name: tuple(names) for name, names in parents.items()}}
    _check(graph, plates, observed)

    by_size = sorted(
        ((name, frozenset(members)) for name, members in plates.items() if members), key=lambda p: -len(p[1])
    )
    page = _nest("", frozenset(graph), by_size, graph, inputs)
    boxes = _Columns(page, graph).settled()
    arcs = _arcs(graph, boxes)

    description = _in_words(graph, plates, observed, inputs, title)
    xs, ys = zip(
        *(point for _, arc in arcs for point in _points(arc)),
        *(c for b in boxes.values() for c in b.corners),
        strict=True,
    )
    left, top, width, height = min(xs) - 4, min(ys) - 4, max(xs) - min(xs) + 8, max(ys) - min(ys) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(description)}" '
            f'viewBox="{left:g} {top:g} {width:g} {height:g}" width="{width:g}" height="{height:g}" '
            'style="max-width: 100%; height: auto" fill="none" stroke="currentColor" stroke-width="1.4">',
            f"<title>{escape(title or 'Graphical model')}</title>",
            *(_plate_svg(plate, boxes[plate]) for plate in page.inside()),
            *(_arc_svg(edge, arc) for edge, arc in arcs),
            *(_node_svg(name, boxes[name], name in observed, name in inputs) for name in graph),
            "</svg>",
        ]
    )


def _check(
    graph: Mapping[str, Collection[str]], plates: Mapping[str, Collection[str]], observed: Collection[str]
) -> None:
    if not graph:
        raise ValueError("parents: expected at least one variable, got none")
    for where, names in {
        "observed": observed,
        **{f"plates[{name!r}]": members for name, members in plates.items()},
    }.items():
        if unknown := sorted(set(names) - set(graph)):
            raise ValueError(
                f"{where}: expected variables among {', '.join(graph)}; got {', '.join(unknown)}"
            )
    for a, b in combinations(plates, 2):
        inside, other = set(plates[a]), set(plates[b])
        if inside & other and not (inside <= other or other <= inside):
            raise ValueError(
                f"plates: expected nested or disjoint plates, but {a!r} and {b!r} overlap in part"
            )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise ValueError(
            f"parents: expected a graph without cycles, got {' -> '.join(error.args[1])}"
        ) from None


def _edges(graph: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """All pairs of a child and one of its parents."""
    return [(child, parent) for child, parents in graph.items() for parent in parents]


# Rows -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Plate:
    """A plate, or the whole page: its rows from top to bottom, of variables and of the plates just inside.

    The name stands below the members, or above them where edges leave the plate and none comes in.
    """

    name: str
    members: frozenset[str]
    name_on_top: bool
    rows: list[list["_Item"]]

    @property
    def pads(self) -> tuple[float, float]:
        """Above and below the members."""
        return (PAD_NAME, PAD) if self.name_on_top else (PAD, PAD_NAME)

    def inside(self) -> "Iterator[_Plate]":
        """The plates in this one, the larger before those they hold."""
        for item in (item for row in self.rows for item in row if isinstance(item, _Plate)):
            yield item
            yield from item.inside()


_Item: TypeAlias = str | _Plate


def _members(item: _Item) -> frozenset[str]:
    return frozenset({item}) if isinstance(item, str) else item.members


def _nest(
    name: str,
    members: frozenset[str],
    plates: list[tuple[str, frozenset[str]]],
    graph: Mapping[str, Collection[str]],
    inputs: Collection[str],
) -> _Plate:
    """The plate `name` with all in it; `plates` are those inside, large before small."""
    items: list[_Item] = []
    free = members
    while plates:
        (inner, held), *others = plates
        items.append(_nest(inner, held, [p for p in others if p[1] <= held], graph, inputs))
        plates = [p for p in others if not p[1] <= held]
        free -= held
    # Given names come first, so that inputs enter from the left.
    items += sorted((name for name in graph if name in free), key=lambda name: name not in inputs)
    enters = any(child in members and parent not in members for child, parent in _edges(graph))
    leaves = any(child not in members and parent in members for child, parent in _edges(graph))
    return _Plate(name, members, leaves and not enters, _rows(items, graph, inputs))


def _rows(
    items: list[_Item], graph: Mapping[str, Collection[str]], inputs: Collection[str]
) -> list[list[_Item]]:
    """Every item in the row given by the longest path to it.

    What has no parents moves down to stand just above its first child, or beside it if it is given.
    """
    home = {name: item for item in items for name in _members(item)}
    above: dict[_Item, list[_Item]] = {item: [] for item in items}
    below: dict[_Item, list[_Item]] = {item: [] for item in items}
    for child, parent in _edges(graph):
        if child in home and parent in home and home[child] is not home[parent]:
            above[home[child]].append(home[parent])
            below[home[parent]].append(home[child])
    beside = {
        item for item in items if item in inputs and any(isinstance(child, str) for child in below[item])
    }

    depth: dict[_Item, int] = {}

    def descend(item: _Item) -> int:
        if item not in depth:
            depth[item] = (
                0  # seen again only if plates feed one another: such an edge has to point up somewhere
            )
            depth[item] = max(
                (descend(parent) + 1 for parent in above[item] if parent not in beside), default=0
            )
        return depth[item]

    for item in items:
        descend(item)
    for item in items:
        if below[item] and not above[item]:
            first = min(depth[child] for child in below[item] if item not in beside or isinstance(child, str))
            depth[item] = first if item in beside else max(first - 1, 0)
    rows = [[item for item in items if depth[item] == row] for row in range(max(depth.values()) + 1)]
    return [row for row in rows if row]


# Columns ----------------------------------------------------------------------------------------------------


class _Box(NamedTuple):
    """A rectangle with round corners: a node, a plate, or the name of a plate."""

    x: float
    y: float
    half_width: float
    half_height: float
    rounding: float

    @property
    def corners(self) -> tuple[Point, Point]:
        return (self.x - self.half_width, self.y - self.half_height), (
            self.x + self.half_width,
            self.y + self.half_height,
        )

    def distance(self, point: Point) -> float:
        """From the border to `point`, negative inside."""
        dx = abs(point[0] - self.x) - self.half_width + self.rounding
        dy = abs(point[1] - self.y) - self.half_height + self.rounding
        return hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - self.rounding


class _Columns:
    """The columns of all variables, improved one move at a time."""

    def __init__(self, page: _Plate, graph: Mapping[str, Collection[str]]) -> None:
        self.page = page
        self.edges = _edges(graph)
        self.graph = graph
        self.pages = [page, *page.inside()]
        self.half = {name: max(RADIUS, 4.3 * len(_parts(name)[0]) + 10) for name in graph}
        self.y: dict[str, float] = {}
        self.column: dict[str, int] = {}
        self._stack(page, 0.0)
        self._spread(page, 0)

    def settled(self) -> dict[_Item, _Box]:
        """Every variable and plate in its place, once no single move makes the picture better."""
        movable = [_members(item) for plate in self.pages for row in plate.rows for item in row]
        movable += [self._ancestors(name) for name in self.column]
        best, improved = self.flaws(), True
        while improved:
            improved = False
            for names in movable:
                start = {name: self.column[name] for name in names}
                kept = start
                for step in (s for size in range(1, 7) for s in (-size, size)):
                    self.column |= {name: column + step for name, column in start.items()}
                    if (flaws := self.flaws()) < best - 1e-9:
                        best, kept, improved = flaws, {name: self.column[name] for name in start}, True
                self.column |= kept
        return self.boxes()

    def boxes(self) -> dict[_Item, _Box]:
        boxes: dict[_Item, _Box] = {
            name: _Box(COLUMN * column, self.y[name], self.half[name], RADIUS, RADIUS)
            for name, column in self.column.items()
        }
        for plate in reversed(self.pages[1:]):
            held = [corner for row in plate.rows for item in row for corner in boxes[item].corners]
            above, below = plate.pads
            left, right = min(x for x, _ in held) - PAD, max(x for x, _ in held) + PAD
            top, bottom = min(y for _, y in held) - above, max(y for _, y in held) + below
            half = max((right - left) / 2, 3.4 * len(plate.name) + 10)
            boxes[plate] = _Box((left + right) / 2, (top + bottom) / 2, half, (bottom - top) / 2, 10)
        return boxes

    def flaws(self) -> float:
        """How bad the picture is: overlaps above all, then what makes edges hard to follow, then slants."""
        boxes = self.boxes()
        flaws = 0.0
        for row in (row for plate in self.pages for row in plate.rows):
            for left, right in combinations([boxes[item] for item in row], 2):
                flaws += 1e4 * (abs(left.x - right.x) < left.half_width + right.half_width + 12)
        at = {name: (boxes[name].x, boxes[name].y) for name in self.column}
        for child, parent in self.edges:
            (x0, y0), (x1, y1) = at[parent], at[child]
            flaws += abs((x1 - x0) / COLUMN) ** 1.5
            for other in at.keys() - {parent, child}:
                x, y = at[other]
                reach = self.half[other] + CLEAR
                near = (
                    min(x0, x1) - reach < x < max(x0, x1) + reach
                    and min(y0, y1) - reach < y < max(y0, y1) + reach
                )
                if near:
                    flaws += 30 * (_gap(boxes[other], at[parent], at[child]) < CLEAR)
            for plate in self.pages[1:]:  # that neither end lives in
                if not plate.members & {parent, child}:
                    flaws += 4 * (_gap(boxes[plate], at[parent], at[child]) < 0)
        for (a, b), (c, d) in combinations(self.edges, 2):
            flaws += 12 * (len({a, b, c, d}) == 4 and _cross(at[a], at[b], at[c], at[d]))
        return flaws

    def _ancestors(self, name: str) -> frozenset[str]:
        """Of `name`, and itself: moved together, they keep their arrangement."""
        return frozenset({name}).union(*(self._ancestors(parent) for parent in self.graph[name]))

    def _height(self, item: _Item) -> float:
        if isinstance(item, str):
            return 2 * RADIUS
        rows = sum(max(map(self._height, row)) for row in item.rows)
        return sum(item.pads) + rows + ROW_GAP * (len(item.rows) - 1)

    def _stack(self, plate: _Plate, top: float) -> None:
        """Set the heights of all variables in `plate`; a row stands on its lower edge."""
        for row in plate.rows:
            bottom = top + max(map(self._height, row))
            for item in row:
                if isinstance(item, str):
                    self.y[item] = bottom - RADIUS
                else:
                    self._stack(item, bottom - self._height(item) + item.pads[0])
            top = bottom + ROW_GAP

    def _spread(self, item: _Item, left: int) -> int:
        """Give the variables in `item` columns from `left` on, with room to spare; the first free column."""
        if isinstance(item, str):
            wide = int(self.half[item] // COLUMN) + 1
            self.column[item] = left + wide
            return left + 2 * wide
        right = left
        for row in item.rows:
            end = left + 1
            for inner in row:
                end = self._spread(inner, end)
            right = max(right, end + 1)
        return max(right, left + 2 + int((6.8 * len(item.name) + 32) // COLUMN))


def _gap(box: _Box, start: Point, end: Point) -> float:
    """Between `box` and the straight line, by ternary search: the distance is convex along a line."""
    low, high = 0.0, 1.0
    for _ in range(12):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (
            (low, b)
            if box.distance(_between(start, end, a)) < box.distance(_between(start, end, b))
            else (a, high)
        )
    return box.distance(_between(start, end, (low + high) / 2))


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the lines from `a` to `b` and from `c` to `d` meet."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


# Edges ------------------------------------------------------------------------------------------------------


def _between(a: Point, b: Point, t: float) -> Point:
    return a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])


def _blossom(curve: Curve, s: float, t: float) -> Point:
    """The polar form: where ``s = t`` a point of the curve, else the middle control point of that part."""
    a, b, c = curve
    return _between(_between(a, b, s), _between(b, c, s), t)


def _points(curve: Curve, steps: int = 32) -> list[Point]:
    return [_blossom(curve, t / steps, t / steps) for t in range(steps + 1)]


def _arcs(
    graph: Mapping[str, Collection[str]], boxes: Mapping[_Item, _Box]
) -> list[tuple[tuple[str, str], Curve]]:
    """For every edge the straightest arc clear of other nodes, plates' names and, if it can, other arcs."""
    nodes = {item: box for item, box in boxes.items() if isinstance(item, str)}
    labels = [_label(item, box) for item, box in boxes.items() if isinstance(item, _Plate)]
    drawn: list[tuple[tuple[str, str], Curve]] = []

    def length(edge: tuple[str, str]) -> float:
        child, parent = (nodes[name] for name in edge)
        return hypot(child.x - parent.x, child.y - parent.y)

    for child, parent in sorted(_edges(graph), key=length, reverse=True):
        source, target = nodes[parent], nodes[child]
        in_the_way = [*(box for name, box in nodes.items() if name not in (parent, child)), *labels]

        def flaws(bend: float) -> float:
            arc = _arc(source, target, bend)  # noqa: B023 (called before the next turn of the loop)
            near = sum(box.distance(point) < CLEAR for box in in_the_way for point in _points(arc))  # noqa: B023
            crossings = sum(
                _cross(a, b, c, d)
                for _, other in drawn
                for a, b in pairwise(_points(arc, 6))
                for c, d in pairwise(_points(other, 6))
            )
            heads = sum(hypot(arc[2][0] - x, arc[2][1] - y) < 8 for _, (_, _, (x, y)) in drawn)
            return 100 * near + crossings + 0.4 * heads + abs(bend)

        bend = min((side * size / 10 for size in range(11) for side in (1, -1)), key=flaws)
        drawn.append(((parent, child), _arc(source, target, bend)))
    return drawn


def _arc(source: _Box, target: _Box, bend: float) -> Curve:
    """From border to border; `bend` is the sideways reach of the control point relative to the length."""
    dx, dy = target.x - source.x, target.y - source.y
    middle = (source.x + dx / 2 - bend * dy, source.y + dy / 2 + bend * dx)
    whole = ((source.x, source.y), middle, (target.x, target.y))

    def leaves(box: _Box, inner: float, outer: float) -> float:
        for _ in range(30):
            half = (inner + outer) / 2
            inner, outer = (half, outer) if box.distance(_blossom(whole, half, half)) < 0 else (inner, half)
        return outer

    start, end = leaves(source, 0.0, 0.5), leaves(target, 1.0, 0.5)
    return _blossom(whole, start, start), _blossom(whole, start, end), _blossom(whole, end, end)


# Ink and words ----------------------------------------------------------------------------------------------


def _parts(name: str) -> tuple[str, str]:
    """What is written for a name: its letters, Greek if they spell one, and its trailing digits."""
    letters, digits = re.fullmatch(r"(.*?)_?(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return (_GREEK.get(letters, letters), digits) if letters else (digits, "")


def _latex_name(name: str) -> str:
    letters, digits = _parts(name)
    command = {symbol: "\\" + word for word, symbol in _GREEK.items()}.get(letters)
    upright = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}".replace("_", r"\_")
    return (command or upright) + (f"_{{{digits}}}" if digits else "")


def _label(plate: _Plate, box: _Box) -> _Box:
    """Where a plate's name stands: in a corner on the right."""
    half, height = 3.4 * len(plate.name) + 1, box.half_height - 13
    return _Box(
        box.x + box.half_width - 9 - half, box.y + (-height if plate.name_on_top else height), half, 7, 2
    )


def _rect_svg(box: _Box, attributes: str) -> str:
    (x, y), _ = box.corners
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{2 * box.half_width:.1f}" height="{2 * box.half_height:.1f}" '
        f'rx="{box.rounding:g}" {attributes}/>'
    )


def _text_svg(x: float, y: float, size: int, text: str, style: str, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="middle" fill="currentColor" '
        'stroke="none" '
        f"{style}>{escape(text)}{more}</text>"
    )


def _plate_svg(plate: _Plate, box: _Box) -> str:
    label = _label(plate, box)
    return _rect_svg(
        box,
        f'data-plate="{escape(plate.name)}" fill="currentColor" fill-opacity="0.04" stroke-opacity="0.45"',
    ) + _text_svg(label.x, label.y + 4, 12, plate.name, 'font-family="sans-serif" fill-opacity="0.75"')


def _node_svg(name: str, box: _Box, observed: bool, given: bool) -> str:
    shade = 'fill="currentColor" fill-opacity="0.2"' if observed or given else ""
    letters, digits = _parts(name)
    below = f'<tspan dy="5" font-size="12" font-style="normal">{digits}</tspan>' if digits else ""
    style = 'font-family="Cambria Math, STIX Two Math, Latin Modern Math, Georgia, serif" font-style="italic"'
    (x, y) = (box.x, box.y + 6)
    return _rect_svg(
        _Box(box.x, box.y, box.half_width, box.half_height, 3 if given else box.rounding),
        f'data-variable="{escape(name)}" {shade}',
    ) + _text_svg(x, y, 19 if len(letters) == 1 else 15, letters, style, below)


def _arc_svg(edge: tuple[str, str], arc: Curve) -> str:
    """The line and its arrowhead, whose point touches the border of the child."""
    start, middle, tip = arc
    length = hypot(tip[0] - middle[0], tip[1] - middle[1])
    ux, uy = (tip[0] - middle[0]) / length, (tip[1] - middle[1]) / length
    back = (tip[0] - 9 * ux, tip[1] - 9 * uy)
    head = (tip, (back[0] - 3.6 * uy, back[1] + 3.6 * ux), (back[0] + 3.6 * uy, back[1] - 3.6 * ux))
    line = f"M{start[0]:.1f},{start[1]:.1f} Q{middle[0]:.1f},{middle[1]:.1f} {back[0]:.1f},{back[1]:.1f}"
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in head)
    return (
        f'<path data-edge="{escape(" ".join(edge))}" d="{line}"/>'
        f'<polygon points="{points}" fill="currentColor" stroke="none"/>'
    )


def _in_words(
    graph: Mapping[str, Collection[str]],
    plates: Mapping[str, Collection[str]],
    observed: Collection[str],
    inputs: Collection[str],
    title: str,
) -> str:
    facts = [f"{name} depends on {', '.join(names)}" for name, names in graph.items() if names]
    if free := [name for name, names in graph.items() if not names and name not in inputs]:
        facts.append(f"without parents: {', '.join(free)}")
    if observed:
        facts.append(f"observed: {', '.join(observed)}")
    if inputs:
        facts.append(f"given: {', '.join(inputs)}")
    facts += [f"plate {name} holds {', '.join(members)}" for name, members in plates.items()]
    return f"{title or 'Graphical model'}: {'; '.join(facts)}."
