"""Blobs by digest: files that are what their name says, or are not there.

A blob is hashed while it is written and again while it is read; one that has rotted on disk is taken away when that is
noticed, so that the next one who wants it fetches it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine.digests import Digest, hex_of
from engine.errors import SourceError, StateError, disk_hint

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from engine.state import State

_UNFINISHED = "blob-"
TOUCH_AFTER = 3600.0
"""Seconds after which a further use is written down; more often would make every reader a writer."""


class CorruptBlob(SourceError):
    """Bytes that are not what their digest says."""


class RottenBlob(CorruptBlob):
    """A blob of the store that is no longer what its digest says. It has been taken away."""


class BlobStore:
    """The blobs of one state folder. Any number of threads and processes may use it at once."""

    def __init__(self, state: State) -> None:
        self._state = state

    def path(self, digest: Digest) -> Path:
        """Where a blob is, or would be."""
        return self._state.blobs / hex_of(digest)

    def size(self, digest: Digest) -> int | None:
        """The bytes of a blob that is here, else None. One that is here stays as long as this process's lease."""
        rows = self._state.query("SELECT size FROM blobs WHERE digest = ?", digest)
        if not rows:
            return None
        with self._state.lease.taking():
            try:
                found = self.path(digest).stat().st_size
            except FileNotFoundError:
                found = -1
            if found == rows[0][0]:
                self._state.lease.hold([digest])
                return int(found)
        self.remove(digest)
        return None

    def has(self, digest: Digest) -> bool:
        """Whether a blob is here, whole."""
        return self.size(digest) is not None

    def open(self, digest: Digest) -> VerifyingReader:
        """A blob's bytes, verified while they are read: the reader raises CorruptBlob instead of a false end.

        Raises:
            SourceError: if it is not here.
        """
        try:
            file = self.path(digest).open("rb")
        except FileNotFoundError:
            self.remove(digest)
            raise SourceError(f"the blob {digest} is not in the store", hint="run the build again") from None
        self.touch(digest)
        return VerifyingReader(file, digest, self)

    def read(self, digest: Digest, limit: int) -> bytes:
        """A small blob as bytes, verified.

        Raises:
            SourceError: if it is not here, or bigger than `limit` bytes.
            CorruptBlob: if it has rotted; it is gone then.
        """
        with self.open(digest) as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise SourceError(f"the blob {digest} is bigger than the {limit} bytes allowed here")
            return file.read()

    def find(self, digest: Digest, limit: int) -> bytes | None:
        """A small blob if it is here and sound, else None."""
        if not self.has(digest):
            return None
        try:
            return self.read(digest, limit)
        except SourceError:
            return None

    def put(self, data: bytes) -> Digest:
        """Stores some bytes."""
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def writer(self) -> BlobWriter:
        """A new blob to write into. Used as a context manager: what is not committed is gone at the end."""
        return BlobWriter(self._state)

    def touch(self, digest: Digest) -> None:
        """Notes that a blob was used, for garbage collection."""
        now = time.time()
        stale = self._state.query("SELECT 1 FROM blobs WHERE digest = ? AND used < ?", digest, now - TOUCH_AFTER)
        if stale:
            self._state.write("UPDATE blobs SET used = ? WHERE digest = ?", now, digest)

    def remove(self, digest: Digest) -> None:
        """Takes a blob away: first the record, then the file."""
        self._state.write("DELETE FROM blobs WHERE digest = ?", digest)
        self.path(digest).unlink(missing_ok=True)

    def remove_rotten(self) -> list[Digest]:
        """Reads all blobs that this process uses, and takes away those that are not what their names say."""
        rotten: list[Digest] = []
        for name in self._state.lease.held():
            if name.startswith("sha256:") and not self.is_sound(Digest(name)):
                self.remove(Digest(name))
                rotten.append(Digest(name))
        return rotten

    def is_sound(self, digest: Digest) -> bool:
        """Whether a blob is here and what its name says."""
        try:
            with self.path(digest).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == hex_of(digest)
        except OSError:
            return False

    def sweep(self) -> int:
        """Removes what killed processes have left half-written; how many files. Called by collectors only."""
        swept = 0
        for path in self._state.work.glob(f"{_UNFINISHED}*"):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
                swept += 1
            except BlockingIOError:
                pass  # its writer lives
            finally:
                os.close(descriptor)
        return swept


class BlobWriter:
    """Takes the bytes of one blob, hashing them. Not for two threads at once."""

    def __init__(self, state: State) -> None:
        import tempfile  # which a build that writes nothing can do without

        self._state = state
        self._hash = hashlib.sha256()
        self.size = 0
        with _explained(state), state.lease.taking():  # no sweep comes between making the file and locking it
            handle, name = tempfile.mkstemp(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=state.work)
            fcntl.flock(handle, fcntl.LOCK_EX)
        self._file: io.FileIO | None = io.FileIO(handle, "wb")
        self._path = Path(name)

    @property
    def digest(self) -> Digest:
        """The digest of what was written so far."""
        return Digest("sha256:" + self._hash.hexdigest())

    def open_again(self) -> int:
        """A descriptor to read what was written so far, also after the commit; to be closed by the caller."""
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def write(self, data: ReadableBuffer) -> None:
        """Adds bytes. Raises StateError when the disk is full."""
        if self._file is None:
            raise ValueError("write to a finished blob")
        self._hash.update(data)
        rest = memoryview(data)
        self.size += len(rest)
        with _explained(self._state):
            while rest:
                rest = rest[self._file.write(rest) :]

    def commit(self, digest: Digest | None = None, size: int | None = None) -> Digest:
        """Puts the blob into the store and gives its digest.

        Raises:
            CorruptBlob: if it is not the one that was expected; nothing is stored then.
        """
        found = self.digest
        if (digest and found != digest) or (size is not None and size != self.size):
            self.discard()
            expected = f"{digest or found} of {self.size if size is None else size} bytes"
            raise CorruptBlob(f"expected {expected}, got {found} of {self.size} bytes")
        if self._file is None:
            raise ValueError("commit of a finished blob")
        now = time.time()
        with self._state.lease.taking():
            with _explained(self._state):
                os.chmod(self._path, 0o444)
                os.rename(self._path, self._state.blobs / hex_of(found))
            self._file.close()
            self._file = None
            self._state.lease.hold([found])
            self._state.write(
                "INSERT INTO blobs (digest, size, created, used) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (digest) DO UPDATE SET size = excluded.size, used = excluded.used",
                found,
                self.size,
                now,
                now,
            )
        return found

    def discard(self) -> None:
        """Throws away what was written. Harmless after a commit."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()


class VerifyingReader(io.RawIOBase):
    """Reads a blob from its start to its end and checks at the end that it was the right one."""

    def __init__(self, file: io.BufferedReader, digest: Digest, store: BlobStore) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._expected = digest
        self._store = store

    def readable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The file's descriptor, for its size."""
        return self._file.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Raises RottenBlob at the end of a blob that is not what its name says."""
        count = self._file.readinto(buffer)
        if count:
            self._hash.update(memoryview(buffer)[:count])
        elif len(memoryview(buffer)) and self._hash.hexdigest() != hex_of(self._expected):
            self._store.remove(self._expected)
            raise RottenBlob(
                f"the stored blob {self._expected} is damaged and was taken away",
                hint="run the build again to fetch it anew; check the disk if this comes back",
            )
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


@contextmanager
def _explained(state: State) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = disk_hint(error, f"check the folder {state.root}")
        raise StateError(f"cannot write a blob into {state.root}: {error.strerror or error}", hint=hint) from error
