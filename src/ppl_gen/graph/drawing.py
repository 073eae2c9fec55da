"""The picture of a joint: the directed graph with plates, as SVG."""

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from html import escape
from itertools import combinations
from math import hypot
from types import MappingProxyType

from ppl_gen.graph.arcs import arcs_of
from ppl_gen.graph.columns import Columns, label_of
from ppl_gen.graph.geometry import Box, Curve, points_on
from ppl_gen.graph.mathematics import parts
from ppl_gen.graph.rows import Plate, nest


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
    place = {name: i for i, name in enumerate(graph)}  # a set of parents has an order of its own in every run
    graph = {name: tuple(sorted(names, key=place.__getitem__)) for name, names in graph.items()}
    _check(graph, plates, observed)

    by_size = sorted(
        ((name, frozenset(members)) for name, members in plates.items() if members), key=lambda p: -len(p[1])
    )
    page = nest("", frozenset(graph), by_size, graph, inputs)
    boxes = Columns(page, graph).settled()
    arcs = arcs_of(graph, boxes)

    description = _in_words(graph, plates, observed, inputs, title)
    xs, ys = zip(
        *(point for _, arc in arcs for point in points_on(arc)),
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


def _rect_svg(box: Box, attributes: str) -> str:
    (x, y), _ = box.corners
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{2 * box.half_width:.1f}" height="{2 * box.half_height:.1f}" '
        f'rx="{box.rounding:g}" {attributes}/>'
    )


def _text_svg(x: float, y: float, size: int, text: str, style: str, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="middle" fill="currentColor" '
        f'stroke="none" {style}>{escape(text)}{more}</text>'
    )


def _plate_svg(plate: Plate, box: Box) -> str:
    label = label_of(plate, box)
    ink = f'data-plate="{escape(plate.name)}" fill="currentColor" fill-opacity="0.04" stroke-opacity="0.45"'
    style = 'font-family="sans-serif" fill-opacity="0.75"'
    return _rect_svg(box, ink) + _text_svg(label.x, label.y + 4, 12, plate.name, style)


def _node_svg(name: str, box: Box, observed: bool, given: bool) -> str:
    shade = 'fill="currentColor" fill-opacity="0.2"' if observed or given else ""
    letters, digits = parts(name)
    below = f'<tspan dy="5" font-size="12" font-style="normal">{digits}</tspan>' if digits else ""
    style = 'font-family="Cambria Math, STIX Two Math, Latin Modern Math, Georgia, serif" font-style="italic"'
    border = box._replace(rounding=3) if given else box
    size = 19 if len(letters) == 1 else 15
    return _rect_svg(border, f'data-variable="{escape(name)}" {shade}') + _text_svg(
        box.x, box.y + 6, size, letters, style, below
    )


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
