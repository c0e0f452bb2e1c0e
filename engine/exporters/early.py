"""Sends a big layer while it is still being packed: what is written to the blob store goes into an upload at once.

Until its end nobody knows the layer's digest, so the registry cannot be asked whether it has it. Layers are packed into
the same bytes everywhere, though: one that begins otherwise than all big layers of the image that the name means now is
sent early, and so is any if the repository is empty. Everything else waits for its digest, for what a registry has is
not to be sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import trio

from engine import oci
from engine.blobs import CorruptBlob
from engine.errors import RegistryError, SourceError
from engine.registry.reference import Reference

if TYPE_CHECKING:
    from engine.blobs import BlobWriter
    from engine.registry.client import Registries

LEAST = 16 << 20
"""Bytes from which on a layer is worth it."""
_PROBE = 32 << 10
_PIECE = 1 << 20
_TICK = 0.5
"""Seconds after which a thread that waits looks whether anybody still wants it."""
_NOT_FOUND = 404


class GrowingBlob:
    """A blob that one thread writes while it is read, by a task or by another thread, up to where it is written."""

    def __init__(self) -> None:
        self.descriptor: oci.Descriptor | None = None
        self.fd = -1
        self.length = None
        self._token = trio.lowlevel.current_trio_token()
        self._size = 0
        self._ended = False
        self._grown = threading.Condition()
        self._grown_for_tasks = trio.Event()

    def begin(self, writer: BlobWriter) -> None:
        """Called by the thread that writes, before anything is written."""
        self.fd = writer.open_again()

    def grew(self, size: int) -> None:
        """Called by the thread that writes, when there are `size` bytes."""
        with self._grown:
            self._size = size
            self._grown.notify_all()
        self._token.run_sync_soon(self._tell_tasks)

    def end(self, blob: oci.Descriptor | None) -> None:
        """Called by a task when it is written; without a blob if that has failed."""
        with self._grown:
            self.descriptor, self._ended = blob, True
            self._size = blob.size if blob else self._size
            self._grown.notify_all()
        self._tell_tasks()

    def close(self) -> None:
        """Called when nobody reads any more."""
        if self.fd >= 0:
            os.close(self.fd)

    async def reaches(self, size: int) -> bool:
        """Waits until there are that many bytes; whether there will ever be."""
        while self._size < size and not self._ended:
            await self._grown_for_tasks.wait()
        return self._size >= size

    def start(self, count: int) -> bytes:
        """The first bytes."""
        return os.pread(self.fd, count, 0)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, as it comes."""
        done = 0
        while await self.reaches(done + 1):
            piece = os.pread(self.fd, min(_PIECE, self._size - done), done)
            done += len(piece)
            yield piece

    def beyond(self, done: int) -> int:
        """Waits in a thread of trio's until there are more bytes than that, or will never be; how many there are."""
        with self._grown:
            while self._size <= done and not self._ended:
                if not self._grown.wait(_TICK):
                    trio.from_thread.check_cancelled()
            return self._size

    def _tell_tasks(self) -> None:
        self._grown_for_tasks.set()
        self._grown_for_tasks = trio.Event()


class EarlyUpload:
    """Early uploads to the repository of one name."""

    def __init__(self, name: Reference, registries: Registries) -> None:
        self._name = name
        self._registries = registries

    async def follow(self, blob: GrowingBlob) -> None:
        """Sends a blob if it is big, and new to the repository. What fails here, the push does again, and tells."""
        if not await blob.reaches(LEAST):
            return
        try:
            if await self._is_new(blob):
                await self._registries.push_stream(self._name, blob, lambda: _finished(blob))
        except (SourceError, RegistryError):
            return

    async def _is_new(self, blob: GrowingBlob) -> bool:
        start = blob.start(_PROBE)
        for layer in await self._layers():
            if layer.size >= LEAST and await self._registries.read_start(self._name, layer, _PROBE) == start:
                return False
        return True

    async def _layers(self) -> list[oci.Descriptor]:
        """The layers of the image that the name means now, for all its platforms.

        Raises:
            RegistryError: if that cannot be told, or it means nothing in a repository that has other images.
        """
        try:
            return await self._layers_of(self._name)
        except RegistryError as error:
            if error.status == _NOT_FOUND and await self._registries.is_empty(self._name):
                return []
            raise

    async def _layers_of(self, name: Reference) -> list[oci.Descriptor]:
        descriptor, data = await self._registries.manifest(name)
        document = oci.parse_document(data, descriptor.media_type)
        if isinstance(document, oci.Manifest):
            return list(document.layers)
        return [layer for entry in document.manifests for layer in await self._layers_of(name.at(entry.digest))]


def _finished(blob: GrowingBlob) -> oci.Descriptor:
    if blob.descriptor is None:
        raise CorruptBlob("the layer could not be packed")
    return blob.descriptor
