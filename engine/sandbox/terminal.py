"""A step on the user's terminal: a shell to look around in.

The step gets a terminal of its own, joined to the user's; so it has job control and the right size, and no way to put
words into the user's terminal (`TIOCSTI`).
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import trio

from engine.events import Stream
from engine.sandbox.contract import Exit, Runtime, Step

_CHUNK = 1 << 16
_END_OF_INPUT = b"\x04"


async def converse(runtime: Runtime, step: Step, root: Path) -> Exit:
    """Runs a step with its input from stdin and its output to stdout, both best a terminal; how it ended.

    Raises:
        StepError, UnsupportedError: as `Runtime.run`.
    """
    ours, theirs = os.openpty()
    _copy_size(ours)
    said = bytearray()

    def listen(stream: Stream, data: bytes) -> None:
        said.extend(data)

    with _raw(sys.stdin.fileno()):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_follow_size, ours)
            nursery.start_soon(_send, sys.stdin.fileno(), ours)
            shown = trio.Event()
            nursery.start_soon(_show, ours, shown)
            try:
                ended = await runtime.run(replace(step, terminal=theirs), root, listen)
            finally:
                os.close(theirs)  # what was written and not read yet can still be, then comes an error
                with trio.move_on_after(1, shield=True):
                    await shown.wait()
                nursery.cancel_scope.cancel()
    os.close(ours)
    if said:
        _write(bytes(said))
    return ended


async def _show(terminal: int, done: trio.Event) -> None:
    try:
        while True:
            await trio.lowlevel.wait_readable(terminal)
            _write(os.read(terminal, _CHUNK))
    except OSError:  # nobody has the other end any more
        done.set()


async def _send(source: int, terminal: int) -> None:
    while True:
        with suppress(OSError):  # a plain file cannot be waited for, and need not be
            await trio.lowlevel.wait_readable(source)
        data = os.read(source, _CHUNK)
        with suppress(OSError):
            os.write(terminal, data or _END_OF_INPUT)
        if not data:
            return


async def _follow_size(terminal: int) -> None:
    with trio.open_signal_receiver(signal.SIGWINCH) as changes:
        async for _ in changes:
            _copy_size(terminal)


def _copy_size(terminal: int) -> None:
    with suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, fcntl.ioctl(sys.stdin.fileno(), termios.TIOCGWINSZ, bytes(8)))


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """All keys go to the step, Ctrl-C as well. Nothing happens if it is no terminal."""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal, termios.TCSANOW)  # what was typed already counts
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
