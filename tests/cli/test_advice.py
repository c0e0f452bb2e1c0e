"""What a build tells somebody who sits at a terminal, and no log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import REPOSITORY, Program

from bakery.console.summary import KEPT


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return Program(tmp_path / "project", tmp_path / "root")


def at_terminal(program: Program, *arguments: str) -> str:
    """What a command shows there."""
    ours, theirs = pty.openpty()
    environ = {key: value for key, value in os.environ.items() if key not in ("CI", "BUILDKIT_PROGRESS")}
    environ |= {"PYTHONPATH": str(REPOSITORY), "BAKERY_ROOT": str(program.root), "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bakery.cli.main", *arguments], cwd=program.folder, env=environ, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 1 << 16)
        except OSError:  # Linux says EIO when the other side is closed
            break
    os.close(ours)
    assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def test_who_asked_for_no_output_is_told_where_the_image_is(program: Program) -> None:
    assert at_terminal(program, "build").endswith(f"1 step cached\n{KEPT}")
    assert at_terminal(program, "build").endswith(f"1/1 step cached\n{KEPT}"), "and again when nothing had to be done"
    assert KEPT not in at_terminal(program, "build", "--set", "default.output=type=local,dest=out")
    assert KEPT not in at_terminal(program, "build", "--set", "default.output=type=cacheonly")
    assert KEPT not in program.run("build", "--progress=plain").err
