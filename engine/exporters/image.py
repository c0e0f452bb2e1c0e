"""Images into registries: `type=image` and `type=registry`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
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
    from engine.registry.client import Registries

_KEYS = ("push", "push-by-digest", "registry.insecure", "dangling-name-prefix", "danging-name-empty-only")


@frozen
class ImageExporter:
    """Makes an image, and pushes it under its names if wanted. Without `push` it is only kept in the blob store."""

    options: ImageOptions
    names: tuple[Reference, ...]
    push: bool
    by_digest: bool
    insecure: bool
    dangling: str = ""
    """The repository of one more name, `REPOSITORY@DIGEST`; empty if none is wanted."""

    @classmethod
    def of(cls, export: Export) -> Self:
        """Raises ExportError, SourceError for a name that is none."""
        check_known(export, (*IMAGE_KEYS, *_KEYS), annotations=True)
        options, attributes = image_options(export), export.attributes
        by_digest = flag(attributes, "push-by-digest")
        push = flag(attributes, "push", default=export.type == "registry")
        dangling = attributes.get("dangling-name-prefix", "")
        if options.names and flag(attributes, "danging-name-empty-only"):
            dangling = ""
        if push and not options.names and not dangling:
            raise ExportError("an image cannot be pushed without a name", hint="set tags, or name=REFERENCE")
        names = tuple(parse(name) for name in options.names)
        for name in (*(options.names if by_digest else ()), dangling):
            if ":" in name.rpartition("/")[2]:
                raise ExportError(
                    "an image that is pushed by digest cannot have a tag", hint=f"leave the tag out of {name}"
                )
        if dangling:
            parse(dangling)
        return cls(options, names, push, by_digest, flag(attributes, "registry.insecure"), dangling)

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

            repository = self.names[0] if self.names else parse(self.dangling)
            async with registries_for(context, [repository, *self.names], insecure=self.insecure) as registries:
                sending = replace(context, early=EarlyUpload(repository, registries))
                bundle = await make_bundle(target, self.options, sending)
                await self._push(bundle, context, registries)
        return ExportResult(bundle.metadata() | self._named(bundle), bundle.size, tuple(self._evidence(bundle)))

    async def _push(self, bundle: ImageBundle, context: ExportContext, registries: Registries) -> None:
        pushes = [Push(name, bundle, context, registries) for name in self._goals(bundle)]
        if context.later is None:
            for push in pushes:
                await push.run()
        else:
            unnamed = [push.goal for push in pushes if await push.send()]
            if unnamed:
                context.later.append(partial(self._give_names, unnamed, bundle, context))

    async def _give_names(self, names: Sequence[Reference], bundle: ImageBundle, context: ExportContext) -> None:
        async with registries_for(context, names, insecure=self.insecure) as registries:
            for name in names:
                await Push(name, bundle, context, registries).name()

    def _goals(self, bundle: ImageBundle) -> list[Reference]:
        """What is to name the image in its registries."""
        root = bundle.root.digest
        by_digest = [*(self.names if self.by_digest else ()), *([parse(self.dangling)] if self.dangling else ())]
        tags = () if self.by_digest else self.names
        return [*tags, *(replace(name, tag="", digest=root) for name in by_digest)]

    def _named(self, bundle: ImageBundle) -> dict[str, str]:
        names = [*self.options.names, *([f"{self.dangling}@{bundle.root.digest}"] if self.dangling else ())]
        return {"image.name": ",".join(names)} if names else {}

    def _evidence(self, bundle: ImageBundle) -> list[Evidence]:
        if not self.push:
            made = [layer.blob.digest for layer in bundle.layers if not layer.origin]
            return [Evidence(Kind.BLOB, digest, "") for digest in (*bundle.documents, *made)]
        kind = Kind.PUSHED_INSECURE if self.insecure else Kind.PUSHED
        return [Evidence(kind, str(goal), bundle.root.digest) for goal in self._goals(bundle)]
