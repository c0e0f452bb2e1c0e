"""Places for the nodes of a graph, in columns: what is needed stands left of what needs it.

The method of Sugiyama, Tagawa and Toda (1981) in its three parts: ranks, an order in each rank with few crossings
(barycentres, swept both ways), and coordinates. For these, each column is put as near as its order allows to the mean
of its neighbours: a least-squares problem under an order, which pooling adjacent violators solves in one pass (Ayer
et al. 1955). Long edges go through points of their own in each column they cross. All is nearly linear in size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from bakery.values import frozen

SWEEPS = 8
MOSTPOINTS = 20_000
"""Points of long edges; with more, only shorter ones get theirs, and the others go straight."""
POINT = 0.4
"""The height of a point of an edge, where a node has 1."""


@frozen
class Layout:
    """`places`: column and height of each node (a node is 1 high); `routes`: points between the ends of long edges."""

    places: Mapping[str, tuple[int, float]]
    routes: Mapping[tuple[str, str], Sequence[tuple[int, float]]]
    columns: int
    height: float


class _Columns:
    """The graph with a point wherever an edge crosses a column. Nodes and points are numbers: the nodes come first."""

    def __init__(self, graph: nx.DiGraph[str], ranks: Mapping[str, int]) -> None:
        self.names = list(graph)
        self.number = {name: number for number, name in enumerate(self.names)}
        self.rank = [ranks[name] for name in self.names]
        self.before: list[list[int]] = [[] for _ in self.names]
        self.after: list[list[int]] = [[] for _ in self.names]
        self.routes: dict[tuple[str, str], list[int]] = {}
        longest = _longest_routed(ranks[end] - ranks[start] for start, end in graph.edges)
        for start, end in graph.edges:
            self._add(start, end, longest)

    def _add(self, start: str, end: str, longest: int) -> None:
        at, last = self.number[start], self.number[end]
        if self.rank[last] - self.rank[at] > longest:
            return
        points = self.routes[start, end] = []
        for rank in range(self.rank[at] + 1, self.rank[last]):
            point = len(self.rank)
            self.rank.append(rank)
            self.before.append([])
            self.after.append([])
            self._join(at, point)
            points.append(point)
            at = point
        self._join(at, last)

    def _join(self, start: int, end: int) -> None:
        self.after[start].append(end)
        self.before[end].append(start)

    def height(self, number: int) -> float:
        """How much room a node or a point takes."""
        return 1.0 if number < len(self.names) else POINT


def lay_out(graph: nx.DiGraph[str]) -> Layout:
    """Places for all nodes of a graph without circles."""
    if not graph:
        return Layout({}, {}, 0, 0.0)
    columns = _Columns(graph, _ranks(graph))
    order = _ordered(columns)
    heights = _heights(columns, order)
    lowest = min(heights)
    places = {name: (columns.rank[n], heights[n] - lowest) for n, name in enumerate(columns.names)}
    routes = {
        edge: [(columns.rank[point], heights[point] - lowest) for point in points]
        for edge, points in columns.routes.items()
        if points
    }
    return Layout(places, routes, len(order), max(heights) - lowest + 1)


def _ranks(graph: nx.DiGraph[str]) -> dict[str, int]:
    """Each node one column after the last that it needs; what needs nothing, right before the first that needs it."""
    ranks: dict[str, int] = {}
    for name in nx.topological_sort(graph):
        ranks[name] = max((ranks[other] + 1 for other in graph.predecessors(name)), default=0)
    for name in graph:
        if not graph.in_degree(name) and graph.out_degree(name):
            ranks[name] = min(ranks[other] for other in graph.successors(name)) - 1
    return ranks


def _longest_routed(spans: Iterable[int]) -> int:
    """The longest edges that get points, so that there are not too many of them."""
    total, longest = 0, 1
    for span in sorted(spans):
        total += span - 1
        if total > MOSTPOINTS:
            break
        longest = max(longest, span)
    return longest


def _ordered(columns: _Columns) -> list[list[int]]:
    """The nodes and points of each column from top to bottom."""
    order: list[list[int]] = [[] for _ in range(max(columns.rank) + 1)]
    for number in _neighbourly(columns):
        order[columns.rank[number]].append(number)
    position = [0.0] * len(columns.rank)
    for column in order:
        _number(column, position)
    for sweep in range(SWEEPS):
        neighbours = columns.after if sweep % 2 else columns.before
        for column in reversed(order) if sweep % 2 else order:
            centre = {n: _mean(position, neighbours[n], position[n]) for n in column}
            column.sort(key=centre.__getitem__)
            _number(column, position)
    return order


def _number(column: list[int], position: list[float]) -> None:
    # In fractions of the column: columns differ in how much they hold.
    for at, number in enumerate(column):
        position[number] = (at + 0.5) / len(column)


def _neighbourly(columns: _Columns) -> Iterable[int]:
    """All numbers, depth first from those that nothing needs: what belongs together stays together."""
    seen: set[int] = set()
    for last in [n for n in range(len(columns.rank)) if not columns.after[n]]:
        stack = [last]
        while stack:
            number = stack.pop()
            if number not in seen:
                seen.add(number)
                yield number
                stack += reversed(columns.before[number])


def _heights(columns: _Columns, order: list[list[int]]) -> list[float]:
    """Where each node and point stands in its column."""
    heights = [0.0] * len(columns.rank)
    for column in order:
        at = 0.0
        for number in column:
            heights[number] = at
            at += columns.height(number)
    for sweep in range(SWEEPS):
        both = sweep >= SWEEPS - 2
        for column in reversed(order) if sweep % 2 else order:
            wanted = [_mean(heights, _pulling(columns, number, sweep, both), heights[number]) for number in column]
            for number, height in zip(column, spread(wanted, [columns.height(n) for n in column]), strict=True):
                heights[number] = height
    return heights


def _pulling(columns: _Columns, number: int, sweep: int, both: bool) -> list[int]:
    if both:
        return columns.before[number] + columns.after[number]
    return columns.after[number] if sweep % 2 else columns.before[number]


def _mean(values: Sequence[float], numbers: Sequence[int], otherwise: float) -> float:
    return sum(values[n] for n in numbers) / len(numbers) if numbers else otherwise


def spread(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """The places nearest to those wanted (least squares) that keep their order and leave each the room it takes."""
    offsets, total = [], 0.0
    for size in sizes:
        offsets.append(total)
        total += size
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, count = want - offset, 1
        while pools and pools[-1][0] >= mean:
            other, many = pools.pop()
            mean = (mean * count + other * many) / (count + many)
            count += many
        pools.append((mean, count))
    flat = [mean for mean, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]
