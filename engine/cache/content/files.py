"""What is remembered of this machine's files: the digest of each, valid while nothing about the file has changed.

A row of the table `files` is believed as long as the file's inode, change time, modification time, size and mode are
those it was made with. A user cannot set a change time, so an edit that keeps size and modification time shows, too. A
digest is made and written down only when the change time lies so far back that a further edit must get another one
(`Folder.settle`).
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.cache.content.header import EMPTY, entry_digest
from engine.concurrency import must_wait
from engine.sources.folder import Folder
from engine.sources.local import LocalView
from engine.state import State
from engine.tree import Entry

_LITTLE = 200
"""Rows that are read at once, whatever is asked for: that costs less than to ask twice."""
_PATHS = 16
"""Paths of one folder that are asked for one by one."""
_FEW, _PIECE = 1000, 1 << 16
"""What is read before somebody wants to be told of it: so many files, or pieces of that many bytes."""
_BIG = 16 << 20
"""Bytes of a file of which somebody may want to be told while it is read."""


class Reading:
    """What is read of all folders of a build. Once that is much, whoever is in `told` for a folder is now and then told
    how many bytes of it were read.
    """

    def __init__(self) -> None:
        self.told: dict[Path, Callable[[int], object]] = {}
        self._done = 0
        self._last: int | None = None
        self._bytes: Counter[Path] = Counter()

    def begin(self, folder: Path, size: int) -> Callable[[int], object] | None:
        """Notes that a file of `size` bytes is to be read, and gives what is to be told, where that is much, of each
        part that was read. Raises MustWait inside of `run_now` if it gets much.
        """
        if self._done + size // _PIECE >= _FEW:
            must_wait()
            self._tell(folder)
        if size > _BIG:
            return partial(self._went, folder)
        self._done += 1 + size // _PIECE
        self._bytes[folder] += size
        return None

    def _went(self, folder: Path, count: int) -> None:
        self._done += 1 + count // _PIECE
        self._bytes[folder] += count
        self._tell(folder)

    def _tell(self, folder: Path) -> None:
        tell = self.told.get(folder)
        if tell is not None and (self._last is None or self._done > self._last + _FEW):
            self._last = self._done
            tell(self._bytes[folder])


class KnownFiles:
    """What the table `files` says of one folder, for all who look into it. May be used from any thread."""

    def __init__(self, state: State, folder: Path, reading: Reading) -> None:
        self.reading = reading
        self._state = state
        self._name = os.fsencode(folder).decode(errors="replace")
        self._known: dict[str, tuple[str, str]] = {}
        self._new: dict[str, tuple[str, str]] = {}
        self._prepared: set[str] = set()
        self._lock = threading.Lock()

    def prepare(self, path: str) -> None:
        """Reads what is known of a path and all below it, at once; of the whole folder when there are many paths."""
        if path in self._prepared or "/" in self._prepared:
            return
        if not self._prepared and self._prepare_little():
            return
        if len(self._prepared) == _PATHS:
            path = "/"
        self._prepared.add(path)
        if not _is_text(path):
            return
        if path == "/":
            rows = self._state.query("SELECT path, version, digest FROM files WHERE folder = ?", self._name)
        else:
            rows = self._state.query(
                "SELECT path, version, digest FROM files WHERE folder = ?1 AND path = ?2"
                " UNION ALL SELECT path, version, digest FROM files WHERE folder = ?1 AND path > ?2 || '/'"
                " AND path < ?2 || '0'",  # '0' is the character after '/'
                self._name,
                path,
            )
        self._known.update((name, (version, digest)) for name, version, digest in rows)

    def _prepare_little(self) -> bool:
        """Reads all that is known of the folder, unless that is much."""
        rows = self._state.query(
            "SELECT path, version, digest FROM files WHERE folder = ? LIMIT ?", self._name, _LITTLE + 1
        )
        if len(rows) > _LITTLE:
            return False
        self._prepared.add("/")
        self._known.update((name, (version, digest)) for name, version, digest in rows)
        return True

    def find(self, path: str, version: str) -> str | None:
        """The digest of a path, if it is still what it was."""
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == version else None

    def note(self, path: str, version: str, digest: str) -> None:
        """Keeps the digest of an entry that no edit can change without giving it another version."""
        with self._lock:
            self._known[path] = (version, digest)
            if _is_text(path):
                self._new[path] = (version, digest)

    def save(self) -> None:
        """Writes down what was read since the last time. Raises StateError."""
        with self._lock:
            rows, self._new = self._new, {}
        if rows:
            self._state.write_many(
                "INSERT OR REPLACE INTO files (folder, path, version, digest) VALUES (?, ?, ?, ?)",
                ((self._name, path, version, digest) for path, (version, digest) in rows.items()),
            )


class FileDigests:
    """The digests of a folder's entries. May be used from any thread."""

    def __init__(self, files: KnownFiles, folder: Folder) -> None:
        self._files = files
        self._folder = folder
        self._unfiltered = LocalView(folder, (), ())
        self._unsettled: dict[str, str] = {}

    def prepare(self, path: str) -> None:
        """Reads what is known of a path and all below it, at once."""
        self._files.prepare(path)

    def of(self, path: str, entry: Entry) -> str:
        """The digest of an entry, read only if it is not known."""
        if path == "/":
            return EMPTY  # the peer's transfer knows nothing of the top folder itself
        version = "%x.%x.%x.%x.%x.%x" % entry.version  # noqa: UP031 (six times faster here than an f-string's loop)
        known = self._files.find(path, version) or self._unsettled.get(path)
        if known is not None:
            return known
        went = self._files.reading.begin(self._folder.path, entry.size)
        settled = self._folder.settle(entry)
        digest = entry_digest(self._unfiltered, path, entry, went)
        if settled:
            self._files.note(path, version, digest)
        else:
            self._unsettled[path] = digest
        return digest


def _is_text(path: str) -> bool:
    """Whether the database can hold a path: names of other bytes than UTF-8 are read each time."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
