"""Who comes first when not all can work at once, how many may, and what is told when nothing moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.arithmetic import Arithmetic, Graph
from support.patience import PATIENCE
from trio.testing import MockClock

from engine.errors import EngineError
from engine.events import Event, LogChunk, VertexCompleted, VertexKnown
from engine.llb.definition import Edge
from engine.solver import priorities


def taking(seconds: float) -> Callable[..., Awaitable[int]]:
    async def work(*values: int) -> int:
        await trio.sleep(seconds)
        return sum(values)

    return work


def solve(made: Arithmetic, *roots: Edge, **options: Any) -> float:
    """Builds, and gives how many seconds that took on a clock that jumps."""

    async def main() -> float:
        made.clock = trio.current_time
        begun = trio.current_time()
        await made.solve(*roots, **options)
        return trio.current_time() - begun

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def chain_and_crowd() -> tuple[Arithmetic, Edge]:
    """Four steps of one second after each other, and six short ones beside them, which come first in every order."""
    graph = Graph()
    source = graph.const("a", 1)
    crowd = [graph.sum(f"short{n}", source) for n in range(6)]
    link = source
    for n in range(4):
        link = graph.sum(f"long{n}", link)
    made = Arithmetic(graph)
    made.behaviour = {f"short{n}": taking(0.5) for n in range(6)} | {f"long{n}": taking(1) for n in range(4)}
    return made, graph.sum("top", *crowd, link)


def test_the_longest_way_is_begun_first() -> None:
    made, top = chain_and_crowd()
    assert solve(made, top, jobs=1000, targets={"t": top}) == 4.0
    made.records.records.clear()
    # Two at once: the chain takes one place for its four seconds, the crowd the other for three.
    assert solve(made, top, jobs=2, targets={"t": top}) == 4.0


def test_what_becomes_ready_passes_what_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priorities, "UNKNOWN_OTHER", 1.0)
    made, top = chain_and_crowd()
    order: list[str] = []
    for name, work in list(made.behaviour.items()):

        async def noted(*values: int, name: str = name, work: Any = work) -> int:
            order.append(name)
            return int(await work(*values))

        made.behaviour[name] = noted
    solve(made, top, jobs=1)
    assert order[:3] == ["long0", "long1", "long2"]


def test_no_target_has_more_at_work_than_it_may() -> None:
    graph = Graph()
    source = graph.const("a", 1)
    tops = {}
    for target in ("one", "two"):
        steps = [graph.sum(f"{target}{n}", source) for n in range(4)]
        tops[target] = graph.sum(target, *steps)
    made = Arithmetic(graph)
    made.behaviour = {f"{target}{n}": taking(1) for target in tops for n in range(4)}
    assert solve(made, *tops.values(), targets=tops, each_target=1) == 4.0
    assert made.most_at_once == 2
    made.records.records.clear()
    assert solve(made, *tops.values(), targets=tops, each_target=2) == 2.0


def test_a_step_of_two_targets_waits_only_until_one_of_them_may() -> None:
    graph = Graph()
    source = graph.const("a", 1)
    busy, shared = graph.sum("busy", source), graph.sum("shared", source)
    # `busy` has the longer way to go, so it is begun first.
    tops = {"one": graph.sum("one", graph.sum("after", busy), shared), "two": graph.sum("two", shared)}
    made = Arithmetic(graph, behaviour={"busy": taking(5), "shared": taking(1)})
    assert solve(made, *tops.values(), targets=tops, each_target=1) == 5.0


def test_a_cancelled_wait_gives_its_place_to_others() -> None:
    graph = Graph()
    source = graph.const("a", 1)

    async def broken(*_: int) -> int:
        await trio.sleep(1)
        raise EngineError("no")

    bad = graph.sum("bad", graph.sum("first", source), *[graph.sum(f"waiting{n}", source) for n in range(5)])
    fine = graph.sum("fine", source)
    made = Arithmetic(graph, behaviour={"first": broken, "fine": taking(1)})
    made.behaviour |= {f"waiting{n}": taking(1) for n in range(5)}
    with pytest.raises(EngineError, match="no"):
        solve(made, bad, fine, jobs=1)
    assert made.ran["fine"] == 1


def test_work_of_another_process_is_waited_for_without_taking_a_place() -> None:
    graph = Graph()
    source = graph.const("a", 1)
    theirs, mine = graph.sum("theirs", source), graph.sum("mine", source)
    made = Arithmetic(graph, behaviour={"mine": taking(1), "theirs": taking(1)})

    async def main() -> float:
        key_seen: list[str] = []
        freed = trio.Event()
        real = made.try_lock

        def try_lock(key: str) -> Any:
            if not key_seen:
                key_seen.append(key)
                made.locked[key] = freed
            return real(key)

        made.try_lock = try_lock  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def free_it() -> None:
                await trio.sleep(5)
                del made.locked[key_seen[0]]
                freed.set()

            await made.solve(theirs, mine, jobs=1)
        return trio.current_time()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert made.ran == {"theirs": 1, "mine": 1}


def silence(events: list[Event]) -> list[tuple[str, str]]:
    """What the watchdog said: titles and texts."""
    names = {e.digest: e.name for e in events if isinstance(e, VertexKnown) and e.name.startswith("[internal]")}
    return [(names[e.digest], e.data.decode()) for e in events if isinstance(e, LogChunk) and e.digest in names]


def test_long_silence_is_explained_again_and_again_but_ever_more_rarely() -> None:
    graph = Graph()
    source = graph.const("a", 1)
    slow = graph.sum("slow", source)
    top = graph.sum("top", slow, graph.sum("quick", source))
    made = Arithmetic(graph, behaviour={"slow": taking(100)})
    events: list[Event] = []
    solve(made, top, events=events)
    said = silence(events)
    assert [title for title, _ in said] == [
        "[internal] nothing has happened for 30 s",
        "[internal] nothing has happened for 60 s",
    ]
    assert "slow: runs for 30 s\n" in said[0][1]
    assert "top: waits for slow for 30 s\n" in said[0][1]


def test_a_build_that_moves_says_nothing() -> None:
    graph = Graph()
    link = graph.const("a", 1)
    for n in range(10):
        link = graph.sum(f"s{n}", link)
    made = Arithmetic(graph, behaviour={f"s{n}": taking(20) for n in range(10)})
    events: list[Event] = []
    assert solve(made, link, events=events) == 200.0
    assert silence(events) == []


def test_a_cancelled_step_says_so_even_if_it_waited_in_a_nursery() -> None:
    graph = Graph()
    source = graph.const("a", 1)

    async def in_a_nursery(*_: int) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()
        return 0

    async def broken(*_: int) -> int:
        await trio.sleep(1)
        raise EngineError("no")

    waiting = graph.sum("waiting", source)
    made = Arithmetic(graph, behaviour={"waiting": in_a_nursery, "bad": broken})
    events: list[Event] = []
    with pytest.raises(EngineError):
        solve(made, graph.sum("top", waiting, graph.sum("bad", source)), events=events)
    assert [e.cancelled for e in events if isinstance(e, VertexCompleted) and e.digest == waiting.vertex] == [True]


def test_a_build_of_known_things_reads_and_writes_no_memory() -> None:
    graph = Graph()
    top = graph.sum("top", graph.const("a", 1))
    made = Arithmetic(graph)
    solve(made, top, targets={"t": top})
    assert (made.memory.reads, made.memory.writes) == (1, 1)
    solve(made, top, targets={"t": top})
    assert (made.memory.reads, made.memory.writes) == (1, 1)


def test_a_step_that_never_rests_does_not_keep_others_from_beginning() -> None:
    graph = Graph()
    source = graph.const("a", 1)
    ended = trio.Event()

    async def restless(*_: int) -> int:
        while not ended.is_set():
            await trio.lowlevel.checkpoint()
        return 1

    async def last(*_: int) -> int:
        ended.set()
        return 1

    rest = graph.sum("last", graph.sum("quick", source))
    made = Arithmetic(graph, behaviour={"restless": restless, "last": last})

    async def main() -> None:
        with trio.fail_after(PATIENCE):
            await made.solve(graph.sum("top", graph.sum("restless", source), rest), jobs=2)

    trio.run(main)
    assert made.finished["restless"] == 1
