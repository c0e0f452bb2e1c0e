"""Brings the layers of images here: all at once, each read, verified, decompressed and unpacked in one pass.

A layer goes into its place only when its blob was what the manifest says and its tar what the config says, and only
after the layers below it, whose folders lend their metadata to those that the tar does not mention.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from engine.blobs import BlobStore, CorruptBlob
from engine.cache.lost import lost_layers
from engine.errors import SourceError
from engine.locks import file_lock
from engine.results import LayerID, Snapshot
from engine.snapshots.store import NewLayer, Progress, SnapshotStore
from engine.sources.implicit import copy_metadata
from engine.sources.layers import LAYOUT_ORIGIN, OBJECTS_ORIGIN, LayerBlob, blobs_of, diff_id_of, layers_below
from engine.sources.streams import BlobStream, first_error, from_objects, from_registry, from_store
from engine.state import State

if TYPE_CHECKING:
    from engine.archive.unpack import Unpacked
    from engine.registry.client import Registries

AT_ONCE = 8
"""Layers that come at the same time."""
Way = Callable[[], AbstractAsyncContextManager[BlobStream]]
"""Opens a blob somewhere."""
Maker = Callable[[Progress], Awaitable[None]]
"""Makes a layer and commits it under its name. Raises SourceError, StateError."""


class LayerFetcher:
    """The snapshot store's `Fetcher`. `registries` is called when the network is needed for the first time."""

    def __init__(
        self, state: State, snapshots: SnapshotStore, blobs: BlobStore, registries: Callable[[], Registries]
    ) -> None:
        self._state = state
        self._snapshots = snapshots
        self._blobs = blobs
        self._registries = registries
        self._makers: dict[LayerID, Maker] = {}

    def promise(self, layer: LayerID, maker: Maker, description: str) -> None:
        """Records a layer that `maker` can make in this process: called when somebody first reads it."""
        self._makers[layer] = maker
        if not self._state.query("SELECT 1 FROM layers WHERE id = ?", layer):
            now = time.time()
            self._state.write(
                "INSERT OR IGNORE INTO layers (id, unpacked, size, created, used, description)"
                " VALUES (?, 0, 0, ?, ?, ?)",
                layer,
                now,
                now,
                description,
            )

    async def fetch(self, layers: Sequence[LayerID], progress: Progress) -> None:
        """Unpacks layers that are recorded.

        Another process that fetches the same layer is waited for. No two can wait for each other, for a layer waits
        only for those below it.

        Raises:
            SourceError: if one cannot be had, or is not what it should be.
            StateError: if the disk is full.
        """
        done = {layer: trio.Event() for layer in layers}
        limit = trio.CapacityLimiter(AT_ONCE)
        try:
            async with trio.open_nursery() as nursery:
                for layer in layers:
                    nursery.start_soon(self._fetch, layer, done, limit, progress)
        except BaseExceptionGroup as group:
            raise first_error(group) from None

    async def _fetch(
        self, layer: LayerID, done: dict[LayerID, trio.Event], limit: trio.CapacityLimiter, progress: Progress
    ) -> None:
        async with file_lock(self._state.locks / f"layer-{layer}"):
            if not self._snapshots.layer_path(layer).exists():
                if layer in self._makers:
                    async with limit:
                        await self._makers[layer](progress)
                else:
                    await self._bring(layer, done, limit, progress)
        done[layer].set()

    async def _bring(
        self, layer: LayerID, done: dict[LayerID, trio.Event], limit: trio.CapacityLimiter, progress: Progress
    ) -> None:
        """Takes the layer's first form that can be had, and had whole."""
        from engine.sources.unpacking import unpack_verified

        known = blobs_of(self._state, layer)
        if not known:
            error = SourceError(f"it is not known where layer {layer} can be had", hint="run `bakery doctor`")
            raise lost_layers(self._state, [layer], error)
        failure: SourceError | None = None
        for blob, ways in self._ways(known, progress):
            for way in ways:
                with self._snapshots.coming_layer() as new:
                    try:
                        async with limit, way() as stream:
                            unpacked = await trio.to_thread.run_sync(
                                unpack_verified, stream, new.path, diff_id_of(self._state, layer)
                            )
                    except CorruptBlob as corrupt:
                        failure = corrupt
                        continue
                    except SourceError as failed:
                        failure = failed
                        break
                    progress(blob.descriptor.digest, blob.descriptor.size, blob.descriptor.size, True)
                    await self._place(layer, new, unpacked, done)
                    return
        failure = failure or SourceError(f"layer {layer} is gone: its blob was only here", hint="run the build again")
        raise lost_layers(self._state, [layer], failure) from failure

    async def _place(self, layer: LayerID, new: NewLayer, unpacked: Unpacked, done: dict[LayerID, trio.Event]) -> None:
        below = layers_below(self._state, layer, done)
        for lower in below:
            if lower in done:
                await done[lower].wait()

        def commit() -> None:
            under = Snapshot(below)
            if unpacked.implicit and below and not self._snapshots.missing(under):
                copy_metadata(self._snapshots.tree(under), new.path, unpacked.implicit)
            new.commit("layer of an image", layer=layer)

        await trio.to_thread.run_sync(commit)

    def _ways(self, known: Sequence[LayerBlob], progress: Progress) -> Iterator[tuple[LayerBlob, list[Way]]]:
        """The ways to get each form of a layer, those that need no network first. The next way of a form is for when
        the bytes that came were wrong."""
        for blob in known:
            if self._blobs.has(blob.descriptor.digest):
                yield blob, [partial(from_store, self._blobs, blob.descriptor)]
        for blob in known:
            if blob.origin.startswith(LAYOUT_ORIGIN):
                from engine.sources.oci_layout import open_blob

                yield blob, [partial(open_blob, Path(blob.origin.removeprefix(LAYOUT_ORIGIN)), blob.descriptor)]
            elif blob.origin.startswith(OBJECTS_ORIGIN):
                yield blob, [partial(from_objects, self._blobs, blob, progress)]
            elif blob.origin:
                registries = self._registries()
                yield (
                    blob,
                    [
                        partial(from_registry, registries, self._blobs, blob, place, progress)
                        for place in registries.attempts(blob.origin)
                    ],
                )
