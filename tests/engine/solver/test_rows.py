"""Steps that a thread does one after the other: shared, failed, cancelled, or done elsewhere, as others are."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from support.arithmetic import Arithmetic, Graph, fail

from engine.errors import EngineError
from engine.events import Event, VertexCompleted, VertexStarted
from engine.llb.definition import Edge

NAMES = [f"s{n}" for n in range(6)]


def chain(graph: Graph, *names: str) -> list[Edge]:
    """Steps each upon the one before, the first upon the constant `a`."""
    edges = [graph.const("a", 1)]
    for name in names:
        edges.append(graph.sum(name, edges[-1]))
    return edges[1:]


def solve(made: Arithmetic, *roots: Edge, **options: Any) -> list[int]:
    async def main() -> list[int]:
        with trio.fail_after(60):
            return await made.solve(*roots, **options)

    return trio.run(main)


def test_a_chain_is_handed_over_once() -> None:
    graph = Graph()
    *_, top = chain(graph, *NAMES)
    made, events = Arithmetic(graph, rowable=NAMES), list[Event]()
    assert solve(made, top, events=events, targets={"t": top}) == [1]
    assert made.rows == 1
    assert made.ran == dict.fromkeys(NAMES, 1)
    told = [event for event in events if isinstance(event, VertexStarted | VertexCompleted)]
    assert [type(event) for event in told[-12:]] == [VertexStarted, VertexCompleted] * 6, "each is told, in order"
    assert solve(made, top) == [1]
    assert made.rows == 1, "what was done in a row is known"


def test_what_several_want_ends_a_row() -> None:
    graph = Graph()
    *_, shared = chain(graph, "s0", "s1")
    roots = [graph.sum(name, shared) for name in ("s2", "s3")]
    made = Arithmetic(graph, rowable=NAMES)
    assert solve(made, *roots, targets={"two": roots[0], "three": roots[1]}) == [1, 1]
    assert made.ran == dict.fromkeys(NAMES[:4], 1)
    assert made.rows == 3, "the two shared steps, and one for each target"


def test_a_step_that_another_target_wants_as_its_result_is_not_kept_waiting_by_a_row() -> None:
    graph = Graph()
    lower, upper = chain(graph, "s0", "s1")
    made = Arithmetic(graph, rowable=NAMES)
    assert solve(made, upper, lower, targets={"upper": upper, "lower": lower}) == [1, 1]
    assert made.rows == 2
    assert made.ran == {"s0": 1, "s1": 1}


def test_a_failure_keeps_what_was_done_before_it() -> None:
    graph = Graph()
    *_, top = chain(graph, *NAMES)
    made = Arithmetic(graph, rowable=NAMES, behaviour={"s3": lambda *_: fail()})
    events: list[Event] = []
    with pytest.raises(EngineError, match="does not add up"):
        solve(made, top, events=events)
    assert made.finished == dict.fromkeys(NAMES[:3], 1)
    assert [event.error for event in events if isinstance(event, VertexCompleted)][-1] == "it does not add up"
    made.behaviour.clear()
    made.ran.clear()
    assert solve(made, top) == [1]
    assert made.ran == dict.fromkeys(NAMES[3:], 1)


def test_a_row_that_nobody_wants_any_more_is_cancelled_and_keeps_what_it_has_done() -> None:
    graph = Graph()
    *_, top = chain(graph, *NAMES)
    reached = trio.Event()

    async def forever(*_: int) -> int:
        reached.set()
        await trio.sleep_forever()
        return 0

    async def fail_then() -> int:
        await reached.wait()
        return await fail()

    both = graph.sum("both", top, graph.sum("other", graph.const("b", 2)))
    made = Arithmetic(graph, rowable=NAMES, behaviour={"s2": forever, "other": lambda *_: fail_then()})
    events: list[Event] = []
    with pytest.raises(EngineError, match="does not add up"):
        solve(made, both, events=events)
    assert made.finished == {"s0": 1, "s1": 1}
    cancelled = [event for event in events if isinstance(event, VertexCompleted) and event.cancelled]
    assert len(cancelled) == 1
    made.behaviour.clear()
    made.ran.clear()
    assert solve(made, both) == [3]
    assert made.ran["s0"] == made.ran["s1"] == 0


def test_an_edit_that_comes_to_the_same_is_a_hit_within_a_row() -> None:
    graph = Graph()
    a = graph.const("a", 1)
    first = graph.sum("first", a)
    second = graph.sum("s0", first, by_content=True)
    top = graph.sum("s1", second)
    made = Arithmetic(graph, rowable=NAMES, behaviour={"first": constant})
    assert solve(made, top) == [7]
    graph.values["a"] = 2
    assert solve(made, top) == [7]
    assert made.ran == {"first": 2, "s0": 1, "s1": 1}


async def constant(*_: int) -> int:
    return 7


def test_work_of_another_process_is_waited_for_and_the_row_goes_on() -> None:
    graph = Graph()
    *_, top = chain(graph, *NAMES)
    made = Arithmetic(graph, rowable=NAMES)
    real, asked = made.take, list[str]()

    async def main() -> list[int]:
        freed = trio.Event()

        def take(key: str) -> bool:
            asked.append(key)
            if len(asked) == 3:
                made.locked[key] = freed
            return real(key)

        made.take = take  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def free_it() -> None:
                while len(asked) < 3:
                    await trio.sleep(0.01)
                await trio.testing.wait_all_tasks_blocked()
                made.locked.pop(asked[2]).set()

            with trio.fail_after(60):
                return await made.solve(top)

    assert trio.run(main) == [1]
    assert asked[2] == asked[3], "asked for again when it was free"
    assert made.ran == dict.fromkeys(NAMES, 1)
    assert made.rows == 2


def test_a_base_that_is_not_here_is_brought_only_for_a_step_that_must_run() -> None:
    graph = Graph()
    one, other = graph.const("a", 1), graph.const("b", 1)
    first = graph.sum("s1", graph.sum("s0", one, by_content=True))
    again = graph.sum("s0", other, by_content=True, salt="again")
    made = Arithmetic(graph, rowable=NAMES, absent={1})
    assert solve(made, first) == [1]
    assert made.brought == [1]
    assert made.rows == 2, "no thread waits for it"
    made.absent = {1}
    assert solve(made, again) == [1]
    assert made.brought == [1]
    assert made.ran == {"s0": 1, "s1": 1}


def test_what_a_row_has_done_is_recorded_while_it_is_held_up() -> None:
    graph = Graph()
    *_, top = chain(graph, *NAMES)

    async def until_the_others_are_recorded(*_: int) -> int:
        while not made.transactions:
            await trio.sleep(0.01)
        return 1

    made = Arithmetic(graph, rowable=NAMES, behaviour={"s2": until_the_others_are_recorded})
    assert solve(made, top) == [1]
    assert made.transactions > 1, "the rest at its end"
    assert made.rows == 1
