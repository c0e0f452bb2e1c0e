"""Random graphs, edited and built again and again: the results of a naive solver, and never more work than it does.

The naive solver goes from the sources up through everything that is wanted, and keeps what it has made under what it
was made of: for each input its value where only content counts, else which result it is.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import trio
from support.arithmetic import Arithmetic, Graph, fail
from support.patience import PATIENCE
from support.shared_numbers import Eager, SharedNumbers

from engine.errors import EngineError
from engine.events import Event, VertexCompleted
from engine.llb.definition import Edge


@dataclass
class Naive:
    """A solver that is easy to believe."""

    graph: Graph
    noise: dict[str, int]
    """Steps whose outcome is always this number."""
    known: dict[tuple[Any, ...], tuple[int, object]] = field(default_factory=dict)
    numbers: Any = field(default_factory=count)

    def build(self, roots: list[Edge]) -> tuple[list[int], Counter[str]]:
        """The numbers behind some edges, and what was run for them."""
        ran: Counter[str] = Counter()
        done: dict[str, tuple[int, object]] = {}

        def solve(digest: str) -> tuple[int, object]:
            if digest in done:
                return done[digest]
            vertex = self.graph.vertices[digest]  # type: ignore[index]
            if vertex.op.source:
                name = vertex.op.source.identifier.removeprefix("number://")
                done[digest] = self.graph.values[name], (name, self.graph.values[name])
                return done[digest]
            inputs = [solve(edge.vertex) for edge in vertex.inputs]
            by_content = vertex.digest in self.graph.by_content
            key = (vertex.note.name, tuple(value if by_content else which for value, which in inputs))
            if key not in self.known:
                ran[vertex.note.name] += 1
                value = self.noise.get(vertex.note.name, sum(value for value, _ in inputs))
                self.known[key] = value, ("result", next(self.numbers))
            done[digest] = self.known[key]
            return done[digest]

        return [solve(root.vertex)[0] for root in roots], ran


def random_graph(rng: random.Random) -> tuple[Graph, list[Edge]]:
    """Constants, and sums over them and each other; some names twice, as equal work in two targets is."""
    graph = Graph()
    edges = [graph.const(f"c{n}", rng.randint(1, 3)) for n in range(rng.randint(1, 5))]
    for number in range(rng.randint(3, 30)):
        inputs = rng.sample(edges, rng.randint(1, min(4, len(edges))))
        name, salt = f"s{number}", ""
        if rng.random() < 0.2 and number:
            salt = str(number)
            name = f"s{rng.randrange(number)}"
        edges.append(graph.sum(name, *inputs, by_content=rng.random() < 0.3, salt=salt))
    sums = [edge for edge in edges if not graph.vertices[edge.vertex].op.source]
    return graph, rng.sample(sums, min(len(sums), rng.randint(1, 4)))


def noisy(graph: Graph, rng: random.Random) -> dict[str, int]:
    names = sorted({v.note.name for v in graph.vertices.values() if not v.op.source})
    return {name: rng.randint(1, 3) for name in rng.sample(names, len(names) // 4)}


def services(graph: Graph, noise: dict[str, int], rng: random.Random) -> Arithmetic:
    """The solver's; noisy steps take a random number of turns, and a thread may do some steps in a row."""

    def step(value: int) -> Any:
        turns = rng.randrange(4)

        async def run(*_: int) -> int:
            for _turn in range(turns):
                await trio.lowlevel.checkpoint()
            return value

        return run

    names = sorted({v.note.name for v in graph.vertices.values()})
    rowable = rng.sample(names, rng.choice([0, len(names) // 2, len(names)]))
    return Arithmetic(graph, behaviour={name: step(value) for name, value in noise.items()}, rowable=rowable)


def solve(made: Arithmetic, roots: list[Edge], **options: Any) -> list[int]:
    async def main() -> list[int]:
        with trio.fail_after(PATIENCE):
            return await made.solve(*roots, **options)

    return trio.run(main)


@pytest.mark.parametrize("seed", range(40))
def test_the_same_results_and_never_more_work(seed: int) -> None:
    rng = random.Random(seed)
    graph, roots = random_graph(rng)
    noise = noisy(graph, rng)
    made, naive = services(graph, noise, rng), Naive(graph, noise)
    targets = {f"t{n}": root for n, root in enumerate(roots)}
    for _ in range(8):
        graph.values[rng.choice(list(graph.values))] = rng.randint(1, 3)
        made.ran.clear()
        expected, work = naive.build(roots)
        bounds = {"jobs": rng.randint(1, 5), "each_target": rng.choice([None, 1, 2])}
        assert solve(made, roots, targets=targets, **bounds) == expected
        assert not made.ran - work, "more work than the naive solver"


@pytest.mark.parametrize("seed", range(40))
def test_lost_records_cost_work_but_never_change_a_result(seed: int) -> None:
    rng = random.Random(seed)
    graph, roots = random_graph(rng)
    made = services(graph, {}, rng)
    for _ in range(6):
        graph.values[rng.choice(list(graph.values))] = rng.randint(1, 3)
        keys = sorted(made.records.records)
        for key in rng.sample(keys, len(keys) // 3):
            del made.records.records[key]
        made.ran.clear()
        assert solve(made, roots) == Naive(graph, {}).build(roots)[0]
        made.ran.clear()
        solve(made, roots)
        assert not made.ran, "what was built just now is known"


@pytest.mark.parametrize("seed", range(40))
def test_failures_and_cancelled_builds_lose_nothing_that_was_finished(seed: int) -> None:
    rng = random.Random(seed)
    graph, roots = random_graph(rng)
    made, naive = services(graph, {}, rng), Naive(graph, {})
    names = sorted({v.note.name for v in graph.vertices.values() if not v.op.source})
    for _ in range(4):
        made.behaviour = {name: lambda *_: fail() for name in rng.sample(names, max(1, len(names) // 5))}
        with contextlib.suppress(EngineError):
            solve(made, roots, jobs=rng.randint(1, 4))
    made.behaviour.clear()
    expected, work = naive.build(roots)
    assert solve(made, roots) == expected
    assert not made.finished - work, "something was run again that had been finished"


def test_an_input_is_not_made_if_a_cache_knows_the_result_without_it() -> None:
    g = Graph()
    edited, side = g.sum("edited", g.const("a", 1)), g.sum("side", g.const("b", 5))
    copied = g.sum("copied", edited, by_content=True)
    roots = [g.sum("top", copied, side)]
    shared = SharedNumbers()
    shared.export(g, roots, lambda vertex: vertex.note.name in ("copied", "top"))
    made = Arithmetic(g, importer=shared)
    g.values["a"] = 2

    async def as_before(_: int) -> int:
        return 1

    made.behaviour["edited"] = as_before
    events: list[Event] = []
    assert solve(made, roots, events=events) == [6]
    assert made.ran == {"edited": 1}
    ended = {e.digest: e.cached for e in events if isinstance(e, VertexCompleted)}
    assert ended[side.vertex], "what was spared is shown as known"


def test_an_input_that_could_have_waited_is_made_if_the_others_come_to_something_new() -> None:
    g = Graph()
    edited, side = g.sum("edited", g.const("a", 1)), g.sum("side", g.const("b", 5))
    roots = [g.sum("top", g.sum("copied", edited, by_content=True), side)]
    shared = SharedNumbers()
    shared.export(g, roots, lambda vertex: vertex.note.name in ("copied", "top"))
    made = Arithmetic(g, importer=shared)
    g.values["a"] = 2
    assert solve(made, roots) == [7]
    assert made.ran == {"edited": 1, "copied": 1, "side": 1, "top": 1}


@pytest.mark.parametrize("seed", range(60))
def test_shared_caches_save_work_and_never_change_a_result(seed: int) -> None:
    rng = random.Random(seed)
    graph, roots = random_graph(rng)
    shared = SharedNumbers()
    for _ in range(2):
        some = rng.choice([0.2, 0.5, 1.0])
        shared.export(graph, roots, lambda vertex, some=some: rng.random() < some)  # type: ignore[misc]
        graph.values[rng.choice(list(graph.values))] = rng.randint(1, 3)
    lazy, eager = Arithmetic(graph, importer=shared), Arithmetic(graph, importer=Eager(shared))
    for _ in range(5):
        expected, _ = Naive(graph, {}).build(roots)
        assert solve(lazy, roots, targets={f"t{n}": root for n, root in enumerate(roots)}) == expected
        assert solve(eager, roots) == expected
        assert not lazy.ran - eager.ran, "more work than that of a solver that makes all inputs at once"
        before = lazy.ran.copy()
        assert solve(lazy, roots, jobs=rng.randint(1, 5)) == expected
        assert lazy.ran == before, "what was found in the cache is known from now on"
        graph.values[rng.choice(list(graph.values))] = rng.randint(1, 3)
