"""Where a cache is described: a manifest whose config is the cache's, an older index of blobs, or images that carry it.

All three are read (as the peer's `cache/remotecache/import.go`); the first two are written.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any, Protocol

from engine import oci
from engine.cache.remote import config as cache_config
from engine.cache.remote.blobs import CacheBlob, annotated_blob, described
from engine.cache.remote.chains import Chains
from engine.exporters.gotime import normal_time
from engine.values import frozen

INLINE_KEY = "moby.buildkit.cache.v0"
"""The key of an image config under which the image carries its cache."""
MAX_IMAGES = 200
"""Manifests of an index that are looked into at most."""


class Documents(Protocol):
    """Where manifests and configs come from. What it gives is verified by digest, but no more."""

    @property
    def origin(self) -> str:
        """Where the blobs of layers can be had, as `LayerBlob` says it."""
        ...

    async def root(self) -> tuple[oci.Descriptor, bytes]:
        """The manifest or index that is meant. Raises SourceError."""
        ...

    async def manifest(self, descriptor: oci.Descriptor) -> bytes:
        """A manifest that an index names. Raises SourceError."""
        ...

    async def blob(self, descriptor: oci.Descriptor, limit: int) -> bytes:
        """A config of at most `limit` bytes. Raises SourceError."""
        ...


async def read_cache(documents: Documents, chains: Chains) -> int:
    """Adds what a cache knows to `chains`; the number of records that were read.

    Raises:
        SourceError: if it cannot be had, or makes no sense.
    """
    root, data = await documents.root()
    document = oci.parse_document(data, root.media_type, max_layers=oci.MAX_CACHE_LAYERS)
    described_blobs = (document.config, *document.layers) if isinstance(document, oci.Manifest) else document.manifests
    config = next((item for item in described_blobs if item.media_type == cache_config.MEDIA_TYPE), None)
    if config is None:
        return await _read_images(documents, document, chains)
    parsed = cache_config.parse_config(await documents.blob(config, cache_config.MAX_CONFIG))
    blobs = [blob for item in described_blobs if (blob := annotated_blob(item, documents.origin))]
    chains.add_config(parsed, {blob.descriptor.digest: blob for blob in blobs})
    return len(parsed.records)


async def _read_images(documents: Documents, top: oci.Manifest | oci.Index, chains: Chains) -> int:
    """The caches that images carry: those of an index, and of the indexes in it."""
    count = manifests = 0
    level: list[oci.Manifest | oci.Index] = [top]
    for _ in range(oci.MAX_DEPTH):
        below: list[oci.Manifest | oci.Index] = []
        for document in level:
            if isinstance(document, oci.Manifest):
                count += await _read_image(documents, document, chains)
                continue
            for item in document.manifests:
                manifests += 1
                if (item.is_index or item.is_manifest) and not item.is_attestation and manifests <= MAX_IMAGES:
                    below.append(oci.parse_document(await documents.manifest(item), item.media_type))
        level = below
    return count


async def _read_image(documents: Documents, image: oci.Manifest, chains: Chains) -> int:
    if not image.layers:
        return 0
    config = oci.parse_config(await documents.blob(image.config, oci.MAX_CONFIG))
    records = config.get(INLINE_KEY)
    diff_ids = oci.diff_ids(config)
    if not records or len(diff_ids) != len(image.layers):
        return 0
    try:
        data = base64.b64decode(records, validate=True)
    except (ValueError, TypeError, binascii.Error) as error:
        raise cache_config.MalformedCache(f"the cache in the image's config is malformed: {error}") from error
    blobs = [
        CacheBlob(replace(layer, annotations={}, platform=None), diff_id, documents.origin, *note)
        for layer, diff_id, note in zip(image.layers, diff_ids, _notes(config, len(diff_ids)), strict=True)
    ]
    parsed = cache_config.parse_inline(data, [layer.digest for layer in image.layers])
    chains.add_config(parsed, {blob.descriptor.digest: blob for blob in blobs})
    return len(parsed.records)


def _notes(config: oci.ImageConfig, count: int) -> list[tuple[str, str]]:
    """When each layer of an image was made and what made it, as its history says."""
    history = [item for item in config.get("history") or [] if isinstance(item, dict) and not item.get("empty_layer")]
    notes = [(_time(item.get("created")), str(item.get("created_by") or "")) for item in history]
    return (notes + [("", "")] * count)[:count]


def _time(value: Any) -> str:
    try:
        return normal_time(value)
    except (ValueError, TypeError):
        return ""


# ---------------------------------------------------------------- writing


@frozen
class CacheImage:
    """A cache ready to be written: the blobs of its layers, its config, its manifest."""

    blobs: tuple[CacheBlob, ...]
    config: bytes
    manifest: bytes
    descriptor: oci.Descriptor
    """Names the manifest."""

    @property
    def config_descriptor(self) -> oci.Descriptor:
        """Names the config."""
        return oci.describe(self.config, cache_config.MEDIA_TYPE)


def make_image(chains: Chains, *, image_manifest: bool, oci_types: bool) -> CacheImage | None:
    """The manifest and config of a cache; None if there is no layer in it.

    `image_manifest`: as an image's manifest, which every registry takes; else as an index of blobs, the older form.
    """
    config, blobs = chains.config()
    blobs += chains.mounts.values()
    if not blobs:
        return None
    data = cache_config.config_bytes(config)
    descriptors = [described(blob, oci_types=oci_types or image_manifest) for blob in blobs]
    about = oci.describe(data, cache_config.MEDIA_TYPE)
    if image_manifest:
        kind = oci.OCI_MANIFEST
        fields: dict[str, Any] = {"config": oci.descriptor_fields(about)}
        fields["layers"] = [oci.descriptor_fields(item) for item in descriptors]
    else:
        kind = oci.OCI_INDEX if oci_types else oci.DOCKER_INDEX
        fields = {"manifests": [oci.descriptor_fields(item) for item in (*descriptors, about)]}
    manifest = oci.go_json({"schemaVersion": 2, "mediaType": kind, **fields})
    distinct = tuple({blob.descriptor.digest: blob for blob in blobs}.values())
    return CacheImage(distinct, data, manifest, oci.describe(manifest, kind))


def cache_metadata(image: CacheImage) -> dict[str, str]:
    """What the build's metadata say of an exported cache."""
    return {"cache.manifest": oci.go_json(oci.descriptor_fields(image.descriptor)).decode()}
