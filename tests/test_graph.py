"""The picture is read back from its SVG: plates hold their members only, no edge runs through a node."""

import re
import xml.etree.ElementTree as ET
from math import hypot
from typing import Any

import pytest

from ppl_gen.graph import draw, latex, markup

Box = tuple[float, float, float, float]

MODELS: dict[str, dict[str, Any]] = {
    "naive Bayes": dict(
        parents={"pi": [], "tau": [], "mu": ["tau"], "y": ["pi"], "x": ["y", "mu", "tau"]},
        plates={"classes": ["mu", "tau"], "data": ["y", "x"]},
        observed=["y", "x"],
    ),
    "mixture": dict(
        parents={"pi": [], "tau": [], "mu": ["tau"], "z": ["pi"], "x": ["z", "mu", "tau"]},
        plates={"components": ["mu", "tau"], "data": ["z", "x"]},
        observed=["x"],
    ),
    "VAE": dict(parents={"z": [], "x": ["z"]}, plates={"data": ["z", "x"]}, observed=["x"]),
    "logistic regression": dict(
        parents={"w": [], "y": ["x", "w"]}, plates={"data": ["x", "y"]}, observed=["y"], given=["x"]
    ),
    "chain": dict(
        parents={"x3": [], "x2": ["x3"], "x1": ["x2"], "x0": ["x1"]},
        plates={"data": ["x0", "x1", "x2", "x3"]},
    ),
    "nested": dict(
        parents={"phi": [], "theta": ["alpha"], "z": ["theta"], "w": ["z", "phi"]},
        plates={"topics": ["phi"], "documents": ["theta", "z", "w"], "words": ["z", "w"]},
        observed=["w"],
    ),
    "plates that feed one another": dict(
        parents={"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"]},
        plates={"left": ["a", "d"], "right": ["b"]},
    ),
    "long names and many inputs": dict(
        parents={"a_long_weight_name": [], "y": ["a_long_weight_name", "x1", "x2", "x3"], "free": []},
        plates={"a plate with quite a long name": ["y"], "same": ["y"]},
    ),
}


def read(svg: str) -> tuple[dict[str, Box], dict[str, Box], dict[tuple[str, str], list[tuple[float, float]]]]:
    """Nodes and plates as (left, top, right, bottom), and points along every edge."""
    boxes: dict[str, dict[str, Box]] = {"data-variable": {}, "data-plate": {}}
    edges = {}
    for part in ET.fromstring(svg):
        for kind, found in boxes.items():
            if kind in part.attrib:
                x, y, w, h = (float(part.attrib[key]) for key in ("x", "y", "width", "height"))
                found[part.attrib[kind]] = (x, y, x + w, y + h)
        if "data-edge" in part.attrib:
            n = [float(number) for number in re.findall(r"-?[\d.]+", part.attrib["d"])]
            parent, child = part.attrib["data-edge"].split()
            edges[parent, child] = [
                tuple((1 - t) ** 2 * n[i] + 2 * t * (1 - t) * n[i + 2] + t * t * n[i + 4] for i in (0, 1))
                for t in (step / 50 for step in range(51))
            ]
    return boxes["data-variable"], boxes["data-plate"], edges  # type: ignore[return-value]


def outside(box: Box, point: tuple[float, float]) -> float:
    """The distance from a node (a circle, or one drawn out sideways) to a point."""
    half = (box[3] - box[1]) / 2
    x = min(max(point[0], box[0] + half), box[2] - half)
    return hypot(point[0] - x, point[1] - (box[1] + box[3]) / 2) - half


@pytest.mark.parametrize("name", MODELS)
def test_plates_hold_their_members_and_no_others(name: str) -> None:
    nodes, plates, _ = read(draw(**MODELS[name]))
    assert set(plates) == set(MODELS[name]["plates"])
    for plate, (left, top, right, bottom) in plates.items():
        for variable, (x0, y0, x1, y1) in nodes.items():
            inside = left < x0 and x1 < right and top < y0 and y1 < bottom
            apart = x1 < left or right < x0 or y1 < top or bottom < y0
            assert (inside, apart) == (variable in MODELS[name]["plates"][plate], not inside), (
                plate,
                variable,
            )


