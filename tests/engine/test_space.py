"""The disk during a build: watched, and the build stopped before it is full."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from engine.disks import RESERVE, disk_space, reserve_of
from engine.errors import EngineError, StateError
from engine.space import explain_shortage, guarding_space
from engine.state import State

MB = 1 << 20


def test_a_build_is_stopped_before_the_disk_is_full(tmp_path: Path) -> None:
    free = [1000 * MB, 900 * MB, 300 * MB, 100 * MB]

    async def build(state: State) -> None:
        async with guarding_space(state, lambda: (100_000 * MB, free.pop(0))):
            await trio.sleep_forever()

    state = State.open(tmp_path)
    with pytest.raises(StateError, match="only 100 MB are left") as caught:
        trio.run(build, state, clock=trio.testing.MockClock(autojump_threshold=0))
    assert "bakery prune" in caught.value.hint
    assert free == []
    state.close()


def test_a_build_with_room_is_left_alone_and_its_errors_are_its_own(tmp_path: Path) -> None:
    async def build(state: State) -> None:
        async with guarding_space(state, lambda: (1000 * MB, 900 * MB)):
            raise EngineError("mine")

    state = State.open(tmp_path)
    with pytest.raises(EngineError, match="mine"):
        trio.run(build, state)
    state.close()


def test_the_reserve_is_a_small_part_of_a_small_disk() -> None:
    assert reserve_of(50 * MB) == MB
    assert reserve_of(10**13) == RESERVE


def test_errors_on_a_full_disk_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.open(tmp_path)
    assert 0 < disk_space(tmp_path)[1] <= disk_space(tmp_path)[0]
    monkeypatch.setattr("engine.space.is_full", lambda place: True)
    full, told = EngineError("exit code: 1"), EngineError("x", hint="free some space with `bakery prune`")
    explain_shortage([full, told, None], state)
    assert "is full" in full.hint
    assert told.hint == "free some space with `bakery prune`"
    state.close()
