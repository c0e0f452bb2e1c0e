"""Watches the disk of the state folder during a build, and ends the build in time to leave room for others.

A full disk breaks more than a build: databases, logs, the shell of whoever wants to make room. So a reserve stays free.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from engine.disks import disk_space, is_full, reserve_of
from engine.errors import NO_SPACE, SPACE_HINT, EngineError, ShortageError, StateError, StepError, disk_hint
from engine.state import State

_COMPLAINTS = tuple(os.strerror(code).encode() for code in NO_SPACE)
_FASTEST = 500e6
"""Bytes a second that a build may well write: the farther the end, the less often it is looked for."""
_PAUSES = (0.1, 5.0)

Free = Callable[[], tuple[int, int]]
"""The bytes of a disk, and how many of them are free."""


@asynccontextmanager
async def guarding_space(state: State, free: Free | None = None) -> AsyncIterator[None]:
    """Cancels the block when less than the reserve is left.

    Raises:
        ShortageError: if that happened; what was finished is kept.
    """
    look = free or (lambda: disk_space(state.root))
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
        raise ShortageError(
            f"the build was stopped: only {left[0] >> 20} MB are left on the disk of {state.root}",
            hint=f"{SPACE_HINT}; what was finished is kept",
        )


def explain_shortage(errors: Iterable[object], state: State) -> None:
    """Gives errors the hint that the disk is full, if it is, or was for a step: programs seldom say so well."""
    full = None
    for error in errors:
        if not isinstance(error, EngineError) or "bakery prune" in error.hint:
            continue
        if full is None:
            full = is_full(state.root)
        if full:
            error.hint = f"the disk of {state.root} is full: {SPACE_HINT}"
        elif isinstance(error, StepError) and any(words in error.log for words in _COMPLAINTS):
            # What the step had written is cleared away by now, so that there may be room again.
            error.hint = f"a disk was full for the step; if it is that of {state.root}, {SPACE_HINT}"


@contextmanager
def failures_explained(state: State) -> Iterator[None]:
    """Files of the state folder that cannot be written or read, as an error with the next step.

    Raises:
        StateError: for an OSError inside.
    """
    try:
        yield
    except OSError as error:
        place = f"{error.filename}" if error.filename else f"the state folder {state.root}"
        raise StateError(
            f"cannot work in {place}: {error.strerror or error}",
            hint=disk_hint(error, "see `bakery doctor`"),
        ) from error
