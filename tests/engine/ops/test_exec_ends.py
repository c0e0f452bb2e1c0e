"""How steps that are really run end: by themselves, cancelled, for want of memory; and that nothing of them stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import trio
from support.kitchen import Kitchen, processes
from support.patience import PATIENCE

from engine.errors import EngineError, ExitError
from engine.llb.definition import Vertex
from engine.llb.ops import ExecOp, LinuxResources, Meta
from engine.ops.exec import ExecOperation
from engine.sandbox import process
from engine.snapshots.user_namespace import Ids, ids

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]


def running(mark: str) -> list[str]:
    return [line for line in processes() if mark in line and "pytest" not in line]


def unique(kitchen: Kitchen) -> str:
    """A number of seconds that no other test sleeps."""
    return f"9{int.from_bytes(os.urandom(3), 'big')}"


def test_daemons_die_with_their_step(kitchen: Kitchen) -> None:
    mark = unique(kitchen)
    kitchen.step(f"sleep {mark} >/dev/null 2>&1 & sleep {mark} & echo started")
    assert kitchen.said == b"started\n"
    assert not running(f"sleep {mark}")


@pytest.fixture
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are to end have as long as a test has."""
    monkeypatch.setattr(process, "GRACE", PATIENCE)


def cancel_when_started(kitchen: Kitchen, command: str) -> None:
    """Cancels a step as soon as it has said something."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kitchen.run, command)
            while not kitchen.said:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    begun = time.monotonic()
    trio.run(main)
    assert time.monotonic() - begun < PATIENCE, "it was killed in the end"


@pytest.mark.usefixtures("no_hurry")
def test_a_cancelled_step_leaves_nothing_and_a_shell_that_ignores_it_is_not_waited_for(kitchen: Kitchen) -> None:
    mark = unique(kitchen)
    cancel_when_started(kitchen, f"(sleep {mark} & sleep {mark}) & echo go; sleep {mark}; sleep {mark}")
    assert not running(f"sleep {mark}")
    assert [path.name for path in kitchen.state.layers.iterdir()] == [*kitchen.base.layers]


@pytest.mark.usefixtures("no_hurry")
def test_a_cancelled_step_may_clean_up(kitchen: Kitchen) -> None:
    mark = unique(kitchen)
    cancel_when_started(kitchen, f"trap 'echo bye; exit 0' TERM; echo go; sleep {mark} & wait")
    assert kitchen.said == b"go\nbye\n"


def test_steps_run_side_by_side(kitchen: Kitchen) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(kitchen.run, f"echo {number} > /x; sleep 0.2")

    trio.run(main)
    assert len(list(kitchen.state.layers.iterdir())) == 7


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(EngineError, match="without a command"):
        ExecOperation(Vertex.make(ExecOp(meta=Meta())))


@pytest.mark.skipif(ids() is not Ids.ALL, reason="a user may make no control groups unless systemd delegates them")
def test_a_step_with_a_memory_limit_ends_when_it_needs_more(kitchen: Kitchen) -> None:
    kitchen.resources = LinuxResources(memory=64 << 20, cpu_shares=512)
    kitchen.step("head -c 1000 /dev/zero > /x")
    if b"not limited" in kitchen.said:
        pytest.skip("no control groups can be made here")
    with pytest.raises(ExitError) as caught:
        kitchen.step("awk 'BEGIN { s = \"x\"; while (length(s) < 200000000) s = s s }'")
    assert caught.value.hint.startswith("out of memory: it needed more than the 67,108,864 bytes that it may have")
    assert b"bakery: out of memory" in kitchen.said
    assert not list(Path("/sys/fs/cgroup").rglob(f"bakery-{os.getpid()}-*"))


@pytest.mark.skipif(ids() is not Ids.ALL, reason="a user may make no control groups unless systemd delegates them")
def test_who_ends_itself_is_not_said_to_need_memory(kitchen: Kitchen) -> None:
    kitchen.resources = LinuxResources(memory=64 << 20)
    with pytest.raises(ExitError) as caught:
        kitchen.step("sh -c 'kill -9 $$'; exit 137")
    assert "out of memory" not in caught.value.hint
    assert b"out of memory" not in kitchen.said


@pytest.mark.skipif(ids() is not Ids.ALL, reason="a user may make no control groups unless systemd delegates them")
def test_a_step_may_be_put_into_a_control_group_of_somebody_elses(kitchen: Kitchen) -> None:
    parent = f"bakery-tests-{os.getpid()}"
    try:
        said = kitchen.says("cat /proc/self/cgroup", cgroup_parent=f"../{parent}")
        if "not limited" in said:
            pytest.skip("no control groups can be made here")
        in_it = {line for line in said.splitlines() if f":/{parent}/bakery-{os.getpid()}-" in line}
        assert any("memory" in line or line.startswith("0::") for line in in_it), said
    finally:
        for folder in (*Path("/sys/fs/cgroup").glob(f"*/{parent}"), Path("/sys/fs/cgroup", parent)):
            if folder.exists():
                folder.rmdir()
