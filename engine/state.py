"""The state folder: where everything lies, and the one SQLite database of records.

    ROOT/
      version           the format of this folder, a number
      ids               the user ids that owners of files in it are written with (a user namespace's map)
      state.db          all records (WAL)
      blobs/sha256/HEX  verified blobs, named by their content
      layers/ID/        layers in overlayfs form, complete and never changed
      work/             what is being written; anything here without a living owner is rubbish
      mounts/           cache mounts
      logs/             full logs of steps
      locks/            lock files shared by the processes that use this folder

The order of writing is always: write into `work`, rename into place, record in the database. So a record never names
what is not there; what is there without a record is rubbish that `bakery doctor` and garbage collection may take away.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import StateError

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS layers (
    id TEXT PRIMARY KEY,            -- a LayerID
    unpacked INTEGER NOT NULL,      -- 1: layers/ID is there; 0: still to be fetched from one of its blobs
    diff_id TEXT,                   -- digest of its tar, once known
    size INTEGER NOT NULL,          -- bytes on disk, 0 while not unpacked
    created REAL NOT NULL,          -- seconds since the epoch, as all times here
    used REAL NOT NULL,
    uses INTEGER NOT NULL DEFAULT 1,
    description TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layer_blobs (  -- compressed forms of a layer, here or at `origin`
    layer TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    options TEXT NOT NULL DEFAULT '',     -- how it was made (compression, epoch), '' for one that came with an image
    origin TEXT NOT NULL DEFAULT '',      -- an image reference or layout folder to fetch it from, '' if only here
    PRIMARY KEY (layer, options, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    created REAL NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (      -- what is known: a cache key and the results it stands for
    key TEXT PRIMARY KEY,
    result TEXT NOT NULL,                 -- JSON: a list, for each output a list of layer IDs or null
    identity TEXT NOT NULL,               -- the same for all keys of one result
    vertex TEXT NOT NULL,
    name TEXT NOT NULL,
    created REAL NOT NULL,
    used REAL NOT NULL,
    uses INTEGER NOT NULL DEFAULT 1,
    seconds REAL NOT NULL DEFAULT 0       -- how long the work took
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_by_identity ON records (identity);
CREATE TABLE IF NOT EXISTS contents (     -- checksums of parts of snapshots
    snapshot TEXT NOT NULL,
    selection TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (snapshot, selection)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (        -- checksums of files of this machine, valid while `version` is the same
    folder TEXT NOT NULL,
    path TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (folder, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cache_mounts (
    id TEXT PRIMARY KEY,
    cache TEXT NOT NULL,                  -- the ID of the mount option, with what it was seeded from
    created REAL NOT NULL,
    used REAL NOT NULL,
    uses INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS downloads (    -- http sources: what a server said of a URL, to ask it again cheaply
    url TEXT PRIMARY KEY,
    etag TEXT NOT NULL,
    last_modified TEXT NOT NULL,
    digest TEXT NOT NULL,
    filename TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (       -- what an image name meant when it was last asked for
    reference TEXT NOT NULL,
    platform TEXT NOT NULL,
    digest TEXT NOT NULL,
    manifest TEXT NOT NULL,
    checked REAL NOT NULL,
    PRIMARY KEY (reference, platform)
) WITHOUT ROWID;
"""

_FOLDERS = ("blobs/sha256", "layers", "work", "mounts", "logs", "locks")


def default_root() -> Path:
    """`$BAKERY_ROOT`, else `$XDG_DATA_HOME/bakery`, else `~/.local/share/bakery`."""
    if root := os.environ.get("BAKERY_ROOT"):
        return Path(root).absolute()
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(data).absolute() / "bakery"


class State:
    """An open state folder. One for each process; any number of processes may share a folder.

    The database connection may be used from any thread; a statement waits for others of this process and, up to half a
    minute, for those of other processes.
    """

    def __init__(self, root: Path, connection: sqlite3.Connection) -> None:
        self.root = root
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, root: Path) -> State:
        """Opens a state folder, making it if it is not there.

        Raises:
            StateError: if it cannot be made, read or written, or is of another version.
        """
        try:
            for folder in _FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True, mode=0o711 if folder == "layers" else 0o700)
            _check_version(root / "version")
            connection = _connect(root / "state.db")
        except OSError as error:
            raise StateError(
                f"cannot use the state folder {root}: {error.strerror or error}",
                hint="set BAKERY_ROOT to a folder that you may write to",
            ) from error
        except sqlite3.Error as error:
            raise StateError(
                f"cannot read the database of the state folder {root}: {error}",
                hint=f"run `bakery doctor`, or start afresh by removing {root}",
            ) from error
        return cls(root, connection)

    def close(self) -> None:
        """Closes the database. The folder stays consistent without it, too."""
        with self._lock:
            self._connection.close()

    @property
    def layers(self) -> Path:
        """Finished layers."""
        return self.root / "layers"

    @property
    def blobs(self) -> Path:
        """Verified blobs."""
        return self.root / "blobs" / "sha256"

    @property
    def work(self) -> Path:
        """What is being written."""
        return self.root / "work"

    @property
    def mounts(self) -> Path:
        """Cache mounts."""
        return self.root / "mounts"

    @property
    def logs(self) -> Path:
        """Full logs of steps."""
        return self.root / "logs"

    @property
    def locks(self) -> Path:
        """Lock files."""
        return self.root / "locks"

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        with self._lock, _explained(self.root):
            return self._connection.execute(sql, values).fetchall()

    def write(self, sql: str, *values: Any) -> int:
        """One change, on its own; the number of rows changed."""
        with self._lock, _explained(self.root):
            return self._connection.execute(sql, values).rowcount

    def write_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """The same change for many rows, as one transaction."""
        with self.transaction():
            self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside happen together or not at all."""
        with self._lock, _explained(self.root):
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _check_version(path: Path) -> None:
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        path.write_text(f"{VERSION}\n")
        return
    if found != str(VERSION):
        raise StateError(
            f"the state folder {path.parent} has format {found or '(empty)'}, this bakery writes format {VERSION}",
            hint="use the bakery that made it, or set BAKERY_ROOT to another folder",
        )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        hint = "free some space" if "full" in str(error) else f"run `bakery doctor`; the folder is {root}"
        raise StateError(f"the database of the state folder failed: {error}", hint=hint) from error
