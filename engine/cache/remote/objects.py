"""Caches in object services: the config is one object, each layer's blob another, and no manifest ties them together.

Names and forms are BuildKit's (`cache/remotecache/s3` and `gha`): what says of a layer how big it is and of what type,
the config's `annotations`, is here alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import trio

from engine.cache.remote import config as cache_config
from engine.cache.remote.attributes import ExportOptions
from engine.cache.remote.blobs import CacheBlob, blob_of, facts_of
from engine.cache.remote.chains import Chains
from engine.cache.remote.contract import CacheChanged
from engine.digests import sha256
from engine.exporters.layers import bring, first_error
from engine.objects.contract import Body, ObjectChanged, ObjectExists, ObjectStore
from engine.objects.gha import ActionsObjects, index_name
from engine.objects.opening import open_objects
from engine.objects.s3 import S3Objects
from engine.request import CacheBackend
from engine.sources.layers import LayerBlob

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext

PARALLEL = 4
WAITS, PAUSE = 8, 2.0
"""How often, and for how many seconds, to wait for another job that is writing: nothing tells that it has ended."""
_PIECE = 1 << 20


class BucketPlace:
    """`type=s3`: a name, or several, in a bucket."""

    def __init__(self, backend: CacheBackend, options: ExportOptions | None = None) -> None:
        """Raises DefinitionError."""
        store = open_objects(backend.type, backend.attributes)
        assert isinstance(store, S3Objects)
        self._store = store
        self._names = [name for name in backend.attributes.get("name", "buildkit").split(";") if name] or ["buildkit"]
        self._seen: str | None = None
        """The version of what was read last, empty if nothing was there."""

    @property
    def title(self) -> str:
        """What progress shows of an export."""
        return "exporting cache to Amazon S3"

    @property
    def name(self) -> str:
        """The bucket and the name in it."""
        return f"s3://{self._store.bucket.name}/{self._store.manifest_name(';'.join(self._names))}"

    async def read(self, chains: Chains, context: ExportContext) -> int:
        """Adds what the cache knows; nothing if there is none yet."""
        name = self._store.manifest_name(self._names[0])
        data, self._seen = await self._store.read_version(name, cache_config.MAX_CONFIG)
        return _add(chains, data, self._store.origin)

    async def write(self, chains: Chains, context: ExportContext) -> Mapping[str, str]:
        """Writes the blobs that are not there, then the config under each name.

        Raises CacheChanged if somebody else has written it under the first, which is the one that is read.
        """
        data = await _write_layers(chains, self._store, context)
        first, *others = map(self._store.manifest_name, self._names)
        if self._seen is None:
            others.insert(0, first)
        else:
            try:
                await self._store.write_over(first, _body(data), len(data), sha256(data), self._seen)
            except ObjectChanged as error:
                raise CacheChanged(error.message) from error
        for name in others:
            await self._store.write(name, _body(data), len(data), sha256(data))
        return {}


class ActionsPlace:
    """`type=gha`: a scope in the cache of GitHub Actions. Its config is written anew under the next number."""

    def __init__(self, backend: CacheBackend, options: ExportOptions | None = None) -> None:
        """Raises DefinitionError, UnsupportedError."""
        store = open_objects(backend.type, backend.attributes)
        assert isinstance(store, ActionsObjects)
        self._store = store
        self._scope = backend.attributes.get("scope", "buildkit")
        self._seen: str | None = None
        self._abandoned = 0

    @property
    def title(self) -> str:
        """What progress shows of an export."""
        return "exporting to GitHub Actions Cache"

    @property
    def name(self) -> str:
        """The scope."""
        return f"gha:{self._scope}"

    async def read(self, chains: Chains, context: ExportContext) -> int:
        """Adds what jobs of this branch and of those it may read have written."""
        count = 0
        for number, branch in enumerate(self._store.access.scopes):
            index = index_name(self._scope, branch)
            if number == 0:
                self._seen = await self._newest(index)
            count += _add(chains, await self._store.read(f"{index}#", cache_config.MAX_CONFIG), self._store.origin)
        return count

    async def write(self, chains: Chains, context: ExportContext) -> Mapping[str, str]:
        """Writes the blobs that are not there, then the config.

        Raises CacheChanged if another job has written one since this was read.
        """
        data = await _write_layers(chains, self._store, context)
        index = index_name(self._scope, self._store.access.scopes[0])
        newest = await self._newest(index)
        if self._seen is not None and newest != self._seen:
            raise CacheChanged(f"another job has written {self.name}")
        last = newest.rpartition("#")[2]
        number = max(self._abandoned, int(last) if last.isdigit() else 0) + 1
        for _ in range(WAITS):
            with suppress(ObjectExists):
                await self._store.write(f"{index}#{number}", _body(data), len(data), sha256(data))
                return {}
            await trio.sleep(PAUSE)
            if await self._newest(index) != newest:
                raise CacheChanged(f"another job has written {self.name}")
        self._abandoned = number
        raise CacheChanged(f"another job began to write {self.name}, and never ended")

    async def _newest(self, index: str) -> str:
        found = await self._store.find(f"{index}#")
        return found[0] if found else ""


def _add(chains: Chains, data: bytes | None, origin: str) -> int:
    if data is None:
        return 0
    config = cache_config.parse_config(data)
    blobs = [blob_of(layer.blob, layer.facts, origin) for layer in config.layers if layer.facts]
    blobs += [blob_of(mount.blob, mount.facts, origin) for mount in config.mounts]
    chains.add_config(config, {blob.descriptor.digest: blob for blob in blobs})
    return len(config.records)


async def _write_layers(chains: Chains, store: ObjectStore, context: ExportContext) -> bytes:
    """Writes what is missing of a cache's blobs; its config."""
    config, blobs = chains.config()
    limit = trio.CapacityLimiter(PARALLEL)
    try:
        async with trio.open_nursery() as nursery:
            for blob in {blob.descriptor.digest: blob for blob in (*blobs, *chains.mounts.values())}.values():
                nursery.start_soon(_write_layer, blob, store, context, limit)
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    layers = tuple(replace(layer, facts=facts_of(blob)) for layer, blob in zip(config.layers, blobs, strict=True))
    return cache_config.config_bytes(replace(config, layers=layers))


async def _write_layer(
    blob: CacheBlob, store: ObjectStore, context: ExportContext, limit: trio.CapacityLimiter
) -> None:
    found = blob.descriptor
    name, part = store.blob_name(found.digest), f"writing layer {found.digest}"
    async with limit:
        if not await store.has(name):
            context.progress(part, 0, found.size, False)
            await bring(context, LayerBlob(found, blob.origin))
            path = context.blobs.path(found.digest)
            with suppress(ObjectExists):  # another job was faster: blobs are what their names say
                await store.write(name, lambda: _pieces(path.open("rb")), found.size, found.digest)
    context.progress(part, found.size, found.size, True)


def _body(data: bytes) -> Body:
    return lambda: _pieces(BytesIO(data))


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while piece := await trio.to_thread.run_sync(file.read, _PIECE):
            yield piece
