"""Caches in registries: `type=registry`, and the images that carry one inside."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from io import BytesIO
from typing import TYPE_CHECKING

from engine import oci
from engine.cache.remote.attributes import ExportOptions, required, truth
from engine.cache.remote.blobs import CacheBlob
from engine.cache.remote.chains import Chains
from engine.cache.remote.contract import CacheChanged
from engine.cache.remote.manifests import CacheImage, cache_metadata, make_image, read_cache
from engine.digests import Digest
from engine.errors import EngineError
from engine.exporters.layers import first_error
from engine.exporters.push import push_layer, registries_for
from engine.registry.reference import Reference, parse
from engine.request import CacheBackend
from engine.sources.layers import LayerBlob

if TYPE_CHECKING:
    import trio

    from engine.exporters.context import ExportContext
    from engine.registry.client import Registries

AT_ONCE = 6


class RegistryPlace:
    """A reference in a registry."""

    def __init__(self, backend: CacheBackend, options: ExportOptions | None = None) -> None:
        """Raises DefinitionError, SourceError for a reference that is none."""
        self._reference = parse(required(backend, "ref", "REGISTRY/NAME:TAG"))
        self._insecure = truth(backend, "registry.insecure")
        self._options = options or ExportOptions()
        self._seen: str | None = None
        """The digest of what was read last, empty if nothing was there."""
        self._undone: dict[Digest, None] = {}
        """The digests of what others wrote and we, unknowing, wrote over."""

    @property
    def title(self) -> str:
        """What progress shows of an export."""
        return "exporting cache to registry"

    @property
    def name(self) -> str:
        """The reference."""
        return str(self._reference)

    async def read(self, chains: Chains, context: ExportContext) -> int:
        """Adds what the cache knows to `chains`."""
        async with self._registries(context) as registries:
            self._seen = ""
            documents = _Documents(self._reference, registries)
            try:
                self._seen = (await documents.root())[0].digest
            except oci.MalformedImage:
                self._seen = None  # whatever it is, it is no cache that could be lost
                raise
            count = await read_cache(documents, chains)
            for digest in self._undone:
                with suppress(EngineError):
                    count += await read_cache(_Documents(self._reference.at(digest), registries), chains)
            return count

    async def write(self, chains: Chains, context: ExportContext) -> Mapping[str, str]:
        """Pushes the cache."""
        image = make_image(chains, image_manifest=self._options.image_manifest, oci_types=self._options.oci_types)
        if image is None:
            return {}
        if image.descriptor.digest == self._seen:
            return cache_metadata(image)
        async with self._registries(context) as registries:
            push = _Push(self._reference, image, context, registries)
            await push.blobs()
            if self._seen is None:
                await push.manifest()
            else:
                await self._put_unchanged(push, image.descriptor.digest, registries)
        return cache_metadata(image)

    async def _put_unchanged(self, push: _Push, digest: Digest, registries: Registries) -> None:
        """Writes what is to take the place of what was read. Raises CacheChanged if others wrote at the same time."""
        from engine.cache.remote.overwriting import write_looking

        known = (self._seen, digest)  # some registries go on for a while to answer with what was there before

        async def look() -> Digest | None:
            return await registries.pushed(self._reference)

        async def check() -> None:
            if (await look() or "") not in known:
                raise CacheChanged(f"somebody else has written {self.name}")

        async def put() -> None:
            await check()
            await push.manifest()

        began = time.monotonic()
        undone = [found for found in await write_looking(put, look) if found not in known]
        if undone:
            self._undone.update(dict.fromkeys(undone))
            raise CacheChanged(f"somebody else has written {self.name} meanwhile")
        await wait_for_others(time.monotonic() - began)
        await check()

    def _registries(self, context: ExportContext) -> AbstractAsyncContextManager[Registries]:
        return registries_for(context, [self._reference], insecure=self._insecure)


async def wait_for_others(took: float) -> None:
    """Until those have written who looked when we did. `took`: seconds from looking to having written."""
    import trio

    from engine.cache.remote.overwriting import pause

    await trio.sleep(pause(took))


class _Documents:
    """Manifests and configs of a repository."""

    def __init__(self, reference: Reference, registries: Registries) -> None:
        self._reference = reference
        self._registries = registries
        self._root: tuple[oci.Descriptor, bytes] | None = None

    @property
    def origin(self) -> str:
        return str(self._reference)

    async def root(self) -> tuple[oci.Descriptor, bytes]:
        if self._root is None:
            self._root = await self._registries.manifest(self._reference)
        return self._root

    async def manifest(self, descriptor: oci.Descriptor) -> bytes:
        _, data = await self._registries.manifest(self._reference.at(descriptor.digest))
        return data

    async def blob(self, descriptor: oci.Descriptor, limit: int) -> bytes:
        return await self._registries.small_blob(self._reference, descriptor, limit)


class _Push:
    """One cache to one reference."""

    def __init__(self, name: Reference, image: CacheImage, context: ExportContext, registries: Registries) -> None:
        self._name = name
        self._image = image
        self._context = context
        self._registries = registries

    async def blobs(self) -> None:
        """Sends layers and config."""
        import trio

        limit = trio.CapacityLimiter(AT_ONCE)
        try:
            async with trio.open_nursery() as nursery:
                for blob in self._image.blobs:
                    nursery.start_soon(self._layer, blob, limit)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        config = self._image.config_descriptor
        part = f"writing config {config.digest}"
        self._context.progress(part, 0, config.size, False)
        await self._registries.push_blob(self._name, config, lambda: BytesIO(self._image.config))
        self._context.progress(part, config.size, config.size, True)

    async def manifest(self) -> None:
        """Sends what makes it a cache."""
        part = f"writing cache image manifest {self._image.descriptor.digest}"
        self._context.progress(part, 0, 0, False)
        await self._registries.push_manifest(self._name, self._image.manifest, self._image.descriptor.media_type)
        self._context.progress(part, 0, 0, True)

    async def _layer(self, blob: CacheBlob, limit: trio.CapacityLimiter) -> None:
        layer = LayerBlob(blob.descriptor, blob.origin)
        async with limit:
            await push_layer(
                self._name, layer, f"writing layer {layer.descriptor.digest}", self._context, self._registries
            )
