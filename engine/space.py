"""Watches the disk of the state folder during a build, and ends the build in time to leave room for others.

A full disk breaks more than a build: databases, logs, the shell of whoever wants to make room. So a reserve stays free.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from engine.errors import NO_SPACE, SPACE_HINT, EngineError, StateError
from engine.state import State

SHARE = 50
"""The reserve is this part of the disk …"""
RESERVE = 256 << 20
"""… but not more than this, in bytes."""
_FASTEST = 500e6
"""Bytes a second that a build may well write: the farther the end, the less often it is looked for."""
_PAUSES = (0.1, 5.0)

Free = Callable[[], tuple[int, int]]
"""The bytes of a disk, and how many of them are free."""


@asynccontextmanager
async def guarding_space(state: State, free: Free | None = None) -> AsyncIterator[None]:
    """Cancels the block when less than the reserve is left.

    Raises:
        StateError: if that happened; what was finished is kept.
    """
    look = free or (lambda: disk_space(state))
    watcher, block = trio.CancelScope(), trio.CancelScope()
    left: list[int] = []

    async def watch() -> None:
        with watcher:
            while True:
                total, now = look()
                spare = now - reserve_of(total)
                if spare < 0:
                    left.append(now)
                    block.cancel()
                    return
                await trio.sleep(min(max(spare / _FASTEST, _PAUSES[0]), _PAUSES[1]))

    trio.lowlevel.spawn_system_task(watch)  # it never raises, and a nursery here would wrap what the block raises
    try:
        with block:
            yield
    finally:
        watcher.cancel()
    if block.cancelled_caught:
        raise StateError(
            f"the build was stopped: only {left[0] >> 20} MB are left on the disk of {state.root}",
            hint=f"{SPACE_HINT}; what was finished is kept",
        )


def explain_shortage(errors: Iterable[object], state: State) -> None:
    """Gives errors the hint that the disk is full, if it is: programs seldom say so well."""
    total, now = disk_space(state)
    if now >= reserve_of(total):
        return
    for error in errors:
        if isinstance(error, EngineError) and "bakery prune" not in error.hint:
            error.hint = f"the disk of {state.root} is full: {SPACE_HINT}"


@contextmanager
def failures_explained(state: State) -> Iterator[None]:
    """Files of the state folder that cannot be written or read, as an error with the next step.

    Raises:
        StateError: for an OSError inside.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in NO_SPACE
        place = f"{error.filename}" if error.filename else f"the state folder {state.root}"
        raise StateError(
            f"cannot work in {place}: {error.strerror or error}",
            hint=SPACE_HINT if full else "see `bakery doctor`",
        ) from error


def disk_space(state: State) -> tuple[int, int]:
    """The bytes of the disk of the state folder, and how many of them this process may still take."""
    try:
        info = os.statvfs(state.root)
    except OSError:
        return 0, 0
    return info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize


def reserve_of(total: int) -> int:
    """How much of a disk stays free."""
    return min(total // SHARE, RESERVE)
