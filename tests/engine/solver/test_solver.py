"""The solver on graphs of numbers: right answers, and never more work than needed."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
from support import arithmetic
from support.arithmetic import Arithmetic, Graph
from support.patience import PATIENCE

from engine.errors import EngineError
from engine.events import Decided, Event, VertexCompleted, VertexStarted
from engine.llb.definition import Edge


def solve(services: Any, *roots: Edge, **options: Any) -> list[int]:
    async def main() -> list[int]:
        with trio.fail_after(PATIENCE):
            return await services.solve(*roots, **options)

    return trio.run(main)


def test_a_sum_of_sums_is_right_and_each_part_runs_once() -> None:
    g = Graph()
    shared = g.sum("shared", g.const("a", 2), g.const("b", 3))
    left, right = g.sum("left", shared, g.const("c", 10)), g.sum("right", shared, shared)
    services = Arithmetic(g)
    assert solve(services, left, right) == [15, 10]
    assert services.ran == {"shared": 1, "left": 1, "right": 1}


def test_the_second_build_runs_nothing() -> None:
    g = Graph()
    top = g.sum("top", g.sum("low", g.const("a", 1)))
    services = Arithmetic(g)
    solve(services, top)
    services.ran.clear()
    events: list[Event] = []
    assert solve(services, top, events=events) == [1]
    assert not services.ran
    assert sum(isinstance(e, VertexCompleted) and e.cached for e in events) == 3  # top, low, and the source below


def test_what_nobody_wants_never_runs() -> None:
    g = Graph()
    wanted = g.sum("wanted", g.const("a", 1))
    g.sum("unused", g.const("b", 2))
    services = Arithmetic(g)
    solve(services, wanted)
    assert services.ran == {"wanted": 1}


def test_a_hit_near_the_root_makes_everything_below_unwanted() -> None:
    g = Graph()
    low = g.sum("low", g.const("a", 1))
    top = g.sum("top", low)
    services = Arithmetic(g)
    solve(services, top)
    key_of_low = [k for k, r in services.records.records.items() if r.results == (arithmetic.snapshot(1),)]
    del services.records.records[key_of_low[0]]  # the record of low's definition is lost …
    services.ran.clear()
    assert solve(services, top) == [1]
    assert not services.ran  # … and nobody asks for it


def test_a_changed_source_runs_only_what_depends_on_it() -> None:
    g = Graph()
    a, b = g.sum("a2", g.const("a", 1)), g.sum("b2", g.const("b", 5))
    top = g.sum("top", a, b)
    services = Arithmetic(g)
    assert solve(services, top) == [6]
    services.ran.clear()
    g.values["a"] = 2
    assert solve(services, top) == [7]
    assert services.ran == {"a2": 1, "top": 1}


def test_the_same_outcome_on_another_way_is_a_hit_by_content() -> None:
    g = Graph()
    noisy = g.sum("noisy", g.const("a", 4))
    top = g.sum("top", g.sum("copy", noisy, by_content=True))
    services = Arithmetic(g)

    async def always_seven(_: int) -> int:
        return 7

    services.behaviour["noisy"] = always_seven
    assert solve(services, top) == [7]
    services.ran.clear()
    g.values["a"] = 5
    assert solve(services, top) == [7]
    assert services.ran == {"noisy": 1}  # copy hits by content, top by the identity of copy's result
    services.ran.clear()
    assert solve(services, top) == [7]
    assert not services.ran  # and the new definition is known from now on


def test_equal_work_under_two_digests_is_done_once() -> None:
    g = Graph()
    a = g.const("a", 1)
    one, two = g.sum("same", a, salt="1"), g.sum("same", a, salt="2")
    assert one != two
    services = Arithmetic(g)
    events: list[Event] = []
    assert solve(services, one, two, events=events) == [1, 1]
    assert services.ran == {"same": 1}
    assert sum(isinstance(e, VertexCompleted) and e.cached for e in events) == 1


def test_ignoring_the_cache_runs_again_and_what_follows_cannot_hit_the_old_result() -> None:
    g = Graph()
    low = g.sum("low", g.const("a", 1))
    top = g.sum("top", low)
    services = Arithmetic(g)
    solve(services, top)
    services.ran.clear()
    again = g.sum("low", g.const("a", 1), ignore_cache=True)
    assert again == low
    solve(services, top)
    assert services.ran == {"low": 1, "top": 1}


def test_ignoring_the_cache_saves_its_result_for_the_next_build() -> None:
    g = Graph()
    low = g.sum("low", g.const("a", 1), ignore_cache=True)
    top = g.sum("top", low)
    services = Arithmetic(g)
    solve(services, top)
    g.sum("low", g.const("a", 1))
    services.ran.clear()
    solve(services, top)
    assert not services.ran


def test_no_more_than_jobs_work_at_once_and_independent_work_does() -> None:
    g = Graph()
    a = g.const("a", 1)
    parts = [g.sum(f"part{n}", a) for n in range(12)]
    services = Arithmetic(g)

    async def wait(value: int) -> int:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        return value

    services.behaviour = {f"part{n}": wait for n in range(12)}
    solve(services, g.sum("top", *parts), jobs=3)
    assert services.most_at_once == 3


def test_a_failure_cancels_what_only_it_needed_and_keeps_the_rest() -> None:
    g = Graph()
    a = g.const("a", 1)
    cancelled: list[str] = []

    async def forever(_: int) -> int:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append("slow")
        return 0

    async def broken(_: int) -> int:
        return await arithmetic.fail()

    slow, bad = g.sum("slow", a), g.sum("bad", a)
    doomed, fine = g.sum("doomed", slow, bad), g.sum("fine", g.sum("shared", a))
    services = Arithmetic(g, behaviour={"slow": forever, "bad": broken})
    events: list[Event] = []
    with pytest.raises(EngineError, match="does not add up") as caught:
        solve(services, doomed, fine, events=events)
    assert caught.value.vertex == "bad"
    assert cancelled == ["slow"]
    assert services.ran["fine"] == 1  # the other target went on to its end
    assert "doomed" not in services.ran
    failed = [e for e in events if isinstance(e, VertexCompleted) and e.error and not e.cancelled]
    assert [e.digest for e in failed] == [bad.vertex]


def test_work_that_another_target_needs_survives_a_failure() -> None:
    g = Graph()
    a = g.const("a", 1)
    gate = trio.Event()

    async def wait(value: int) -> int:
        await gate.wait()
        return value

    async def broken(_: int) -> int:
        gate.set()
        return await arithmetic.fail()

    slow, bad = g.sum("slow", a), g.sum("bad", a)
    doomed, fine = g.sum("doomed", slow, bad), g.sum("fine", slow)
    services = Arithmetic(g, behaviour={"slow": wait, "bad": broken})
    with pytest.raises(EngineError):
        solve(services, doomed, fine)
    assert services.ran == {"slow": 1, "bad": 1, "fine": 1}


def test_everything_that_finished_before_a_failure_is_known_afterwards() -> None:
    g = Graph()
    low = g.sum("low", g.const("a", 1))

    async def broken(_: int) -> int:
        return await arithmetic.fail()

    services = Arithmetic(g, behaviour={"bad": broken})
    with pytest.raises(EngineError):
        solve(services, g.sum("bad", low))
    services.ran.clear()
    services.behaviour.clear()
    assert solve(services, g.sum("bad", low)) == [1]
    assert services.ran == {"bad": 1}


def test_a_source_that_cannot_be_had_fails_only_who_wants_it() -> None:
    g = Graph()
    missing = g.const("gone", 1)
    del g.values["gone"]
    good = g.sum("good", g.const("a", 3))
    services = Arithmetic(g)
    with pytest.raises(EngineError, match="no number gone"):
        solve(services, g.sum("bad", missing), good)
    assert services.ran == {"good": 1}


def naive(g: Any, edge: Edge) -> int:
    vertex = g.vertices[edge.vertex]
    if vertex.op.source:
        return int(g.values[vertex.op.source.identifier.removeprefix("number://")])
    return sum(naive(g, e) for e in vertex.inputs)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_agree_with_a_naive_solver_and_do_no_work_twice(seed: int) -> None:
    rng = random.Random(seed)
    g = Graph()
    edges = [g.const(f"c{n}", rng.randint(1, 5)) for n in range(4)]
    for n in range(25):
        inputs = rng.sample(edges, rng.randint(1, min(3, len(edges))))
        edges.append(g.sum(f"s{n % 20}", *inputs, by_content=rng.random() < 0.3))
    roots = rng.sample(edges[4:], 3)
    services = Arithmetic(g)
    assert solve(services, *roots, jobs=rng.randint(1, 4)) == [naive(g, r) for r in roots]
    for _ in range(3):
        name = rng.choice(list(g.values))
        g.values[name] = rng.randint(1, 5)
        services.ran.clear()
        assert solve(services, *roots) == [naive(g, r) for r in roots]
        services.ran.clear()
        assert solve(services, *roots) == [naive(g, r) for r in roots]
        assert not services.ran


def test_each_run_is_told_with_a_start_and_an_end() -> None:
    g = Graph()
    top = g.sum("top", g.const("a", 1))
    events: list[Event] = []
    solve(Arithmetic(g), top, events=events)
    mine = [e for e in events if getattr(e, "digest", None) == top.vertex]
    assert [type(e) for e in mine[1:]] == [Decided, VertexStarted, VertexCompleted]
    assert not mine[-1].cached
