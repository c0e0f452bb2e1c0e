"""Leases: what living processes use is known, what dead ones used is not, and nobody takes while another collects."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import StateError
from engine.leases import Lease, collecting, names_in_use

HOLD = """
import sys
from pathlib import Path
from engine.leases import Lease
lease = Lease(Path(sys.argv[1]))
with lease.taking():
    lease.hold(["theirs"])
print("held", flush=True)
sys.stdin.read()
"""


def test_what_is_held_is_in_use_until_it_is_released(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    with lease.taking():
        lease.hold(["a", "b"])
        lease.hold(["b", "c"])
    with collecting(tmp_path) as used:
        assert used == {"a", "b", "c"}
    lease.release()
    with collecting(tmp_path) as used:
        assert used == set()


def test_what_a_killed_process_held_is_free_and_its_lease_swept(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    assert names_in_use(tmp_path) == {"theirs"}
    other.send_signal(signal.SIGKILL)
    other.wait()
    with collecting(tmp_path) as used:
        assert used == set()
    assert not list(tmp_path.glob("lease-*"))
    other.stdout.close()


def test_who_takes_waits_for_who_collects(tmp_path: Path) -> None:
    lease, order = Lease(tmp_path), list[str]()

    def take() -> None:
        with lease.taking():
            order.append("taken")

    with collecting(tmp_path):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(0.05)
        order.append("collected")
    thread.join()
    assert order == ["collected", "taken"]


def test_who_collects_gives_up_on_somebody_who_takes_for_too_long(tmp_path: Path) -> None:
    with (
        Lease(tmp_path).taking(),
        pytest.raises(StateError, match="keeps everything in use"),
        collecting(tmp_path, patience=0.05),
    ):
        pass


def test_what_a_full_disk_does_not_let_us_write_down_keeps_everybody_from_collecting(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with lease.taking():
            lease.hold(["a"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    with pytest.raises(StateError), collecting(tmp_path, patience=0.05):
        pass
    lease.release()
    with collecting(tmp_path):
        assert os.listdir(tmp_path) == ["gate"]
