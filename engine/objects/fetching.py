"""Brings blobs out of object services, verified, into the blob store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from engine.objects.opening import open_origin
from engine.oci import Descriptor

if TYPE_CHECKING:
    from engine.blobs import BlobStore

Progress = Callable[[str, int, int, bool], None]
"""Tells of a part: its id, bytes done, bytes in all, whether it is complete."""


async def fetch_object(blobs: BlobStore, origin: str, blob: Descriptor, progress: Progress) -> None:
    """Makes sure that a blob is in the store.

    Raises:
        SourceError: if it cannot be had.
        CorruptBlob: if what comes is not what its digest says.
    """
    import trio

    if await trio.to_thread.run_sync(blobs.has, blob.digest):
        return
    store = open_origin(origin)
    with blobs.writer() as writer:
        async with aclosing(store.pieces(store.blob_name(blob.digest))) as pieces:
            async for piece in pieces:
                await trio.to_thread.run_sync(writer.write, piece)
                progress(blob.digest, writer.size, blob.size, False)
        writer.commit(blob.digest, blob.size)
