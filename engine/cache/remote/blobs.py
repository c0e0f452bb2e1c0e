"""Layers' blobs in caches: what a manifest or config says of them, and what the house is told."""

from __future__ import annotations

from dataclasses import replace

from engine import oci
from engine.cache.remote.config import NO_TIME, LayerFacts
from engine.digests import Digest, parse_digest
from engine.exporters.gotime import nanoseconds
from engine.exporters.layers import ExportedLayer, with_types
from engine.values import frozen

DIFF_ID = "containerd.io/uncompressed"
CREATED = "buildkit/createdat"
DESCRIPTION = "buildkit/description"
_LONGEST = 1000
"""Characters of a description that are taken from elsewhere; nothing in it may speak to a terminal."""


@frozen
class CacheBlob:
    """A layer's blob, its tar's digest, where it can be had (as `LayerBlob`), when it was made and what made it."""

    descriptor: oci.Descriptor
    diff_id: Digest
    origin: str = ""
    created: str = ""
    description: str = ""

    @property
    def seconds(self) -> float | None:
        """When it was made, in seconds since the epoch; None where nobody says."""
        try:
            return max(0, nanoseconds(self.created)) / 1e9
        except ValueError:
            return None


def annotated_blob(descriptor: oci.Descriptor, origin: str) -> CacheBlob | None:
    """The blob of a layer in a cache's manifest; None if it is no layer, or nobody says what it is unpacked."""
    notes = descriptor.annotations
    if descriptor.media_type not in oci.LAYER_TYPES:
        return None
    try:
        diff_id = parse_digest(notes.get(DIFF_ID, ""))
    except ValueError:
        return None
    bare = replace(descriptor, annotations={}, platform=None, data=None, urls=())
    description = "".join(c for c in notes.get(DESCRIPTION, "")[:_LONGEST] if c.isprintable())
    return CacheBlob(bare, diff_id, origin, notes.get(CREATED, ""), description)


def exported_blob(layer: ExportedLayer, created: str) -> CacheBlob:
    """The blob of a layer that was made for export, or that is passed on as it came."""
    return CacheBlob(with_types(layer.blob, oci_types=True), layer.diff_id, layer.origin, created, layer.description)


def facts_of(blob: CacheBlob) -> LayerFacts:
    """What a config says of a blob."""
    found = blob.descriptor
    return LayerFacts(found.media_type, blob.diff_id, found.size, blob.created or NO_TIME)


def blob_of(digest: Digest, facts: LayerFacts, origin: str) -> CacheBlob:
    """The blob that a config tells about."""
    created = "" if facts.created == NO_TIME else facts.created
    return CacheBlob(oci.Descriptor(facts.media_type, digest, facts.size), facts.diff_id, origin, created)


def described(blob: CacheBlob, *, oci_types: bool = True) -> oci.Descriptor:
    """A blob's descriptor as a cache's manifest has it."""
    notes = {CREATED: blob.created, DESCRIPTION: blob.description, DIFF_ID: blob.diff_id}
    bare = with_types(blob.descriptor, oci_types=oci_types)
    return replace(bare, annotations={key: value for key, value in notes.items() if value})
