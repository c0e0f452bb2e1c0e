"""A blob on its way, as a thread reads it: from the blob store, or from a registry while it still comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from typing import TYPE_CHECKING, Protocol

import trio

from engine.blobs import BlobStore, BlobWriter, VerifyingReader
from engine.errors import RegistryError
from engine.oci import Descriptor

if TYPE_CHECKING:
    from engine.registry.client import Registries
    from engine.registry.direct import DirectBlob
    from engine.snapshots.store import Progress
    from engine.sources.layers import LayerBlob

PIECES = 16
"""Pieces of a blob that may wait for the thread that unpacks it."""
READ = 1 << 20
TELL = 4 << 20
"""Bytes after which progress is told again."""


class BlobStream(Protocol):
    """The bytes of a blob. They may be used for good only after `finish`."""

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, `b""` at the end."""
        ...

    def finish(self) -> None:
        """Reads what is left. Raises CorruptBlob unless the whole was what its digest says."""
        ...


class _Stored:
    """A blob of the store."""

    def __init__(self, reader: VerifyingReader) -> None:
        self._reader = reader

    def fill(self, buffer: memoryview, /) -> int:
        return self._reader.readinto(buffer)

    def read(self, size: int = -1, /) -> bytes:
        return self._reader.read(READ if size < 0 else size) or b""

    def finish(self) -> None:
        while self.read():
            pass


@asynccontextmanager
async def from_store(blobs: BlobStore, blob: Descriptor) -> AsyncIterator[BlobStream]:
    """A blob that is here."""
    with blobs.open(blob.digest) as reader:
        yield _Stored(reader)


@asynccontextmanager
async def from_objects(blobs: BlobStore, blob: LayerBlob, progress: Progress) -> AsyncIterator[BlobStream]:
    """A blob of an object service, brought here first."""
    from engine.objects.fetching import fetch_object

    await fetch_object(blobs, blob.origin, blob.descriptor, progress)
    async with from_store(blobs, blob.descriptor) as stream:
        yield stream


class _Arriving:
    """A blob that comes from a registry; it is kept in the store while it is read."""

    def __init__(self, pieces: trio.MemoryReceiveChannel[bytes], keeping: BlobWriter, blob: Descriptor) -> None:
        self._pieces = pieces
        self._keeping = keeping
        self._blob = blob
        self._left = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            try:
                piece = trio.from_thread.run(self._pieces.receive)
            except trio.EndOfChannel:
                return b""
            self._keeping.write(piece)
            if size < 0 or size >= len(piece):
                return piece
            self._left = memoryview(piece)
        size = len(self._left) if size < 0 else size
        data, self._left = self._left[:size], self._left[size:]
        return bytes(data)

    def finish(self) -> None:
        while self.read():
            pass
        self._keeping.commit(self._blob.digest, self._blob.size)


class _Direct:
    """The same, straight from a socket into the buffer of whoever reads."""

    def __init__(self, direct: DirectBlob, keeping: BlobWriter, blob: Descriptor, progress: Progress) -> None:
        self._direct = direct
        self._keeping = keeping
        self._blob = blob
        self._progress = progress
        self._told = 0

    def fill(self, buffer: memoryview, /) -> int:
        count = self._direct.fill(buffer)
        if count:
            self._keeping.write(buffer[:count])
            if self._keeping.size - self._told >= TELL:
                self._told = self._keeping.size
                trio.from_thread.run_sync(self._progress, self._blob.digest, self._told, self._blob.size, False)
        return count

    def read(self, size: int = -1, /) -> bytes:
        buffer = bytearray(READ if size < 0 else size)
        return bytes(memoryview(buffer)[: self.fill(memoryview(buffer))])

    def finish(self) -> None:
        while self.read():
            pass
        self._keeping.commit(self._blob.digest, self._blob.size)


@asynccontextmanager
async def from_registry(
    registries: Registries, blobs: BlobStore, blob: LayerBlob, place: int, progress: Progress
) -> AsyncIterator[BlobStream]:
    """A blob as it comes from place number `place` of its origin; put into the store when it was right."""
    if direct := await _direct(registries, blob, place):
        with blobs.writer() as keeping, closing(direct):
            yield _Direct(direct, keeping, blob.descriptor, progress)
        return
    send, receive = trio.open_memory_channel[bytes](PIECES)
    with blobs.writer() as keeping:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pour, registries, blob, place, send, progress)
                yield _Arriving(receive, keeping, blob.descriptor)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise first_error(group) from None


async def _direct(registries: Registries, blob: LayerBlob, place: int) -> DirectBlob | None:
    try:
        return await registries.direct(blob.origin, blob.descriptor, place)
    except RegistryError:
        return None  # the usual way asks the other places, too, and has the better words


async def _pour(
    registries: Registries, blob: LayerBlob, place: int, send: trio.MemorySendChannel[bytes], progress: Progress
) -> None:
    found, done, told = blob.descriptor, 0, 0
    async with send, aclosing(registries.blob_unverified(blob.origin, found, place)) as pieces:
        async for piece in pieces:
            await send.send(piece)
            done += len(piece)
            if done - told >= READ:
                progress(found.digest, done, found.size, False)
                told = done


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first among tasks that were then cancelled; a cancellation from outside comes before all."""
    errors = list(_leaves(group))
    return next((e for e in errors if not isinstance(e, Exception)), errors[0])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
