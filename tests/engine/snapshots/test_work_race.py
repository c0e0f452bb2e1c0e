"""Processes that begin and end at the same moment do not sweep each other's work away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
ONE = """
import sys
from pathlib import Path
from engine.snapshots.work import WorkFolder
for _ in range(200):
    work = WorkFolder(Path(sys.argv[1]))
    assert work.make("x").is_dir()
    work.close()
"""


def test_many_processes_come_and_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 4
    assert list(tmp_path.iterdir()) == []
