"""A sandboxed process from its start to its end: its output is read, it is waited for, and it is ended when cancelled.

The process that is started here (one of ours, bwrap, crun, runc) *watches* the step. The step's own first process is
process 1 of a PID namespace; the kernel ends everything else in the namespace before that one is gone, and the watcher
goes after it. So when the watcher is gone, so are all.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import field
from io import FileIO

import trio

from engine.errors import StepError, disk_hint
from engine.events import Stream
from engine.sandbox.contract import Output
from engine.snapshots import namespace
from engine.values import frozen

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_CHUNK = 1 << 16
_KEPT = 4096
_PIPE_SIZE = 1 << 20


@frozen
class Command:
    """What to start on this machine. `files` are descriptors that it inherits under the same numbers."""

    args: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[int] = ()
    executable: str | None = None
    terminal: int | None = None
    """A descriptor that is its input and output; without it there is no input, and the output is listened to."""


class Listener:
    """Passes output on, and keeps the beginning in case it tells why the sandbox itself failed."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said = bytearray()

    def __call__(self, stream: Stream, data: bytes) -> None:
        self._said += data[: _KEPT - len(self._said)]
        self._output(stream, data)

    @property
    def said(self) -> str:
        """The beginning of it."""
        return self._said.decode(errors="replace").strip()


def pipe(files: ExitStack) -> tuple[FileIO, FileIO]:
    """A pipe's reading and writing end, closed with the stack if not before."""
    ends = os.pipe2(os.O_CLOEXEC)
    return files.enter_context(FileIO(ends[0], "r")), files.enter_context(FileIO(ends[1], "w"))


FindInit = Callable[[int], Awaitable[int | None]]
"""Finds a step's process 1 as this machine numbers it, by the number of its watcher; None if it never started.

Returns when that is known."""


async def run(command: Command, output: Output, find_init: FindInit, started: Callable[[], None]) -> int:
    """Runs a watcher until it and its step are gone; its exit code, negative for a signal.

    `started` is called once the watcher has its files. Cancelled: every process of the step gets SIGTERM, those that
    handle it have `GRACE` seconds, then all get SIGKILL.

    Raises:
        StepError: if it cannot be started.
    """
    namespace.enter()
    terminal = command.terminal
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)] if terminal is None else []
    outputs = [end for _, end in pipes] if terminal is None else [terminal, terminal]
    try:
        # Not in a worker thread, as trio would: a step dies with the *thread* that started its watcher.
        watcher = subprocess.Popen(  # noqa: ASYNC220
            command.args,
            executable=command.executable,
            env=command.env,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=outputs[0],
            stderr=outputs[1],
            pass_fds=command.files,
            start_new_session=True,  # no way to the user's terminal, and Ctrl-C is ours to pass on
        )
    except OSError as error:
        for ends in pipes:
            os.close(ends[0])
        problem = f"cannot start {command.args[0]}: {error.strerror}"
        raise StepError(problem, hint=disk_hint(error)) from error
    finally:
        for ends in pipes:
            os.close(ends[1])
    started()
    async with trio.open_nursery() as nursery:
        if pipes:
            nursery.start_soon(_listen, pipes[0][0], pipes[1][0], output)
        try:
            await _gone(watcher)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await _end(watcher, find_init)
            raise
        finally:
            # Whatever happened: never leave before the watcher has.
            if watcher.poll() is None:
                _kill_all(watcher)
                watcher.wait()
    return watcher.returncode


async def _listen(stdout: int, stderr: int, output: Output) -> None:
    """Passes on what comes, until both have ended. What a step complains of stays behind what it said before that."""
    for fd in (stdout, stderr):
        with suppress(OSError):  # beyond the user's limit of pipe pages
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)

    async def read_stderr() -> None:
        while chunk := await errors.receive_some(_CHUNK):
            # Two pipes have no order between them, and which one trio looks at first is chance: an error would come
            # out before the lines that lead to it, and be cut off with the beginning of the log.
            if there := _waiting(stdout):
                output(Stream.STDOUT, os.read(stdout, there))
            output(Stream.STDERR, bytes(chunk))

    # Shielded: a step that is being ended may still say something. The pipes end with the last process of it.
    with trio.CancelScope(shield=True):
        async with (
            trio.lowlevel.FdStream(stdout) as texts,
            trio.lowlevel.FdStream(stderr) as errors,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(read_stderr)
            while chunk := await texts.receive_some(_CHUNK):
                output(Stream.STDOUT, bytes(chunk))


def _waiting(pipe: int) -> int:
    """How many bytes a pipe holds."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


async def _gone(watcher: subprocess.Popen[bytes]) -> None:
    if watcher.poll() is not None:
        return
    handle = os.pidfd_open(watcher.pid)
    try:
        await trio.lowlevel.wait_readable(handle)
    finally:
        os.close(handle)
    watcher.wait()


async def _end(watcher: subprocess.Popen[bytes], find_init: FindInit) -> None:
    init = None
    with trio.move_on_after(GRACE):
        init = await find_init(watcher.pid)
    if init is None:
        _kill_all(watcher)
        await _gone(watcher)
        return
    try:
        handle = os.pidfd_open(init)
    except ProcessLookupError:
        await _gone(watcher)
        return
    try:
        await _ask_to_end(init)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    await _gone(watcher)


def _kill_all(watcher: subprocess.Popen[bytes]) -> None:
    """A watcher that is killed while its step is only just made leaves that waiting for it for ever, with our pipes."""
    watcher.send_signal(signal.SIGSTOP)  # it makes no further process while we look
    if watcher.returncode is not None:  # gone by itself meanwhile, and with it all of its step
        return
    os.waitid(os.P_PID, watcher.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    for pid in (*_descendants(watcher.pid), watcher.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _ask_to_end(init: int) -> None:
    """SIGTERM to all processes of a step; returns when those that handle it are gone, or after `GRACE` seconds.

    Process 1 of a namespace does not even get a signal that it does not handle, so a shell is not waited for.
    """
    handles = []
    for pid in (init, *_descendants(init)):
        with suppress(OSError):
            if _handles_sigterm(pid):
                handles.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGTERM)
    try:
        with trio.move_on_after(GRACE):
            for handle in handles:
                await trio.lowlevel.wait_readable(handle)
    finally:
        for handle in handles:
            os.close(handle)


def children(pid: int) -> list[int]:
    """The processes whose parent a process is; none if it is gone."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    return found


def _descendants(pid: int) -> list[int]:
    found, rest = [], [pid]
    while rest:
        born = children(rest.pop())
        found += born
        rest += born
    return found


def _handles_sigterm(pid: int) -> bool:
    with open(f"/proc/{pid}/status") as file:
        caught = next(line for line in file if line.startswith("SigCgt:")).split()[1]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
