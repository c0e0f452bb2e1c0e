"""Pushes a finished image: nothing at all if its name means it already, else what the registry does not have."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from engine import oci
from engine.digests import Digest
from engine.exporters.image_bundle import ImageBundle
from engine.exporters.layers import ExportedLayer, bring, first_error
from engine.registry.reference import Reference
from engine.sources.layers import LayerBlob

if TYPE_CHECKING:
    import trio

    from engine.exporters.context import ExportContext
    from engine.registry.client import Registries

_AT_ONCE = 6


@asynccontextmanager
async def registries_for(
    context: ExportContext, names: Sequence[Reference], *, insecure: bool
) -> AsyncIterator[Registries]:
    """The registry client; `insecure`: one that does not insist on TLS for the registries of these names."""
    if not insecure:
        yield context.registries
        return
    from engine.registry.client import Registries
    from engine.registry.settings import load_settings

    settings = load_settings(os.environ)
    hosts = dict(settings.hosts)
    for name in names:
        hosts[name.domain] = replace(settings.of(name.domain), insecure=True)
    async with Registries(replace(settings, hosts=hosts)) as registries:
        yield registries


class _NotHere(Exception):
    """The registry wants the bytes of a blob that has not been fetched."""


async def push_layer(
    name: Reference, layer: LayerBlob, part: str, context: ExportContext, registries: Registries
) -> None:
    """Makes sure that the repository of a name has a layer; it is fetched only if its bytes must be sent from here.

    Raises:
        RegistryError, SourceError: if that cannot be.
    """
    blob = layer.descriptor

    def content() -> BinaryIO:
        if not context.blobs.has(blob.digest):
            raise _NotHere
        return context.blobs.path(blob.digest).open("rb")

    async def push() -> None:
        await registries.push_blob(
            name,
            blob,
            content,
            mount_from=layer.reference or None,
            sent=lambda count: context.progress(part, count, blob.size, False),
        )

    try:
        await push()
    except _NotHere:
        await bring(context, layer)
        await push()
    context.progress(part, blob.size, blob.size, True)


class Push:
    """One image to one name, which may be its digest: all blobs at once, then the manifests, each after what it
    refers to, the image's own last: that gives it its name.
    """

    def __init__(self, name: Reference, bundle: ImageBundle, context: ExportContext, registries: Registries) -> None:
        self.goal = name
        self._bundle = bundle
        self._context = context
        self._registries = registries

    async def run(self) -> None:
        """Raises RegistryError, SourceError."""
        part = f"pushing manifest for {self.goal.name}@{self._bundle.root.digest}"
        self._context.progress(part, 0, 0, False)
        if await self.send():
            await self.name()
        self._context.progress(part, 0, 0, True)

    async def send(self) -> bool:
        """Sends all that the image's own manifest refers to; whether that has still to be given its name.

        Raises:
            RegistryError, SourceError: if that cannot be.
        """
        root, goal = self._bundle.root, self.goal
        if await self._registries.pushed(goal) == root.digest:
            return False
        bare = replace(goal, tag="", digest=None)
        # A registry that has the manifest has all that it names: then only the name is missing.
        if goal.digest or await self._registries.pushed(bare.at(root.digest)) is None:
            await self._push_blobs()
            await self._push_manifests(bare)
        return True

    async def name(self) -> None:
        """Gives the image that was sent its name. Raises RegistryError."""
        root = self._bundle.root
        await self._registries.push_manifest(self.goal, self._bundle.documents[root.digest], root.media_type)

    async def _push_blobs(self) -> None:
        import trio

        limit = trio.CapacityLimiter(_AT_ONCE)
        try:
            async with trio.open_nursery() as nursery:
                for layer in self._bundle.layers:
                    nursery.start_soon(self._push_layer, layer, limit)
                for blob in self._bundle.small_blobs:
                    nursery.start_soon(self._push_small, blob, limit)
        except BaseExceptionGroup as group:
            raise first_error(group) from None

    async def _push_layer(self, layer: ExportedLayer, limit: trio.CapacityLimiter) -> None:
        part = f"pushing layer {layer.blob.digest[7:19]}"
        async with limit:
            await push_layer(self.goal, LayerBlob(layer.blob, layer.origin), part, self._context, self._registries)

    async def _push_small(self, blob: oci.Descriptor, limit: trio.CapacityLimiter) -> None:
        data = self._bundle.documents[blob.digest]
        async with limit:
            await self._registries.push_blob(self.goal, blob, lambda: BytesIO(data))

    async def _push_manifests(self, bare: Reference) -> None:
        done: set[Digest] = {self._bundle.root.digest}
        for manifest in self._bundle.manifests:
            if manifest.digest not in done:
                done.add(manifest.digest)
                data = self._bundle.documents[manifest.digest]
                await self._registries.push_manifest(bare.at(manifest.digest), data, manifest.media_type)
