"""Locks by key: held against threads, other builds of this process and other processes; given up by the dead."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

from engine.key_locks import KeyLocks

ONE, TWO = (sha256(name.encode()).hexdigest() for name in ("one", "two"))
HOLD = """
import sys, time
from pathlib import Path
from engine.key_locks import KeyLocks
with KeyLocks(Path(sys.argv[1])).trying(sys.argv[2]) as held:
    print(held, flush=True)
    time.sleep(600)
"""


def test_each_key_is_held_once_also_within_a_process(tmp_path: Path) -> None:
    mine, other = KeyLocks(tmp_path), KeyLocks(tmp_path)
    with mine.trying(ONE) as held:
        assert held
        with mine.trying(ONE) as again, other.trying(ONE) as by_another, other.trying(TWO) as two:
            assert (again, by_another, two) == (False, False, True)
    with other.trying(ONE) as held:
        assert held, "free again"


def test_who_waits_goes_on_when_the_lock_is_free(tmp_path: Path) -> None:
    locks, over = KeyLocks(tmp_path), threading.Event()

    def wait() -> None:
        locks.wait(ONE)
        over.set()

    with locks.trying(ONE):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not over.is_set()
    waiting.join(60)
    assert over.is_set()
    locks.wait(ONE)


def test_a_killed_process_gives_its_locks_up(tmp_path: Path) -> None:
    locks = KeyLocks(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), ONE], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        with locks.trying(ONE) as held:
            assert not held
        holder.send_signal(signal.SIGKILL)
        locks.wait(ONE)
    with locks.trying(ONE) as held:
        assert held


def test_a_lock_makes_no_file_of_its_own(tmp_path: Path) -> None:
    with KeyLocks(tmp_path).trying(ONE), KeyLocks(tmp_path).trying(TWO):
        assert [path.name for path in tmp_path.iterdir()] == ["keys"]
