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
      locks/            lock files shared by the processes that use this folder; `keys` has a byte for each cache key
      spare             space that nobody uses, so that there is some to make room with when the disk is full
      damaged           there while the database is known to be damaged: whoever opens the folder next mends it

The order of writing is always: write into `work`, rename into place, record in the database. So a record never names
what is not there; what is there without a record is rubbish that `bakery doctor` and garbage collection may take away.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.disks import is_full
from engine.errors import SPACE_HINT, DamagedState, StateError, disk_hint
from engine.leases import Lease

VERSION = 2
"""The format of the folder. Raised when older programs could not use it any more; new tables do not raise it."""
FORMATS = ("1", str(VERSION))
"""Those that are read. The first had a file `below` beside `fs` for what is in the database now; such layers stay."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS layers (
    id TEXT PRIMARY KEY,            -- a LayerID
    unpacked INTEGER NOT NULL,      -- 1: layers/ID is there, 0: still to be fetched from one of its blobs
    diff_id TEXT,                   -- digest of its tar, once known
    size INTEGER NOT NULL,          -- bytes on disk, 0 while not unpacked
    created REAL NOT NULL,          -- seconds since the epoch, as all times here
    used REAL NOT NULL,
    uses INTEGER NOT NULL DEFAULT 1,
    description TEXT NOT NULL DEFAULT '',
    below TEXT                      -- the layers that its changes were measured against, NULL if it came with an image
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layer_marks (  -- what a layer looked like when it was made (see engine.snapshots.marks)
    layer TEXT PRIMARY KEY,
    mark TEXT NOT NULL,
    content TEXT NOT NULL DEFAULT ''      -- once somebody has read it
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
CREATE TABLE IF NOT EXISTS records (      -- what is known: a cache key and the results it stands for (with row ids,
    key TEXT NOT NULL PRIMARY KEY,        -- for keys lie anywhere: without, each record would write a page of its own)
    result TEXT NOT NULL,                 -- JSON: a list, for each output a list of layer IDs or null
    identity TEXT NOT NULL,               -- the same for all keys of one result
    vertex TEXT NOT NULL,
    name TEXT NOT NULL,
    created REAL NOT NULL,
    used REAL NOT NULL,
    uses INTEGER NOT NULL DEFAULT 1,
    seconds REAL NOT NULL DEFAULT 0       -- how long the work took
);
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
CREATE TABLE IF NOT EXISTS mount_sizes (  -- what cache mounts and git mirrors took when they were last measured
    id TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    measured REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (      -- the last result of each target, for `bakery export`
    project TEXT NOT NULL,                -- the folder it was built in
    target TEXT NOT NULL,
    image BLOB NOT NULL,                  -- deflated JSON: what an exporter is given
    built REAL NOT NULL,
    PRIMARY KEY (project, target)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outputs (      -- what was written where, and how to see that it is still there
    place TEXT PRIMARY KEY,               -- target and destination
    identity TEXT NOT NULL,
    title TEXT NOT NULL,
    result TEXT NOT NULL,                 -- JSON: metadata, size and evidence
    written REAL NOT NULL
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

_ADDED = (("layers", "below", "TEXT"),)
"""Columns that tables of older databases lack."""
_FOLDERS = ("blobs/sha256", "layers", "work", "mounts", "logs", "locks")
_SCHEMA_MARK = zlib.crc32(_SCHEMA.encode()) & 0x7FFFFFFF
"""Written into the database: one with another mark may lack tables or columns, which are added then."""
_CHECKPOINT = 8192
"""Pages (4 KiB) of the log after which they are brought into the database. That waits for the disk twice, and whoever
wants to write meanwhile waits along: with SQLite's 1000, a build of 1800 small steps would do it thirty times. The log
is kept by crashes as it is; the last one to close the database does what is left."""
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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

    def __init__(self, root: Path, connection: sqlite3.Connection, user: int, found: Iterable[str] = ()) -> None:
        self.root = root
        self.lease = Lease(root / "locks")
        """What this process uses, which no garbage collection takes away."""
        self.found = list(found)
        """Sentences on what was found damaged or lost, and what was done about it, for somebody to tell the user."""
        self._connection = connection
        self._user = user
        self._lock = threading.RLock()

    @classmethod
    def open(cls, root: Path) -> State:
        """Opens a state folder, making it if it is not there. A damaged database is mended as far as that goes.

        Raises:
            StateError: if it cannot be made, read or written, or is of another version.
        """
        user = -1
        try:
            for folder in _FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True, mode=0o711 if folder == "layers" else 0o700)
            _check_version(root / "version")
            user = _use(root)
            found: tuple[str, ...] = ()
            try:
                if (root / DAMAGED).exists():
                    raise DamagedState("known to be damaged")
                connection = _connect(root / "state.db")
            except DamagedState:
                found = _mend(root, user)
                connection = _connect(root / "state.db")
        except OSError as error:
            _leave(user)
            raise StateError(
                f"cannot use the state folder {root}: {error.strerror or error}",
                hint=disk_hint(error, "set BAKERY_ROOT to a folder that you may write to"),
            ) from error
        except BaseException:
            _leave(user)
            raise
        _lay_by(root / SPARE)
        return cls(root, connection, user, found)

    def close(self) -> None:
        """Closes the database. The folder stays consistent without it, too."""
        self.lease.release()
        with self._lock:
            self._connection.close()
            _leave(self._user)
            self._user = -1

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

    def forget_layers(self, layers: Iterable[str]) -> None:
        """Notes that the files of layers are gone; whoever needs one makes or fetches it anew."""
        from engine.reconcile import forget_layers

        with self.transaction():
            forget_layers(self._connection, list(layers))

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """The connection itself, for no other thread meanwhile: for those who mend the database."""
        with self._lock, _explained(self.root):
            yield self._connection

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


SPARE = "spare"
SPARE_SIZE = 1 << 20


def _lay_by(path: Path) -> None:
    """Takes some space while there is some, for who wants to make room when there is none."""
    if path.exists():
        return
    info = os.statvfs(path.parent)
    if info.f_bavail * info.f_frsize < 8 * SPARE_SIZE:
        return  # it may just have been spent
    with suppress(OSError), path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, SPARE_SIZE)
        except OSError:
            path.unlink()


def spend_spare(root: Path) -> bool:
    """Frees the space that was laid by; whether there was any. The database cannot even be opened without some."""
    try:
        (root / SPARE).unlink()
    except OSError:
        return False
    return True


DAMAGED = "damaged"
"""A file that says so, beside the database."""


def _check_version(path: Path) -> None:
    found = path.read_text().strip() if path.exists() else ""
    if found != str(VERSION) and found in ("", *FORMATS):  # empty: a new one, or its maker was killed just then
        new = path.with_name(f".version-{os.getpid()}")
        new.write_text(f"{VERSION}\n")
        new.replace(path)
    elif found != str(VERSION):
        newer = found.isdecimal() and int(found) > VERSION
        raise StateError(
            f"the state folder {path.parent} has format {found}, this bakery reads and writes format {VERSION}",
            hint=("use the newer bakery that made it" if newer else f"remove {path.parent} to start afresh")
            + ", or set BAKERY_ROOT to another folder",
        )


def _use(root: Path) -> int:
    """A descriptor that says that somebody uses the folder. Waits while somebody mends it."""
    user = os.open(root / "version", os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(user, fcntl.LOCK_SH)
    return user


def _leave(user: int) -> None:
    if user >= 0:
        os.close(user)


def _mend(root: Path, user: int) -> tuple[str, ...]:
    """Saves what can be saved of a damaged database; what was found. Raises StateError while others use it."""
    from engine.salvage import salvage

    try:
        fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DamagedState(
            f"the database of the state folder {root} is damaged, and others are using it",
            hint="wait for other builds to end, then run this again",
        ) from None
    try:
        found = salvage(root)
    except sqlite3.Error as error:
        raise StateError(
            f"cannot mend the database of the state folder {root}: {error}", hint=f"start afresh by removing {root}"
        ) from error
    fcntl.flock(user, fcntl.LOCK_SH)
    return tuple(found)


def _connect(path: Path) -> sqlite3.Connection:
    """Raises DamagedState, StateError."""
    with _explained(path.parent):
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
            if connection.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA_MARK:
                prepare_database(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def prepare_database(connection: sqlite3.Connection) -> None:
    """Makes all tables and columns that are not there yet. Several processes may do so at once."""
    # Turning to WAL needs the database for oneself, and does not wait for it: whoever comes second tries again.
    for _ in range(600):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            threading.Event().wait(0.05)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        for table, column, kind in _ADDED:
            if column not in (row[1] for row in connection.execute(f"PRAGMA table_info({table})")):
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA_MARK}")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether a database failed for what is in it, not for its disk or its users."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if is_damage(error):
            with suppress(OSError):
                (root / DAMAGED).touch()
            raise DamagedState(
                f"the database of the state folder {root} is damaged: {error}",
                hint="run the build again: what can be saved of it will be",
            ) from error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise StateError(f"the disk of {root} is full", hint=SPACE_HINT) from error
        # SQLite says neither why it cannot make a file, nor why it cannot write one.
        other = "check that it may be written to, and its disk with `bakery doctor`; BAKERY_ROOT names another folder"
        hint = SPACE_HINT if is_full(root) else other
        raise StateError(f"the database of the state folder {root} failed: {error}", hint=hint) from error
