"""Images into registries: `type=image` and `type=registry`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from engine.errors import ExportError
from engine.exporters.attributes import IMAGE_KEYS, ImageOptions, check_known, flag, image_options
from engine.exporters.contract import Evidence, Export, ExportResult, Kind, TargetImage
from engine.exporters.image_bundle import ImageBundle, make_bundle
from engine.exporters.push import Push, registries_for
from engine.registry.reference import Reference, parse
from engine.values import frozen

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext


@frozen
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
        if not self.push:
            bundle = await make_bundle(target, self.options, context)
        else:
            from engine.exporters.early import EarlyUpload

            async with registries_for(context, self.names, insecure=self.insecure) as registries:
                sending = replace(context, early=EarlyUpload(self.names[0], registries))
                bundle = await make_bundle(target, self.options, sending)
                for name in self.names:
                    await Push(name, bundle, context, registries).run(by_digest=self.by_digest)
        names = {"image.name": ",".join(self.options.names)} if self.names else {}
        return ExportResult(bundle.metadata() | names, bundle.size, tuple(self._evidence(bundle)))

    def _evidence(self, bundle: ImageBundle) -> list[Evidence]:
        if not self.push:
            made = [layer.blob.digest for layer in bundle.layers if not layer.origin]
            return [Evidence(Kind.BLOB, digest, "") for digest in (*bundle.documents, *made)]
        kind = Kind.PUSHED_INSECURE if self.insecure else Kind.PUSHED
        root = bundle.root.digest
        goals = [replace(name, tag="", digest=root) if self.by_digest else name for name in self.names]
        return [Evidence(kind, str(goal), root) for goal in goals]
