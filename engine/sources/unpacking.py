"""Unpacks a layer's blob while verifying it twice: the blob against its digest, the tar against its diff ID.

Two threads share the work. One reads, verifies and decompresses the blob, the other hashes the tar and writes files.
Each has about half of it, so that a layer that comes alone, or last, keeps two cores busy.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.archive.compression import decompressor
from engine.archive.errors import ArchiveError
from engine.archive.tar_reader import Readable
from engine.archive.unpack import Unpacked, unpack_layer
from engine.digests import Digest
from engine.errors import SourceError
from engine.sources.pipe import Pipe
from engine.sources.streams import READ, BlobStream
from engine.values import frozen


def unpack_verified(stream: BlobStream, target: Path, diff_id: Digest | None) -> Unpacked:
    """Unpacks a layer into an empty folder. For a worker thread. When it raises, the folder holds rubbish.

    Raises:
        CorruptBlob: if the blob is not what its digest says: another try may help.
        SourceError: if the tar is not the one that the image's config names. A layer is kept under the name that
            follows from its diff ID, so a wrong one would be taken for a layer of other images.
        ArchiveError: if it is no proper layer, or the disk would not take it.
    """
    try:
        tar = _unpack(stream, target)
    except ArchiveError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno):
            stream.finish()  # not the disk: if it was the blob that was damaged, this says so
        raise
    stream.finish()
    if diff_id and tar.digest != diff_id:
        raise SourceError(f"a layer's content is {tar.digest}, but its image says {diff_id}: the image is broken")
    return tar.unpacked


@frozen
class _Tar:
    """A tar that was unpacked."""

    digest: Digest
    unpacked: Unpacked


def _unpack(stream: BlobStream, target: Path) -> _Tar:
    """Decompresses here, in the thread that may read the stream, and writes files in another."""
    pipe = Pipe()
    with ThreadPoolExecutor(1, thread_name_prefix="unpack") as other:
        files = other.submit(_write_files, pipe, target)
        try:
            _decompress(stream, pipe)
        except BaseException as error:
            pipe.end(error if isinstance(error, ArchiveError) else _Abandoned())
            raise
        pipe.end()
        return files.result()


class _Abandoned(Exception):
    """The thread that decompresses has ended without an end of the stream."""


def _decompress(stream: BlobStream, pipe: Pipe) -> None:
    plain = decompressor(stream)
    while piece := plain.read(READ):
        if not pipe.write(piece):
            return


def _write_files(pipe: Pipe, target: Path) -> _Tar:
    try:
        tar = _Hashed(pipe)
        unpacked = unpack_layer(tar, target)  # which reads to the end
        return _Tar(tar.digest, unpacked)
    finally:
        pipe.leave()


class _Hashed:
    """Hashes what is read."""

    def __init__(self, inner: Readable) -> None:
        self._inner = inner
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._inner.read(size)
        self._hash.update(data)
        return data

    @property
    def digest(self) -> Digest:
        return Digest("sha256:" + self._hash.hexdigest())
