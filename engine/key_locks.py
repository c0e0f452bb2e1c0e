"""Locks by cache key between all who share a state folder: for each key one byte of one file.

A file for each lock would cost more than the lock: making and removing an inode takes longer than many a small step,
and ext4 passes by inodes that were freed in the last seconds, one by one, whenever it makes a new one. The kernel frees
a lock when its owner dies. Locks belong to an open file (`F_OFD_SETLK`, Linux 3.15), so that two threads or builds of
one process hold them against each other, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from engine.errors import StateError, disk_hint

_DIGITS = 15
"""Hexadecimal digits of a key that say where its byte is, for offsets have 63 bits. Keys of one byte share a lock."""


class KeyLocks:
    """The locks of a folder. Keys are hexadecimal. May be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / "keys")

    @contextmanager
    def trying(self, key: str) -> Iterator[bool]:
        """Holds a key's lock if nobody else does: whether that is so. Never waits. Raises StateError."""
        descriptor = self._open()
        try:
            yield _lock(descriptor, fcntl.F_OFD_SETLK, key)
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def trying_async(self, key: str) -> AsyncIterator[bool]:
        """As `trying`, for a task."""
        with self.trying(key) as held:
            yield held

    def several(self) -> HeldKeys:
        """For locks that are held together. Raises StateError."""
        return HeldKeys(self._open())

    def wait(self, key: str) -> None:
        """Returns when a key's lock was free for a moment. Raises StateError."""
        descriptor = self._open()
        try:
            _lock(descriptor, fcntl.F_OFD_SETLKW, key)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            hint = disk_hint(error, "set BAKERY_ROOT to another folder")
            raise StateError(f"cannot use the lock file {self._path}: {error.strerror}", hint=hint) from error


class HeldKeys:
    """Locks that are held until they are freed, all by one open file. May be used from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def take(self, key: str) -> bool:
        """Locks a key if nobody else has: whether that is so. Never waits. Raises StateError."""
        return _lock(self._descriptor, fcntl.F_OFD_SETLK, key)

    def free(self, keys: Iterable[str]) -> None:
        """Unlocks keys. Raises StateError."""
        for key in keys:
            _lock(self._descriptor, fcntl.F_OFD_SETLK, key, fcntl.F_UNLCK)

    def close(self) -> None:
        """Unlocks all that are left."""
        os.close(self._descriptor)


def _lock(descriptor: int, command: int, key: str, kind: int = fcntl.F_WRLCK) -> bool:
    flock = struct.pack("@hhqqi", kind, os.SEEK_SET, int(key[:_DIGITS], 16), 1, 0)
    try:
        fcntl.fcntl(descriptor, command, flock)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise StateError(f"cannot lock a key: {error.strerror}") from error
    return True
