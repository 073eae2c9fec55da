"""The first step, rows: inside every plate, a variable stands below its parents."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

PAD = 16.0  # from a plate's members to its border
PAD_NAME = 30.0  # the same where its name stands between them


@dataclass(frozen=True, eq=False)
class Plate:
    """A plate, or the whole page: its rows from top to bottom, of variables and of the plates just inside.

    The name stands below the members, or above them where edges leave the plate and none comes in.
    """

    name: str
    members: frozenset[str]
    name_on_top: bool
    rows: list[list["Item"]]

    @property
    def pads(self) -> tuple[float, float]:
        """Above and below the members."""
        return (PAD_NAME, PAD) if self.name_on_top else (PAD, PAD_NAME)

    def inside(self) -> "Iterator[Plate]":
        """The plates in this one, the larger before those they hold."""
        for item in (item for row in self.rows for item in row if isinstance(item, Plate)):
            yield item
            yield from item.inside()


Item: TypeAlias = str | Plate


def edges(graph: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """All pairs of a child and one of its parents."""
    return [(child, parent) for child, parents in graph.items() for parent in parents]


def members_of(item: Item) -> frozenset[str]:
    """The variables of an item, itself if it is one."""
    return frozenset({item}) if isinstance(item, str) else item.members


def nest(
    name: str,
    members: frozenset[str],
    plates: list[tuple[str, frozenset[str]]],
    graph: Mapping[str, Collection[str]],
    inputs: Collection[str],
) -> Plate:
    """The plate `name` with all in it; `plates` are those inside, large before small."""
    items: list[Item] = []
    free = members
    while plates:
        (inner, held), *others = plates
        items.append(nest(inner, held, [p for p in others if p[1] <= held], graph, inputs))
        plates = [p for p in others if not p[1] <= held]
        free -= held
    # Given names come first, so that inputs enter from the left.
    items += sorted((name for name in graph if name in free), key=lambda name: name not in inputs)
    enters = any(child in members and parent not in members for child, parent in edges(graph))
    leaves = any(child not in members and parent in members for child, parent in edges(graph))
    return Plate(name, members, leaves and not enters, _rows(items, graph, inputs))


def _rows(
    items: list[Item], graph: Mapping[str, Collection[str]], inputs: Collection[str]
) -> list[list[Item]]:
    """Every item in the row given by the longest path to it.

    What has no parents moves down to stand just above its first child, or beside it if it is given.
    """
    home = {name: item for item in items for name in members_of(item)}
    above: dict[Item, list[Item]] = {item: [] for item in items}
    below: dict[Item, list[Item]] = {item: [] for item in items}
    for child, parent in edges(graph):
        if child in home and parent in home and home[child] is not home[parent]:
            above[home[child]].append(home[parent])
            below[home[parent]].append(home[child])
    beside = {
        item for item in items if item in inputs and any(isinstance(child, str) for child in below[item])
    }

    depth: dict[Item, int] = {}

    def descend(item: Item) -> int:
        if item not in depth:
            depth[item] = 0  # seen again only if plates feed one another: some edge must then point up
            parents = (parent for parent in above[item] if parent not in beside)
            depth[item] = max((descend(parent) + 1 for parent in parents), default=0)
        return depth[item]

    for item in items:
        descend(item)
    for item in items:
        if below[item] and not above[item]:
            first = min(depth[child] for child in below[item] if item not in beside or isinstance(child, str))
            depth[item] = first if item in beside else max(first - 1, 0)
    rows = [[item for item in items if depth[item] == row] for row in range(max(depth.values()) + 1)]
    return [row for row in rows if row]
