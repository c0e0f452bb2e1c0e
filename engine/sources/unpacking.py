"""Unpacks a layer's blob while verifying it twice: the blob against its digest, the tar against its diff ID."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.archive.compression import decompressor
from engine.archive.errors import ArchiveError
from engine.archive.tar_reader import Readable
from engine.archive.unpack import Unpacked, unpack_layer
from engine.digests import Digest
from engine.errors import SourceError
from engine.sources.streams import READ, BlobStream


def unpack_verified(stream: BlobStream, target: Path, diff_id: Digest | None) -> Unpacked:
    """Unpacks a layer into an empty folder. For a worker thread. When it raises, the folder holds rubbish.

    Raises:
        CorruptBlob: if the blob is not what its digest says: another try may help.
        SourceError: if the tar is not the one that the image's config names. A layer is kept under the name that
            follows from its diff ID, so a wrong one would be taken for a layer of other images.
        ArchiveError: if it is no proper layer, or the disk would not take it.
    """
    try:
        tar = _Hashed(decompressor(stream))
        unpacked = unpack_layer(tar, target)
        while tar.read(READ):
            pass
    except ArchiveError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno):
            stream.finish()  # not the disk: if it was the blob that was damaged, this says so
        raise
    stream.finish()
    if diff_id and tar.digest != diff_id:
        raise SourceError(f"a layer's content is {tar.digest}, but its image says {diff_id}: the image is broken")
    return unpacked


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