@pytest.mark.parametrize("name", MODELS)
def test_edges_run_from_border_to_border_and_pass_no_node(name: str) -> None:
    nodes, _, edges = read(draw(**MODELS[name]))
    assert set(edges) == {(p, child) for child, names in MODELS[name]["parents"].items() for p in names}
    for (parent, child), points in edges.items():
        for variable, box in nodes.items():
            nearest = min(outside(box, point) for point in points)
            if variable == child:  # the line ends where the arrowhead, 9 long, begins
                assert 2 < nearest < 11
            elif variable == parent:
                # A square's corner lies (√2 - 1) · 20 = 8.3 outside the circle in it; 0.1 is rounding.
                assert -0.1 < nearest < 8.4
            else:
                assert nearest > 3, f"{parent} -> {child} passes through {variable}"


@pytest.mark.parametrize("name", MODELS)
def test_nodes_do_not_overlap_and_all_lie_in_the_view(name: str) -> None:
    svg = draw(**MODELS[name])
    nodes, plates, edges = read(svg)
    boxes = list(nodes.values())
    for i, a in enumerate(boxes):
        assert all(a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1] for b in boxes[:i])
    left, top, width, height = map(float, ET.fromstring(svg).attrib["viewBox"].split())
    corners = [point for b in [*boxes, *plates.values()] for point in (b[:2], b[2:])]
    for x, y in [*corners, *(point for points in edges.values() for point in points)]:
        assert left <= x <= left + width
        assert top <= y <= top + height


def test_same_picture_every_time_and_parents_above_children() -> None:
    assert draw(**MODELS["nested"]) == draw(**MODELS["nested"])
    nodes, _, _ = read(draw(**MODELS["chain"]))
    assert [name for name, _ in sorted(nodes.items(), key=lambda node: node[1][1])] == [
        "x3",
        "x2",
        "x1",
        "x0",
    ]


def test_words_letters_and_escapes() -> None:
    svg = draw({"mu": [], "x0": ["mu"]}, plates={"a<b": ["x0"]}, observed=["x0"], title='"T" & <c>')
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == (
        '"T" & <c>: x0 depends on mu; without parents: mu; observed: x0; plate a<b holds x0.'
    )
    texts = ["".join(part.itertext()) for part in root]
    assert texts[0] == '"T" & <c>'
    assert {"μ", "x0", "a<b"} <= set(texts)
    assert "#" not in svg
    assert "currentColor" in svg


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(parents={}), "parents: expected at least one variable"),
        (dict(parents={"a": ["b"], "b": ["a"]}), "without cycles, got"),
        (dict(parents={"a": []}, observed=["b"]), "observed: expected variables among a; got b"),
        (dict(parents={"a": []}, plates={"p": ["c"]}), r"plates\['p'\]: expected variables among a; got c"),
        (
            dict(parents={"a": [], "b": [], "c": []}, plates={"p": ["a", "b"], "q": ["b", "c"]}),
            "'p' and 'q' overlap in part",
        ),
    ],
)
def test_errors_name_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(**arguments)


def test_a_string_is_not_a_list_of_names() -> None:
    with pytest.raises(TypeError, match="y: expected a collection of names"):
        draw({"pi": [], "y": "pi"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r"p(pi) p(mu | tau) p(x | y, mu, tau)", r"p(\pi)\,p(\mu \mid \tau)\,p(x \mid y, \mu, \tau)"),
        ("p(x0 | x1)", r"p(x_{0} \mid x_{1})"),
        ("p(weights)p( z|c )", r"p(\mathrm{weights})\,p(z \mid c)"),
        ("q(log_scale, mu_12 | Lambda)", r"q(\mathrm{log\_scale}, \mu_{12} \mid \Lambda)"),
    ],
)
def test_latex(line: str, expected: str) -> None:
    assert latex(line) == expected


def test_the_j_of_x_j_stands_below() -> None:
    assert latex("p(x_j | y)") == r"p(x_{j} \mid y)"
    assert "<i>x</i><sub>j</sub>" in markup("p(x_j | y)")
    assert "sub" not in markup("p(log_x)")


@pytest.mark.parametrize("line", ["", "x", "p(x | y | z)", "p()", "p(x) + p(y)", r"p(\input)"])
def test_latex_refuses_what_is_no_product(line: str) -> None:
    with pytest.raises(ValueError, match="line: expected a product of factors"):
        latex(line)


def test_parents_are_named_in_the_order_of_the_graph():
    """Not in that of a set, which is another in every run of Python."""
    parents = {"b": [], "c": [], "a": [], "x": frozenset("abc")}
    assert "x depends on b, c, a" in draw(parents)
    assert "x depends on b, c, a" in draw({**parents, "x": ["a", "c", "b"]})
