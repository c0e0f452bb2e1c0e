"""A shell in a step, on a terminal: where it fails, or in its place; and steps that take too long."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.patience import PATIENCE
from support.program import REPOSITORY, Program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
]

BAKE = """target "default" {
  contexts = { busybox = "oci-layout://base" }
  output   = ["type=cacheonly"]
}
"""
DOCKERFILE = """FROM busybox
ENV COLOUR=blue
RUN echo one > /one
USER nobody
RUN --mount=type=cache,target=/c echo two > /tmp/two; exit 3
"""


class Terminal:
    """`bakery` on a terminal, with somebody who types and reads."""

    def __init__(self, program: Program, *args: str) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (33, 99))
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "BAKERY_ROOT": str(program.root), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bakery.cli.main", *args],
            cwd=program.folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Reads until a text has been seen."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._master, 4096).decode()
                except OSError:
                    break
        assert text in self.seen

    def type(self, text: str) -> None:
        """Types a text."""
        os.write(self._master, text.encode())

    def end(self, seconds: float = PATIENCE) -> int:
        """The exit code, once all is read."""
        deadline = time.monotonic() + seconds
        while True:
            if not select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]:
                self.process.kill()
                raise AssertionError(f"it did not end:\n{self.seen}")
            try:
                data = os.read(self._master, 4096)
            except OSError:
                break
            self.seen += data.decode()
        os.close(self._master)
        return self.process.wait(PATIENCE)


@pytest.fixture
def project(program: Program) -> Iterator[Program]:
    program.write(docker_DOT_hcl=BAKE, Dockerfile=DOCKERFILE)
    os.rename(program.folder / "docker.hcl", program.folder / "docker-bake.hcl")
    yield program
    assert str(program.root) not in Path("/proc/self/mounts").read_text()


def test_a_shell_opens_where_a_step_fails(project: Program) -> None:
    terminal = Terminal(project, "build", "--debug-on-error")
    terminal.wait_for("leave it with `exit`")
    terminal.type('echo "[$COLOUR $(cat /one /tmp/two | xargs) $(id -u) $(stty size)]"; ls -d /c\n')
    terminal.wait_for("[blue one two 65534 33 99]")
    caught = 'trap "echo \\$((40 + 1))-caught; exit" INT'
    terminal.type(f"sh -c '{caught}; echo $((50 + 1))-ready; while :; do sleep 0.1; done'\n")
    terminal.wait_for("51-ready")
    terminal.type("\x03")  # Ctrl-C ends what runs in the shell, and nothing else
    terminal.wait_for("41-caught")
    terminal.type("echo still-$((40 + 2))\n")
    terminal.wait_for("still-42")
    terminal.type("exit\n")
    assert terminal.end() == 1
    assert "did not complete successfully: exit code: 3" in terminal.seen


def test_a_shell_in_place_of_a_step_changes_nothing(project: Program) -> None:
    project.fail("build")
    terminal = Terminal(project, "debug", "default/1")
    terminal.wait_for("leave it with `exit`")
    terminal.type("ls /one; echo changed > /changed; exit\n")
    assert terminal.end() == 0
    assert "/one: No such file" in terminal.seen
    terminal = Terminal(project, "debug", "default/exit 3")
    terminal.wait_for("leave it with `exit`")
    terminal.type("cat /one /changed; exit\n")
    assert terminal.end() == 0
    assert "can't open '/changed'" in terminal.seen


def test_a_shell_dies_with_the_build(project: Program) -> None:
    terminal = Terminal(project, "build", "--debug-on-error")
    terminal.wait_for("leave it with `exit`")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() in (130, 143)


def test_a_step_that_is_not_there_is_told_with_those_that_are(project: Program) -> None:
    message = project.fail("debug", "default/9")
    assert "default has no such step that runs a command: 9" in message
    assert "RUN echo one > /one" in message
    assert "default has several such steps" in project.fail("debug", "default/RUN")


def test_a_step_may_take_so_long_and_no_longer(project: Program) -> None:
    project.write(Dockerfile="FROM busybox\nRUN echo begun; sleep 1000\n")
    message = project.fail("build", "--step-timeout", "1.5s")
    assert "was ended: it ran for longer than 1.5 s" in message
    assert "begun" in message
    assert "--step-timeout" in message


def test_a_build_may_take_so_long_and_no_longer(project: Program) -> None:
    project.write(Dockerfile="FROM busybox\nRUN sleep 1000\n")
    message = project.fail("build", "--timeout", "2s")
    assert "the build took longer than 2 s" in message
    assert "expected a time such as" in project.fail("build", "--timeout", "soon", code=2)


def test_a_step_that_says_too_much_is_shown_in_part_and_kept_whole(project: Program) -> None:
    project.write(Dockerfile="FROM busybox\nRUN yes | head -n 3000000; echo last; exit 1\n")
    shown = project.fail("build", "--progress=plain")
    assert shown.count("\n") < 1_500_000
    assert "last\n" in shown
    path = Path(shown.partition("full log: ")[2].partition("\n")[0])
    assert path.stat().st_size == 6_000_005


def test_signals_are_reported_as_such(project: Program) -> None:
    project.write(Dockerfile="FROM busybox\nRUN sh -c 'kill -SEGV $$'; exit $?\n")
    message = project.fail("build")
    assert "exit code: 139" in message
    assert "139 is 128 + 11: something ended it with SIGSEGV" in message
