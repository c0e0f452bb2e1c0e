"""Cache mounts: folders that outlive a build and that steps share, each in the way it asks for.

A cache is known by its ID and by what it was seeded from. It has one folder, and further ones where steps that want it
to themselves (`private`) found it in use. A lock file for each folder is held while a step has it: shared or exclusive,
across tasks and processes alike, and freed by the kernel when its holder dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path

import trio

from engine.errors import DamagedState, StateError
from engine.llb.ops import CacheSharing
from engine.snapshots.difference import write_tree
from engine.snapshots.store import SnapshotStore
from engine.snapshots.work import discard
from engine.state import State
from engine.tree import Tree
from engine.values import frozen

Filler = Callable[[Path], Awaitable[bool]]
"""Fills an empty folder with what a cache held elsewhere; False, with a word to the user, if it cannot be had."""


@frozen
class Seed:
    """What a new cache begins with: the folder `path` of a tree. `identity` tells one seed from another."""

    identity: str
    tree: Tree
    path: str = "/"


def in_order(
    forget: Callable[[], object], take_files: Callable[[], object], take_files_at_once: Callable[[], object]
) -> None:
    """First what names something, then its files; where the disk is too full to forget, the other way about."""
    try:
        forget()
    except DamagedState:
        raise
    except StateError:
        take_files_at_once()
        with suppress(StateError):  # with little room still, the next reconciliation does it
            forget()
    else:
        take_files()


def mount_name(cache: str, seed: Seed | None) -> str:
    """What the folders of a cache are called, but for their number."""
    return hashlib.sha256("\0".join((cache, seed.identity if seed else "")).encode()).hexdigest()[:32]


class CacheMounts:
    """The cache mounts of a state folder."""

    def __init__(self, state: State, snapshots: SnapshotStore) -> None:
        self._state = state
        self._snapshots = snapshots
        self._promised: dict[str, Filler] = {}

    @cached_property
    def _waiters(self) -> trio.CapacityLimiter:
        return trio.CapacityLimiter(1000)

    def promise(self, cache: str, filler: Filler) -> None:
        """Says what a cache begins with that is not there yet; `filler` is called when a step first wants it."""
        self._promised[mount_name(cache, None)] = filler

    @asynccontextmanager
    async def acquire(self, cache: str, sharing: CacheSharing, seed: Seed | None = None) -> AsyncIterator[Path]:
        """The folder of a cache, for as long as the block lasts.

        `SHARED`: together with others; `PRIVATE`: one that nobody else has; `LOCKED`: waits until nobody else has it.

        Raises:
            StateError, OSError: if it cannot be made.
        """
        name = mount_name(cache, seed)
        number, lock = await self._lock(name, sharing)
        try:
            folder = self._state.mounts / f"{name}-{number}"
            if name in self._promised and not folder.exists():
                await self._fill(folder, self._promised.pop(name))
            await trio.to_thread.run_sync(self._open, folder, cache, seed)
            yield folder / "fs"
            self._note_use(folder.name)
        finally:
            os.close(lock)

    def put(self, name: str, cache: str, folder: Path, *, replace: bool = False) -> None:
        """Makes a finished folder, with its `fs` in it, the first one of a cache.

        Raises:
            StateError: if there is one already and it is not to be replaced, or a step has it.
        """
        place = self._state.mounts / f"{name}-0"
        lock = self._open_lock(place.name)
        try:
            if not _try(lock, fcntl.LOCK_EX):
                raise StateError(f"a step is using the cache {place.name}", hint="wait for the build to end")
            if place.exists():
                if not replace:
                    raise StateError(
                        f"the cache mount {place.name} is there already", hint="replace it, or remove it first"
                    )
                discard(self._set_aside(place))
            folder.rename(place)
            self._record(place.name, cache)
        finally:
            os.close(lock)

    def remove(self, mount: str) -> bool:
        """Deletes a cache by the id of its record; False if a step has it."""
        lock = self._open_lock(mount)
        try:
            if not _try(lock, fcntl.LOCK_EX):
                return False
            in_order(
                lambda: self._state.write("DELETE FROM cache_mounts WHERE id = ?", mount),
                lambda: discard(self._set_aside(self._state.mounts / mount)),
                lambda: discard(self._state.mounts / mount),
            )
            return True
        finally:
            os.close(lock)

    def _set_aside(self, folder: Path) -> Path:
        """Where there is no room for anything new, it is deleted where it lies."""
        try:
            return folder.rename(self._snapshots.work.make("removed") / "cache")
        except (OSError, StateError):
            return folder

    def _note_use(self, mount: str) -> None:
        """That it was used until now: it may have grown since the step began. Nothing depends on it."""
        with suppress(StateError):
            self._state.write("UPDATE cache_mounts SET used = ? WHERE id = ?", time.time(), mount)

    async def _lock(self, name: str, sharing: CacheSharing) -> tuple[int, int]:
        kind = fcntl.LOCK_SH if sharing is CacheSharing.SHARED else fcntl.LOCK_EX
        number = 0
        while True:
            lock = self._open_lock(f"{name}-{number}")
            try:
                if _try(lock, kind):
                    return number, lock
                if sharing is CacheSharing.LOCKED:
                    await self._wait(lock)
                    return number, lock
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)
            number += 1

    async def _wait(self, lock: int) -> None:
        """Waits for an exclusive lock in a thread of its own, which a cancelled wait leaves behind harmlessly."""
        other = os.dup(lock)  # the same open file, so the lock is ours if it comes while we still want it

        def wait() -> None:
            try:
                fcntl.flock(other, fcntl.LOCK_EX)
            finally:
                os.close(other)

        await trio.to_thread.run_sync(wait, abandon_on_cancel=True, limiter=self._waiters)

    def _open_lock(self, mount: str) -> int:
        path = self._state.locks / f"mount-{mount}"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def _fill(self, folder: Path, filler: Filler) -> None:
        new = self._snapshots.work.make("cache")
        content = new / "fs"
        content.mkdir()
        content.chmod(0o755)
        if await filler(content):
            with suppress(OSError):  # somebody who shares it was faster
                new.rename(folder)
        discard(new)

    def _open(self, folder: Path, cache: str, seed: Seed | None) -> None:
        if not folder.exists():
            self._make(folder, seed)
        self._record(folder.name, cache)

    def _record(self, mount: str, cache: str) -> None:
        now = time.time()
        self._state.write(
            "INSERT INTO cache_mounts (id, cache, created, used) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET cache = excluded.cache, used = excluded.used, uses = uses + 1",
            mount,
            cache,
            now,
            now,
        )

    def _make(self, folder: Path, seed: Seed | None) -> None:
        new = self._snapshots.work.make("cache")
        content = new / "fs"
        content.mkdir()
        content.chmod(0o755)
        if seed is not None:
            write_tree(seed.tree, content, seed.path)
        try:
            new.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            discard(new)  # somebody who shares it was faster


def _try(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
