"""Takes things out of the state folder: first what names them, then the files. Only what nobody uses goes.

On a full disk the database cannot be written to, so there the files go first; a record whose files are gone is a miss,
not an error.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from engine.blobs import BlobStore
from engine.cache.filters import RecordType
from engine.cache.mounts import CacheMounts, in_order
from engine.cache.usage import Usage
from engine.digests import Digest
from engine.errors import StateError
from engine.leases import collecting
from engine.locks import lock_now
from engine.reconcile import reconcile
from engine.snapshots.store import SnapshotStore
from engine.snapshots.work import discard
from engine.state import State

_FORGET_AFTER = 60 * 86400.0
"""Seconds after which what takes no space worth counting is forgotten, if nobody used it."""


class Remover:
    """Removes records of one state folder."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._snapshots = SnapshotStore(state)
        self._blobs = BlobStore(state)

    def remove(self, records: Sequence[Usage]) -> list[Usage]:
        """Those of the records that could be taken away, for nobody has begun to use them meanwhile."""
        rubbish: list[Path] = []
        locked = [record for record in records if record.mutable and self._remove_locked(record, rubbish)]
        leased = [record for record in records if not record.mutable]
        with collecting(self._state.locks) as in_use:
            free = [record for record in leased if record.id not in in_use and in_use.isdisjoint(record.blobs)]
            for record in free:
                self._remove_layer(record, rubbish)
        for folder in rubbish:
            discard(folder)
        return [*locked, *free]

    def tidy(self) -> None:
        """Takes away what no record names: folders of layers and blobs of processes that were killed between two
        steps, old notes that stand for nothing on the disk."""
        state, old = self._state, time.time() - _FORGET_AFTER
        with state.exclusive() as database:
            reconcile(state.root, database)  # what was taken from a full disk could not be forgotten at once
        with collecting(state.locks) as in_use:
            known = {row[0] for row in state.query("SELECT id FROM layers WHERE unpacked = 1")}
            rubbish = [
                self._set_aside(Path(entry.path))
                for entry in os.scandir(state.layers)
                if entry.name not in known and entry.name not in in_use
            ]
            blobs = {row[0].partition(":")[2] for row in state.query("SELECT digest FROM blobs")}
            for entry in os.scandir(state.blobs):
                if entry.name not in blobs and f"sha256:{entry.name}" not in in_use:
                    os.unlink(entry.path)
            self._blobs.sweep()
            self._snapshots.work.sweep()
        self._adopt_mounts()
        with state.transaction():
            state.write("DELETE FROM records WHERE used < ? AND result NOT LIKE '%\"%'", old)
            state.write("DELETE FROM mount_sizes WHERE measured < ?", old)
            state.write("DELETE FROM results WHERE built < ?", old)
        for folder in rubbish:
            discard(folder)

    def _adopt_mounts(self) -> None:
        """Records cache mounts that a killed process had made and not recorded; their ID is known to the next step
        that wants one."""
        known = {row[0] for row in self._state.query("SELECT id FROM cache_mounts")}
        now = time.time()
        self._state.write_many(
            "INSERT OR IGNORE INTO cache_mounts (id, cache, created, used) VALUES (?, '', ?, ?)",
            [(name, now, now) for name in os.listdir(self._state.mounts) if name not in known],
        )

    def close(self) -> None:
        """Ends this process's work folder."""
        self._snapshots.close()

    def _remove_locked(self, record: Usage, rubbish: list[Path]) -> bool:
        """Something that has a lock of its own; False if somebody has that."""
        if record.type is RecordType.MOUNT:
            return CacheMounts(self._state, self._snapshots).remove(record.id)
        with lock_now(self._state.locks / record.id) as locked:
            folder = self._state.root / "git" / record.id.removeprefix("git-")
            if locked and folder.exists():
                rubbish.append(self._set_aside(folder))
            return locked

    def _remove_layer(self, record: Usage, rubbish: list[Path]) -> None:
        """A layer with its blobs, or a blob alone."""

        def forget() -> None:
            with self._state.transaction():
                for key in record.keys:
                    self._state.write("DELETE FROM records WHERE key = ?", key)
                for digest in record.blobs:
                    self._state.write("DELETE FROM blobs WHERE digest = ?", digest)
                if not record.id.startswith("sha256:"):
                    self._state.write("DELETE FROM layer_blobs WHERE layer = ? AND origin = ''", record.id)
                    self._state.forget_layers([record.id])

        def take_files() -> None:
            folder = self._state.layers / record.id
            if not record.id.startswith("sha256:") and folder.exists():
                rubbish.append(self._set_aside(folder))
            for digest in record.blobs:
                self._blobs.path(Digest(digest)).unlink(missing_ok=True)

        def take_files_at_once() -> None:
            take_files()
            while rubbish:
                discard(rubbish.pop())

        in_order(forget, take_files, take_files_at_once)

    def _set_aside(self, folder: Path) -> Path:
        """Out of its place at once, to be deleted later; where there is no room even for that, deleted here."""
        try:
            place = self._snapshots.work.make("removed")
            return folder.rename(place / "content")
        except (StateError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
            return folder
