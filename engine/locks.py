"""Locks between processes that share a state folder: `flock` on a file, which the kernel frees when its owner dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import trio

from engine.concurrency import shared_limiter
from engine.errors import SPACE_HINT, StateError

_WAITERS = 1000
"""Threads that only wait for a lock must not use up those that work."""


@asynccontextmanager
async def file_lock(path: Path) -> AsyncIterator[None]:
    """Holds the lock file at `path`, which is made for it and taken away afterwards. Waits without polling."""
    descriptor = await _acquire(path)
    try:
        yield
    finally:
        _remove(path)  # while it is ours: whoever waits for it will see that the name is gone, and begin anew
        os.close(descriptor)


@contextmanager
def lock_now(path: Path) -> Iterator[bool]:
    """Holds the lock file if nobody else does: whether that is so. For those who need not wait."""
    descriptor = _open(path)
    locked = False
    try:
        locked = _try_lock(descriptor) and _still_named(path, descriptor)
        yield locked
    finally:
        if locked:
            _remove(path)
        os.close(descriptor)


async def _acquire(path: Path) -> int:
    while True:
        descriptor = _try_acquire(path)
        if descriptor is not None:
            return descriptor
        await _wait_until_free(path)


def _try_acquire(path: Path) -> int | None:
    """The descriptor that holds the lock; None if somebody else has it."""
    while True:
        descriptor = _open(path)
        try:
            if not _try_lock(descriptor):
                os.close(descriptor)
                return None
            if _still_named(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


async def _wait_until_free(path: Path) -> None:
    """Returns when the lock was free for a moment. The waiting thread has a descriptor of its own, for it may be left
    behind."""

    def wait() -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    await waiting_thread(wait)


async def waiting_thread(wait: Callable[[], None]) -> None:
    """Calls a function that only waits for a lock, in a thread that is left behind when the wait is cancelled."""
    await trio.to_thread.run_sync(wait, abandon_on_cancel=True, limiter=shared_limiter("locks", _WAITERS))


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"cannot make the lock file {path}: {error.strerror}", hint=SPACE_HINT) from error


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):  # somebody has cleared the folder
        os.unlink(path)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_named(path: Path, descriptor: int) -> bool:
    """Whether the file we locked is still the one that others will find: its last owner may have removed it."""
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)
