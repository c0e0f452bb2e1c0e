"""A clock that jumps: what is known stays known, an edit still shows, and nothing that was used is collected."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio
from support.arithmetic import Arithmetic, Graph
from support.in_process import Workplace

from engine.cache.automatic import collect_if_due
from engine.cache.policy import DiskSpace, Limits, Rule
from engine.state import State

YEARS = 10 * 365 * 86400.0


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", 'target "default" { output = ["type=local,dest=out"] }\n')
    place.write("Dockerfile", "FROM scratch\nCOPY one /\nCOPY two /\n")
    place.write("one", "1")
    place.write("two", "2")
    return place


@pytest.mark.parametrize("jump", [-YEARS, -3.0, 3.0, YEARS])
def test_builds_before_and_after_a_jump_agree(place: Workplace, jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    place.build_well()
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(jump * 1e9))
    assert place.build_well().ran == []
    place.write("two", "3")
    assert place.build_well().ran == ["COPY two /"]
    assert (place.folder / "out/two").read_text() == "3"
    place.write("two", "4")
    monkeypatch.undo()
    assert place.build_well().ran == ["COPY two /"], "and when it is set right again"
    assert (place.folder / "out/two").read_text() == "4"
    assert place.build_well().ran == []


def test_a_jump_back_keeps_what_was_used_before_it(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.build_well()
    rules = (Rule(keep_duration=3600.0, limits=Limits(max_used=DiskSpace(1))),)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - YEARS)
    state = State.open(place.root)
    assert collect_if_due(state, rules, time.time) == []
    assert place.build_well().ran == []
    monkeypatch.setattr(time, "time", lambda: now() + 2 * 3600)
    assert collect_if_due(state, rules, time.time), "what nobody used for so long goes"
    state.close()


def test_a_step_never_took_less_than_no_time() -> None:
    graph = Graph()
    top = graph.sum("top", graph.const("a", 1))
    times = iter(range(1000, 0, -1))
    services = Arithmetic(graph, clock=lambda: float(next(times)))

    async def main() -> list[int]:
        return await services.solve(top)

    assert trio.run(main) == [1]
    assert {record.seconds for record in services.records.records.values()} == {0.0}
