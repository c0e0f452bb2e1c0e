"""kill -9 of the engine: no process of a step lives longer, whoever it is and whatever it has done to live on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.kitchen import RUNTIMES, Kitchen
from support.patience import PATIENCE

from engine.sandbox.launcher import Launcher, strings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]

PROGRAM = """
import sys
from pathlib import Path
from support.kitchen import Kitchen
from test_death import stubborn
folder, runtime, user, mark = sys.argv[1:]
kitchen = Kitchen(Path(folder), runtime)
kitchen.step("/stubborn", "-", on=kitchen.with_programs({"/stubborn": stubborn(mark)}, 0o4755), user=user)
"""


def stubborn(mark: str) -> Launcher:
    """A program that makes the kernel forget to tell it of its parent's death, and leaves sleepers behind it.

    The prctl does it, and so does that the file is set-user-ID.
    """
    program = Launcher()
    program.call("prctl", 1, 0)
    command = f"sleep {mark} & setsid sleep {mark} & sleep {mark}; true"
    program.call("execve", "/bin/sh", strings(["sh", "-c", command]), strings(["PATH=/bin"]))
    return program


def sleepers(mark: str) -> list[int]:
    """The processes of this machine that sleep for so long."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == f"sleep\0{mark}\0".encode():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for_sleepers(mark: str, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(sleepers(mark)) != number:
        assert time.monotonic() < deadline, f"{len(sleepers(mark))} processes, not {number}"
        time.sleep(0.02)


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1]), *sys.path])
    python = sys.executable
    if not os.access(python, os.X_OK):  # an ordinary user does these tests: see tests/support/ordinary_user.py
        python = f"/usr/bin/python3.{sys.version_info.minor}"
    return subprocess.Popen([python, "-c", script, *arguments], env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.parametrize("user", ["", "baker"])
def test_no_native_step_outlives_the_engine_whatever_it_does(tmp_path: Path, user: str) -> None:
    mark = f"9{int.from_bytes(os.urandom(3), 'big')}"
    child = start(PROGRAM, str(tmp_path), "native", user, mark)
    wait_for_sleepers(mark, 3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_for_sleepers(mark, 0)


ORDINARY = """
import sys
from pathlib import Path
from support.kitchen import Kitchen
folder, runtime, user, mark = sys.argv[1:]
Kitchen(Path(folder), runtime).step(f"sleep {mark} & sleep {mark}; true", user=user)
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_step_of_root_dies_with_the_engine(tmp_path: Path, runtime: str) -> None:
    kill_during_step(tmp_path, runtime, user="")


@pytest.mark.parametrize("runtime", [runtime for runtime in RUNTIMES if runtime != "bubblewrap"])
def test_a_step_of_another_user_does_so_too(tmp_path: Path, runtime: str) -> None:
    """bubblewrap's monitor may not end processes of other users: see docs/security.md."""
    kill_during_step(tmp_path, runtime, user="baker")


def kill_during_step(tmp_path: Path, runtime: str, user: str) -> None:
    mark = f"9{int.from_bytes(os.urandom(3), 'big')}"
    child = start(ORDINARY, str(tmp_path), runtime, user, mark)
    wait_for_sleepers(mark, 2)
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_for_sleepers(mark, 0)
    assert str(tmp_path) not in Path("/proc/1/mounts").read_text()
    # What it left in the state folder goes with the next one's first layer.
    again = Kitchen(tmp_path, runtime)
    assert len(list(again.state.work.iterdir())) == 1
    again.store.close()
    again.state.close()


def test_the_watchers_of_a_native_step_may_be_killed(tmp_path: Path) -> None:
    mark = f"9{int.from_bytes(os.urandom(3), 'big')}"
    child = start(PROGRAM, str(tmp_path), "native", "baker", mark)
    wait_for_sleepers(mark, 3)
    (watcher,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    os.kill(int(watcher), signal.SIGKILL)
    wait_for_sleepers(mark, 0)
    assert child.wait() == 1
