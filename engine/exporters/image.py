"""Images into registries: `type=image` and `type=registry`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Self

from engine import oci
from engine.errors import ExportError
from engine.exporters.attributes import IMAGE_KEYS, ImageOptions, check_known, flag, image_options
from engine.exporters.contract import Export, ExportResult, TargetImage
from engine.exporters.image_bundle import ImageBundle, make_bundle
from engine.exporters.layers import ExportedLayer, bring, first_error
from engine.registry.reference import Reference, parse
from engine.sources.layers import LAYOUT_ORIGIN, LayerBlob

if TYPE_CHECKING:
    import trio

    from engine.exporters.context import ExportContext
    from engine.registry.client import Registries

_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class ImageExporter:
    """Makes an image, and pushes it under its names if wanted. Without `push` it is only kept in the blob store."""

    options: ImageOptions
    names: tuple[Reference, ...]
    push: bool
    by_digest: bool
    insecure: bool

    @classmethod
    def of(cls, export: Export) -> Self:
        """Raises ExportError, SourceError for a name that is none."""
        check_known(export, (*IMAGE_KEYS, "push", "push-by-digest", "registry.insecure"), annotations=True)
        options, attributes = image_options(export), export.attributes
        by_digest = flag(attributes, "push-by-digest")
        push = flag(attributes, "push", default=export.type == "registry") or by_digest
        if push and not options.names:
            raise ExportError("an image cannot be pushed without a name", hint="set tags, or name=REFERENCE")
        names = tuple(parse(name) for name in options.names)
        if by_digest and any(":" in name.rpartition("/")[2] for name in options.names):
            raise ExportError(
                "an image that is pushed by digest cannot have a tag", hint="leave the tag out of its name"
            )
        return cls(options, names, push, by_digest, flag(attributes, "registry.insecure"))

    @property
    def title(self) -> str:
        """What progress shows."""
        return "exporting to image"

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Makes the image and pushes it."""
        bundle = await make_bundle(target, self.options, context)
        if self.push:
            async with self._registries(context) as registries:
                for name in self.names:
                    await _Push(name, bundle, context, registries).run(by_digest=self.by_digest)
        names = {"image.name": ",".join(self.options.names)} if self.names else {}
        return ExportResult(bundle.metadata() | names)

    @asynccontextmanager
    async def _registries(self, context: ExportContext) -> AsyncIterator[Registries]:
        if not self.insecure:
            yield context.registries
            return
        from engine.registry.client import Registries
        from engine.registry.settings import load_settings

        settings = load_settings(os.environ)
        hosts = dict(settings.hosts)
        for name in self.names:
            hosts[name.domain] = replace(settings.of(name.domain), insecure=True)
        async with Registries(replace(settings, hosts=hosts)) as registries:
            yield registries


class _NotHere(Exception):
    """The registry wants the bytes of a blob that has not been fetched."""


class _Push:
    """One image to one name: all blobs at once, then the manifests, each after what it refers to."""

    def __init__(self, name: Reference, bundle: ImageBundle, context: ExportContext, registries: Registries) -> None:
        self._name = name
        self._bundle = bundle
        self._context = context
        self._registries = registries

    async def run(self, *, by_digest: bool) -> None:
        import trio

        limit = trio.CapacityLimiter(_AT_ONCE)
        try:
            async with trio.open_nursery() as nursery:
                for layer in self._bundle.layers:
                    nursery.start_soon(self._push_layer, layer, limit)
                for config in {image.config.digest: image.config for image in self._bundle.images}.values():
                    nursery.start_soon(self._push_config, config, limit)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        await self._push_manifests(by_digest=by_digest)

    async def _push_layer(self, layer: ExportedLayer, limit: trio.CapacityLimiter) -> None:
        blob = layer.blob
        part = f"pushing layer {blob.digest[7:19]}"
        from_registry = layer.origin and not layer.origin.startswith(LAYOUT_ORIGIN)

        def content() -> BinaryIO:
            if not self._context.blobs.has(blob.digest):
                raise _NotHere
            return self._context.blobs.path(blob.digest).open("rb")

        async def push() -> None:
            await self._registries.push_blob(
                self._name,
                blob,
                content,
                mount_from=layer.origin if from_registry else None,
                sent=lambda count: self._context.progress(part, count, blob.size, False),
            )

        async with limit:
            try:
                await push()
            except _NotHere:
                await bring(self._context, LayerBlob(blob, layer.origin))
                await push()
        self._context.progress(part, blob.size, blob.size, True)

    async def _push_config(self, config: oci.Descriptor, limit: trio.CapacityLimiter) -> None:
        data = self._bundle.documents[config.digest]
        async with limit:
            await self._registries.push_blob(self._name, config, lambda: BytesIO(data))

    async def _push_manifests(self, *, by_digest: bool) -> None:
        part = f"pushing manifest for {self._name.name}@{self._bundle.root.digest}"
        self._context.progress(part, 0, 0, False)
        bare = replace(self._name, tag="", digest=None)
        for image in self._bundle.images:
            if image.descriptor.digest != self._bundle.root.digest:
                await self._push_manifest(bare.at(image.descriptor.digest), image.descriptor)
        root = self._bundle.root
        await self._push_manifest(bare.at(root.digest) if by_digest else self._name, root)
        self._context.progress(part, 0, 0, True)

    async def _push_manifest(self, name: Reference, manifest: oci.Descriptor) -> None:
        await self._registries.push_manifest(name, self._bundle.documents[manifest.digest], manifest.media_type)
