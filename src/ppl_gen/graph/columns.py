"""The second step, columns: from any picture without overlaps, move things while that removes flaws."""

from collections.abc import Collection, Mapping
from itertools import combinations

from ppl_gen.graph.geometry import Box, cross, gap
from ppl_gen.graph.mathematics import parts
from ppl_gen.graph.rows import PAD, Item, Plate, edges, members_of

RADIUS = 20.0  # of a node
COLUMN = 45.0  # half the usual distance between neighbours, so that a child can stand between two parents
ROW_GAP = 46.0  # from a row's bottom to the next row's top
CLEAR = 7.0  # how far an edge stays from what it passes


class Columns:
    """The columns of all variables, improved one move at a time."""

    def __init__(self, page: Plate, graph: Mapping[str, Collection[str]]) -> None:
        self.page = page
        self.edges = edges(graph)
        self.graph = graph
        self.pages = [page, *page.inside()]
        self.half = {name: max(RADIUS, 4.3 * len(parts(name)[0]) + 10) for name in graph}
        self.y: dict[str, float] = {}
        self.column: dict[str, int] = {}
        self._stack(page, 0.0)
        self._spread(page, 0)

    def settled(self) -> dict[Item, Box]:
        """Every variable and plate in its place, once no single move makes the picture better."""
        movable = [members_of(item) for plate in self.pages for row in plate.rows for item in row]
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

    def boxes(self) -> dict[Item, Box]:
        boxes: dict[Item, Box] = {
            name: Box(COLUMN * column, self.y[name], self.half[name], RADIUS, RADIUS)
            for name, column in self.column.items()
        }
        for plate in reversed(self.pages[1:]):
            held = [corner for row in plate.rows for item in row for corner in boxes[item].corners]
            above, below = plate.pads
            left, right = min(x for x, _ in held) - PAD, max(x for x, _ in held) + PAD
            top, bottom = min(y for _, y in held) - above, max(y for _, y in held) + below
            half = max((right - left) / 2, 3.4 * len(plate.name) + 10)
            boxes[plate] = Box((left + right) / 2, (top + bottom) / 2, half, (bottom - top) / 2, 10)
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
                beside = min(x0, x1) - reach < x < max(x0, x1) + reach
                if beside and min(y0, y1) - reach < y < max(y0, y1) + reach:
                    flaws += 30 * (gap(boxes[other], at[parent], at[child]) < CLEAR)
            for plate in self.pages[1:]:  # that neither end lives in
                if not plate.members & {parent, child}:
                    flaws += 4 * (gap(boxes[plate], at[parent], at[child]) < 0)
        for (a, b), (c, d) in combinations(self.edges, 2):
            flaws += 12 * (len({a, b, c, d}) == 4 and cross(at[a], at[b], at[c], at[d]))
        return flaws

    def _ancestors(self, name: str) -> frozenset[str]:
        """Of `name`, and itself: moved together, they keep their arrangement."""
        return frozenset({name}).union(*(self._ancestors(parent) for parent in self.graph[name]))

    def _height(self, item: Item) -> float:
        if isinstance(item, str):
            return 2 * RADIUS
        rows = sum(max(map(self._height, row)) for row in item.rows)
        return sum(item.pads) + rows + ROW_GAP * (len(item.rows) - 1)

    def _stack(self, plate: Plate, top: float) -> None:
        """Set the heights of all variables in `plate`; a row stands on its lower edge."""
        for row in plate.rows:
            bottom = top + max(map(self._height, row))
            for item in row:
                if isinstance(item, str):
                    self.y[item] = bottom - RADIUS
                else:
                    self._stack(item, bottom - self._height(item) + item.pads[0])
            top = bottom + ROW_GAP

    def _spread(self, item: Item, left: int) -> int:
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


def label_of(plate: Plate, box: Box) -> Box:
    """Where a plate's name stands: in a corner on the right."""
    half, height = 3.4 * len(plate.name) + 1, box.half_height - 13
    y = box.y - height if plate.name_on_top else box.y + height
    return Box(box.x + box.half_width - 9 - half, y, half, 7, 2)
