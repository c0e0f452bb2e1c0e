"""From the digest of an index or a manifest to one platform's image, wherever its documents are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine import oci, platforms
from engine.digests import Digest
from engine.errors import SourceError
from engine.llb.ops import Platform
from engine.values import frozen


class Documents(Protocol):
    """Where manifests and configs come from: a registry, or a layout. What they give is verified."""

    async def document(self, digest: Digest, media_type: str) -> bytes:
        """A manifest or index. Raises SourceError."""
        ...

    async def config(self, blob: oci.Descriptor) -> bytes:
        """An image config. Raises SourceError."""
        ...


@frozen
class FoundImage:
    """One platform's image. `digest` is what its name meant, `manifest_digest` that of its own manifest."""

    digest: Digest
    manifest_digest: Digest
    manifest: oci.Manifest
    config: oci.ImageConfig
    diff_ids: tuple[Digest, ...]

    @property
    def platform(self) -> Platform:
        """The platform that the image says it is for."""
        return platforms.normalize(oci.config_platform(self.config))


async def find_image(
    name: str, digest: Digest, platform: Platform, documents: Documents, media_type: str = ""
) -> FoundImage:
    """The image that `digest` means for a platform. A lone manifest is taken as it is, whatever it is for.

    Raises:
        SourceError: if there is none for this platform, or it is no image.
    """
    at = digest
    for _ in range(oci.MAX_DEPTH):
        document = oci.parse_document(await documents.document(at, media_type), media_type)
        if isinstance(document, oci.Manifest):
            return await _image(name, digest, at, document, documents)
        chosen = await _choose(name, document.manifests, platform, documents)
        at, media_type = chosen.digest, chosen.media_type
    raise too_many(name)


async def _image(name: str, digest: Digest, at: Digest, manifest: oci.Manifest, documents: Documents) -> FoundImage:
    if manifest.config.media_type not in oci.CONFIG_TYPES:
        kind = manifest.artifact_type or manifest.config.media_type
        raise SourceError(f"{name} is not an image but an artifact of type {kind}")
    config = oci.parse_config(await documents.config(manifest.config))
    diff_ids = oci.diff_ids(config)
    if len(diff_ids) != len(manifest.layers):
        raise SourceError(
            f"{name} is broken: its manifest has {len(manifest.layers)} layers, its config {len(diff_ids)}"
        )
    for layer in manifest.layers:
        if layer.media_type not in oci.LAYER_TYPES:
            raise SourceError(f"{name} has a layer of an unknown kind: {layer.media_type}")
    return FoundImage(digest, at, manifest, config, diff_ids)


async def _choose(
    name: str, offered: Sequence[oci.Descriptor], wanted: Platform, documents: Documents
) -> oci.Descriptor:
    found = await offers(name, offered, documents)
    number = platforms.choose(wanted, [platform for platform, _ in found])
    if number is None:
        there = ", ".join(sorted({platforms.format(platforms.normalize(p)) for p, _ in found if p.os})) or "none"
        raise SourceError(
            f"{name} has no image for the platform {platforms.format(wanted)}", hint=f"it has images for: {there}"
        )
    return found[number][1]


async def offers(
    name: str, entries: Sequence[oci.Descriptor], documents: Documents
) -> list[tuple[Platform, oci.Descriptor]]:
    """The images that an index offers, each with its platform: what the entry says of it, or else its config.

    Nested indexes that say no platform are looked into, as tools do that write such (`crane index append
    --flatten=false`). Entries that call themselves artifacts come last, for some of them are images nevertheless.

    Raises:
        SourceError: if a document cannot be had, or there are too many of them.
    """
    found: list[tuple[Platform, oci.Descriptor]] = []
    waiting = [(item, 1) for item in reversed(entries)]
    looked = 0
    while waiting:
        item, depth = waiting.pop()
        if item.is_attestation or not (item.is_manifest or item.is_index):
            continue
        if item.platform is not None:
            found.append((item.platform, item))
            continue
        looked += 1
        if looked > oci.MAX_DOCUMENTS or depth > oci.MAX_DEPTH:
            raise too_many(name)
        document = oci.parse_document(await documents.document(item.digest, item.media_type), item.media_type)
        if isinstance(document, oci.Index):
            waiting += [(inner, depth + 1) for inner in reversed(document.manifests)]
        elif document.config.media_type in oci.CONFIG_TYPES:
            found.append((oci.config_platform(oci.parse_config(await documents.config(document.config))), item))
    return sorted(found, key=lambda offer: offer[1].artifact_type not in ("", *oci.CONFIG_TYPES))


def too_many(name: str) -> SourceError:
    """The error about an image with more below its name than anybody would make in earnest."""
    limits = f"up to {oci.MAX_DOCUMENTS} manifests are read, in indexes up to {oci.MAX_DEPTH} deep"
    return SourceError(f"{name} has too much below it: {limits}")
