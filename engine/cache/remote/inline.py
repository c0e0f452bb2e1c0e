"""The cache that an image carries in its own config: `type=inline`. Only what lies in the image's layers is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine import oci
from engine.cache.export_policy import ExportPolicy
from engine.cache.remote.blobs import CacheBlob
from engine.cache.remote.chains import Chains, Remote
from engine.cache.remote.config import CacheConfig, CacheLayer, CacheResult, inline_bytes
from engine.cache.remote.recording import Recording
from engine.digests import sha256
from engine.results import LayerID, Snapshot


def inline_cache(recording: Recording, image: Snapshot, policy: ExportPolicy) -> bytes | None:
    """The records for an image's config; None if nothing of the image's layers is known by a key."""
    stand_ins = [_stand_in(number) for number in range(len(image.layers))]
    chains = Chains()
    remotes = {
        edge: Remote(tuple(stand_ins[number] for number in _positions(snapshot, image)), recording.created(edge))
        for edge, snapshot in recording.results(policy, set(image.layers)).items()
    }
    recording.add_to(chains, remotes)
    config, blobs = chains.config()
    if not blobs:
        return None
    return inline_bytes(_by_position(config, [stand_ins.index(blob) for blob in blobs], stand_ins))


def _positions(snapshot: Snapshot, image: Snapshot) -> Sequence[int]:
    """Where the layers of a result are in the image."""
    if image.layers[: len(snapshot.layers)] == snapshot.layers:
        return range(len(snapshot.layers))
    places: dict[LayerID, int] = {layer: number for number, layer in enumerate(image.layers)}
    return [places[layer] for layer in snapshot.layers]


def _stand_in(number: int) -> CacheBlob:
    """A layer that is known by its position alone: which blob it becomes is the exporter's business."""
    digest = sha256(str(number).encode())
    return CacheBlob(oci.Descriptor(oci.OCI_LAYER, digest, 0), digest)


def _by_position(config: CacheConfig, places: Sequence[int], stand_ins: Sequence[CacheBlob]) -> CacheConfig:
    layers = tuple(CacheLayer(blob.diff_id, number - 1) for number, blob in enumerate(stand_ins))
    records = tuple(
        replace(
            record,
            results=tuple(CacheResult(tuple(places[n] for n in r.layers), r.created) for r in record.results),
        )
        for record in config.records
    )
    return CacheConfig(layers, records)
