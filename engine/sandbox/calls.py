"""System calls in a row, for a launcher: those that must succeed name what is wrong if they do not."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from engine.sandbox.launcher import Argument, Launcher

AT_FDCWD = -100
# linux/prctl.h, linux/socket.h, linux/sockios.h, linux/if.h
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_AF_INET, _SOCK_DGRAM, _SIOCSIFFLAGS, _IFF_UP = 2, 2, 0x8914, 1


class Calls:
    """A launcher whose failures have names."""

    def __init__(self) -> None:
        self._launcher = Launcher()
        self._problems: list[str] = []

    def must(self, problem: str, name: str, *arguments: Argument) -> None:
        """A call without which the step does not start."""
        self._launcher.call(name, *arguments, failure=self._number(problem))

    def may(self, name: str, *arguments: Argument) -> None:
        """A call that may fail."""
        self._launcher.call(name, *arguments)

    def fork(self, problem: str, flags: int) -> int:
        """See `Launcher.fork`; `flags` are those of clone(2)."""
        return self._launcher.fork(flags, self._number(problem))

    def parent(self, fork: int) -> None:
        """See `Launcher.parent`."""
        self._launcher.parent(fork)

    def die_with_parent(self) -> None:
        """The kernel ends this process when the thread that made it ends. It forgets this when ids change."""
        self.must("cannot bind a process to its parent", "prctl", _PR_SET_PDEATHSIG, _SIGKILL)

    def problem(self, exit_code: int) -> str:
        """What failed, if this is the exit code of a call that did."""
        return self._problems[exit_code - 1] if 0 < exit_code <= len(self._problems) else ""

    def memory_file(self) -> int:
        """See `Launcher.memory_file`."""
        return self._launcher.memory_file()

    def _number(self, problem: str) -> int:
        if problem not in self._problems:
            self._problems.append(problem)
        return self._problems.index(problem) + 1


class StepCalls(Calls):
    """Those that end in a step's program.

    `status` is the number of a pipe's end in the new process, to report to; the descriptors from `free` on, or else
    above it, are free.
    """

    def __init__(self, status: int, free: int = 0) -> None:
        super().__init__()
        self._status = status
        self._free = free or status + 1

    def report(self, data: bytes | int, size: int) -> None:
        """Writes bytes, or what is at an address, to the status pipe. This fails once the engine is dead."""
        self.must("cannot report", "write", self._status, data, size)

    def write(self, path: str, text: str) -> None:
        """Writes a file that may be written."""
        with self.first_descriptor():
            self.may("openat", AT_FDCWD, path, os.O_WRONLY, 0)
            self.may("write", 0, text, len(text))

    def raise_loopback(self) -> None:
        """Makes a new network namespace reach itself."""
        with self.first_descriptor():
            self.may("socket", _AF_INET, _SOCK_DGRAM, 0)
            self.may("ioctl", 0, _SIOCSIFFLAGS, struct.pack("<16sH22x", b"lo", _IFF_UP))

    @contextmanager
    def first_descriptor(self) -> Iterator[int]:
        """For calls that give a descriptor, whose number cannot be known but for the lowest that is free: it is 0 here.

        Gives the first of the numbers that nobody uses.
        """
        kept = self._free
        self.may("dup3", 0, kept, 0)
        self.may("close", 0)
        yield kept + 1
        self.may("dup3", kept, 0, 0)
        self.may("close", kept)
