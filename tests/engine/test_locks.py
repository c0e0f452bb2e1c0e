"""Locks between processes: one at a time, given up by the dead, no file left."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import trio
from support.patience import PATIENCE

from engine.locks import file_lock

HOLD = """
import sys, trio
from pathlib import Path
from engine.locks import file_lock
async def main():
    async with file_lock(Path(sys.argv[1])):
        print("held", flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


def test_one_holder_at_a_time_and_no_file_left(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", 0, 0

    async def use() -> None:
        nonlocal inside, most
        async with file_lock(path):
            inside += 1
            most = max(most, inside)
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            inside -= 1

    async def main() -> None:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(use)

    trio.run(main)
    assert most == 1
    assert not path.exists()


def test_a_killed_process_gives_its_lock_up(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        async def main() -> bool:
            with trio.move_on_after(0.1):
                async with file_lock(path):
                    return False
            holder.send_signal(signal.SIGKILL)
            with trio.fail_after(PATIENCE):
                async with file_lock(path):
                    return True
            return False

        assert trio.run(main)
