"""Caches in registries: `type=registry`, and the images that carry one inside."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from typing import TYPE_CHECKING

from engine import oci
from engine.cache.remote.attributes import ExportOptions, required, truth
from engine.cache.remote.blobs import CacheBlob
from engine.cache.remote.chains import Chains
from engine.cache.remote.contract import CacheChanged
from engine.cache.remote.manifests import CacheImage, cache_metadata, make_image, read_cache
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
_SLOWER, _LEAST = 4.0, 0.05


class RegistryPlace:
    """A reference in a registry."""

    def __init__(self, backend: CacheBackend, options: ExportOptions | None = None) -> None:
        """Raises DefinitionError, SourceError for a reference that is none."""
        self._reference = parse(required(backend, "ref", "REGISTRY/NAME:TAG"))
        self._insecure = truth(backend, "registry.insecure")
        self._options = options or ExportOptions()
        self._seen: str | None = None
        """The digest of what was read last, empty if nothing was there."""

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
            return await read_cache(documents, chains)

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
            began = time.monotonic()
            await self._check_unchanged(image, registries)
            await push.manifest()
            if self._seen is not None:
                # A registry cannot be told to write only if nobody else has: who looked when we did writes now.
                await wait_for_others(time.monotonic() - began)
                await self._check_unchanged(image, registries)
        return cache_metadata(image)

    async def _check_unchanged(self, image: CacheImage, registries: Registries) -> None:
        """Some registries go on for a while to answer with what was there before."""
        if self._seen is None:
            return
        if (await registries.pushed(self._reference) or "") not in (self._seen, image.descriptor.digest):
            raise CacheChanged(f"somebody else has written {self.name}")

    def _registries(self, context: ExportContext) -> AbstractAsyncContextManager[Registries]:
        return registries_for(context, [self._reference], insecure=self._insecure)


async def wait_for_others(took: float) -> None:
    """Until those have written who looked when we did. `took`: seconds that we needed from looking to having written;
    others may need several times as much.
    """
    import trio

    await trio.sleep(max(_LEAST, _SLOWER * took))


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
