"""What is remembered of this machine's files: the digest of each, valid while nothing about the file has changed.

A row of the table `files` is believed as long as the file's inode, change time, modification time, size and mode are
those it was made with. A user cannot set a change time, so an edit that keeps size and modification time shows, too. A
digest is made and written down only when the change time lies so far back that a further edit must get another one
(`Folder.settle`).
"""

from __future__ import annotations

import os
import threading

from engine.cache.content.header import EMPTY, entry_digest
from engine.concurrency import must_wait
from engine.sources.folder import Folder
from engine.sources.local import LocalView
from engine.state import State
from engine.tree import Entry

_FEW, _PIECE = 1000, 1 << 16
"""What is read before somebody wants to be told of it: so many files, or pieces of that many bytes."""


class FileDigests:
    """The digests of a folder's entries, through the table `files`. May be used from any thread."""

    def __init__(self, state: State, folder: Folder) -> None:
        self._state = state
        self._folder = folder
        self._name = os.fsencode(folder.path).decode(errors="replace")
        self._unfiltered = LocalView(folder, (), ())
        self._known: dict[str, tuple[str, str]] = {}
        self._new: dict[str, tuple[str, str]] = {}
        self._prepared: set[str] = set()
        self._read = 0
        self._lock = threading.Lock()

    def prepare(self, path: str) -> None:
        """Reads what is known of a path and all below it, at once."""
        if path in self._prepared or "/" in self._prepared:
            return
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

    def of(self, path: str, entry: Entry) -> str:
        """The digest of an entry, read only if it is not known."""
        if path == "/":
            return EMPTY  # the peer's transfer knows nothing of the top folder itself
        version = "%x.%x.%x.%x.%x.%x" % entry.version  # noqa: UP031 (six times faster here than an f-string's loop)
        known = self._known.get(path)
        if known is not None and known[0] == version:
            return known[1]
        self._read += 1 + entry.size // _PIECE
        if self._read > _FEW:
            must_wait()
        settled = self._folder.settle(entry)
        digest = entry_digest(self._unfiltered, path, entry)
        with self._lock:
            self._known[path] = (version, digest)
            if settled and _is_text(path):
                self._new[path] = (version, digest)
        return digest

    def save(self) -> None:
        """Writes down what was read since the last time. Raises StateError."""
        with self._lock:
            rows, self._new = self._new, {}
        if rows:
            self._state.write_many(
                "INSERT OR REPLACE INTO files (folder, path, version, digest) VALUES (?, ?, ?, ?)",
                ((self._name, path, version, digest) for path, (version, digest) in rows.items()),
            )


def _is_text(path: str) -> bool:
    """Whether the database can hold a path: names of other bytes than UTF-8 are read each time."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
