"""An image with everything below its name: its platforms, their configs and layers, and what is attached to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine import oci, platforms
from engine.attestations.statement import PREDICATE_TYPE, REFERENCE_DIGEST
from engine.errors import SourceError
from engine.imagetools.place import Place
from engine.llb.ops import Platform
from engine.sources.found_image import too_many
from engine.values import frozen


@frozen
class InspectedImage:
    """One platform's image. `attestations` are the types of what is said about it."""

    descriptor: oci.Descriptor
    platform: Platform
    manifest: oci.Manifest
    config: oci.ImageConfig
    attestations: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its layers and config, as they are packed."""
        return self.manifest.config.size + sum(layer.size for layer in self.manifest.layers)


@frozen
class Inspected:
    """What a name means: an index of images, or one alone."""

    name: str
    root: oci.Descriptor
    images: tuple[InspectedImage, ...]
    annotations: dict[str, str]

    def choose(self, platform: Platform | None) -> InspectedImage:
        """The image for a platform, or for this machine's; a lone one in any case. Raises SourceError."""
        if len(self.images) == 1 and platform is None:
            return self.images[0]
        wanted = platform or platforms.host()
        number = platforms.choose(wanted, [image.platform for image in self.images])
        if number is None:
            there = ", ".join(platforms.format(image.platform) for image in self.images) or "none"
            raise SourceError(
                f"{self.name} has no image for {platforms.format(wanted)}", hint=f"it has: {there}; choose --platform"
            )
        return self.images[number]


async def inspect(place: Place) -> Inspected:
    """Reads all documents of an image, no layer.

    Raises:
        SourceError: if something cannot be had, or makes no sense.
    """
    root = await place.root()
    manifests = await leaves(place, root)
    said: dict[str, list[str]] = {}
    images: list[tuple[oci.Descriptor, oci.Manifest, oci.ImageConfig]] = []
    for descriptor, manifest in manifests:
        if descriptor.is_attestation:
            about = descriptor.annotations.get(REFERENCE_DIGEST, "")
            said.setdefault(about, []).extend(layer.annotations.get(PREDICATE_TYPE, "") for layer in manifest.layers)
        elif manifest.config.media_type in oci.CONFIG_TYPES:
            images.append((descriptor, manifest, oci.parse_config(await place.config(manifest.config))))
    top = oci.parse_document(await place.document(root.digest, root.media_type), root.media_type)
    return Inspected(
        place.name,
        root,
        tuple(
            InspectedImage(
                descriptor,
                platforms.normalize(descriptor.platform or oci.config_platform(config)),
                manifest,
                config,
                tuple(said.get(descriptor.digest, ())),
            )
            for descriptor, manifest, config in images
        ),
        dict(top.annotations),
    )


async def leaves(place: Place, root: oci.Descriptor) -> list[tuple[oci.Descriptor, oci.Manifest]]:
    """All manifests below a document, in order. Raises SourceError."""
    found: list[tuple[oci.Descriptor, oci.Manifest]] = []
    waiting = [(root, 0)]
    looked = 0
    while waiting:
        descriptor, depth = waiting.pop()
        looked += 1
        if looked > oci.MAX_DOCUMENTS or depth > oci.MAX_DEPTH:
            raise too_many(place.name)
        data = await place.document(descriptor.digest, descriptor.media_type)
        document = oci.parse_document(data, descriptor.media_type)
        if isinstance(document, oci.Manifest):
            found.append((descriptor, document))
        else:
            inside = [item for item in document.manifests if item.is_manifest or item.is_index]
            waiting += [(item, depth + 1) for item in reversed(inside)]
    return found


def as_json(found: Inspected) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "name": found.name,
        "mediaType": found.root.media_type,
        "digest": found.root.digest,
        "annotations": found.annotations,
        "images": [_image_json(image) for image in found.images],
    }


def _image_json(image: InspectedImage) -> dict[str, Any]:
    return {
        "platform": platforms.format(image.platform),
        "digest": image.descriptor.digest,
        "size": image.size,
        "annotations": dict(image.manifest.annotations),
        "config": image.config,
        "layers": [oci.descriptor_fields(layer) for layer in image.manifest.layers],
        "attestations": list(image.attestations),
    }


def lines(found: Inspected) -> Iterator[tuple[str, str]]:
    """What a person wants to know first, as pairs of a word and a text."""
    yield "Name", found.name
    yield "Digest", found.root.digest
    yield "Type", found.root.media_type
    for image in found.images:
        settings = image.config.get("config") or {}
        yield "", ""
        yield "Platform", platforms.format(image.platform)
        yield "  Manifest", image.descriptor.digest
        yield "  Config", image.manifest.config.digest
        yield "  Created", str(image.config.get("created") or "")
        yield "  Layers", f"{len(image.manifest.layers)}"
        yield "  Size", f"{image.size}"
        for word, key in (("Entrypoint", "Entrypoint"), ("Command", "Cmd")):
            if isinstance(settings.get(key), list):
                yield f"  {word}", " ".join(map(str, settings[key]))
        if image.attestations:
            yield "  Attestations", ", ".join(image.attestations)
