"""Columns from left to right, nothing on top of another, few crossings, and near what it hangs together with."""

import random
from itertools import pairwise

import networkx as nx
import pytest

from bakery.drawing.layout import Layout, lay_out, spread


def graph(*edges: tuple[str, str]) -> "nx.DiGraph[str]":
    return nx.DiGraph(edges)


def tree_of_chains(chains: int, length: int) -> "nx.DiGraph[str]":
    made: nx.DiGraph[str] = nx.DiGraph()
    for chain in range(chains):
        names = ["base", *(f"{chain}.{step}" for step in range(length))]
        nx.add_path(made, names)
    return made


def crossings(found: Layout, edges: list[tuple[str, str]]) -> int:
    lines = [(found.places[a], found.places[b]) for a, b in edges]
    return sum(
        (a[1] - c[1]) * (b[1] - d[1]) < 0
        for n, (a, b) in enumerate(lines)
        for c, d in lines[:n]
        if a[0] == c[0] and b[0] == d[0]
    )


def test_what_is_needed_stands_left_of_what_needs_it() -> None:
    random.seed(1)
    made: nx.DiGraph[str] = nx.DiGraph()
    for n in range(200):
        made.add_node(str(n))
        for other in random.sample(range(n), min(n, 2)):
            made.add_edge(str(other), str(n))
    found = lay_out(made)
    for start, end in made.edges:
        assert found.places[start][0] < found.places[end][0]


def test_nothing_stands_on_another() -> None:
    found = lay_out(tree_of_chains(30, 12))
    columns: dict[int, list[float]] = {}
    for column, height in found.places.values():
        columns.setdefault(column, []).append(height)
    for heights in columns.values():
        heights.sort()
        assert all(b - a >= 0.999 for a, b in pairwise(heights))


def test_chains_do_not_cross_and_become_straight() -> None:
    made = tree_of_chains(12, 9)
    found = lay_out(made)
    assert crossings(found, list(made.edges)) == 0
    for chain in range(12):
        heights = [found.places[f"{chain}.{step}"][1] for step in range(1, 9)]
        assert max(heights) - min(heights) < 0.2


def test_crossed_pairs_are_put_straight() -> None:
    made = graph(("a", "y"), ("b", "x"), ("a", "z"), ("c", "x"), ("x", "end"), ("y", "end"), ("z", "end"))
    assert crossings(lay_out(made), list(made.edges)) == 0


def test_a_source_stands_right_before_what_first_needs_it() -> None:
    found = lay_out(graph(("a", "b"), ("b", "c"), ("files", "c")))
    assert found.places["files"][0] == 1


def test_long_edges_pass_columns_where_no_box_is() -> None:
    made = graph(("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"))
    found = lay_out(made)
    route = found.routes["a", "d"]
    assert [column for column, _ in route] == [1, 2]
    for column, height in route:
        box = next(h for name, (at, h) in found.places.items() if at == column)
        assert not box < height < box + 0.4


def test_too_many_points_are_not_made() -> None:
    made = tree_of_chains(1, 300)
    made.add_edges_from(("base", f"0.{step}") for step in range(300))
    found = lay_out(made)
    points = sum(map(len, found.routes.values()))
    assert 10_000 < points <= 20_000


def test_nothing_at_all_is_no_problem() -> None:
    assert lay_out(nx.DiGraph()).columns == 0
    assert lay_out(graph()).height == 0


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([0, 5, 9], [0, 5, 9]),
        ([5, 5], [4.5, 5.5]),
        ([9, 0], [4, 5]),
        ([0, 3, 3, 3, 9], [0, 2, 3, 4, 9]),
        ([], []),
    ],
)
def test_places_are_the_nearest_that_keep_order_and_room(wanted: list[float], expected: list[float]) -> None:
    assert spread(wanted, [1.0] * len(wanted)) == pytest.approx(expected)
