"""`bakery` in processes that cost little to start, so that a test can kill hundreds of them.

This file is also the program that forks them: it has everything imported, and a child is at work after milliseconds.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


DEATH = 0
"""Instead of an error: the process is killed."""


@dataclass(frozen=True)
class Fault:
    """An error of the operating system at the call number `call` (from 0) of those that name a place in the state
    folder; for DEATH, changes of the database count as well."""

    error: int
    call: int

    def as_list(self) -> list[int]:
        """For JSON."""
        return [self.error, self.call]


FAULTY = (
    "open",
    "mkdir",
    "rename",
    "replace",
    "unlink",
    "rmdir",
    "chmod",
    "chown",
    "utime",
    "link",
    "symlink",
    "scandir",
)


class Killable:
    """Runs `bakery` in `folder` with the state folder `root`, each time in a new process."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.log = root.parent / f"{root.name}.log"
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(self.log)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "BAKERY_ROOT": str(root), "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, kill_after: float | None = None, fault: Fault | None = None) -> int:
        """The exit code, or KILLED if it was still at work after so many seconds."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        wish = {"kill_after": kill_after or 0, "arguments": arguments, "fault": fault and fault.as_list()}
        print(json.dumps(wish), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())

    def said(self) -> str:
        """What the last run wrote."""
        return self.log.read_text(errors="replace")

    def close(self) -> None:
        """Ends the program that forks."""
        self._server.communicate()


def _serve(log: str) -> None:
    import engine.engine
    import engine.exporters.layout
    import engine.exporters.local
    import engine.ops.exec
    import engine.sandbox.bubblewrap
    import engine.sandbox.native
    import engine.sources.oci_layout
    import engine.space  # noqa: F401

    for line in sys.stdin:
        wish = json.loads(line)
        child = os.fork()
        if not child:
            _become(wish["arguments"], log, wish["fault"])
        print(_wait(child, wish["kill_after"]), flush=True)


def _break(error: int, call: int) -> None:
    """Makes one call fail that touches the state folder, or the process die before it."""
    from engine.state import State

    root, calls = os.environ["BAKERY_ROOT"], itertools.count()

    def reach(place: str) -> None:
        if next(calls) == call:
            if error == DEATH:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(error, os.strerror(error), place)

    def faulty(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            if args and f"{args[0]}/".startswith(f"{root}/"):
                reach(str(args[0]))
            return function(*args, **options)

        return wrapped

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            reach("")
            return function(*args, **options)

        return wrapped

    for name in FAULTY:
        setattr(os, name, faulty(getattr(os, name)))
    if error == DEATH:
        for name in ("write", "transaction"):
            setattr(State, name, deadly(getattr(State, name)))


def _become(arguments: list[str], log: str, fault: list[int] | None) -> None:
    from bakery.cli.main import command

    if fault:
        _break(*fault)

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(file, number)
    sys.stdin = open(os.devnull)  # noqa: SIM115 - as long as the process lives
    sys.argv = ["bakery", *arguments]
    code = 99
    try:
        code = command()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, kill_after: float) -> int:
    if kill_after:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)  # harmless to one that has ended: it is not yet waited for
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    _serve(sys.argv[1])
