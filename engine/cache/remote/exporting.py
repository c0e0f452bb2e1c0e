"""What a build knows, ready for a cache: keys and results as a graph, the layers packed, and what was there kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from engine.cache.export_policy import ExportPolicy
from engine.cache.remote import config as cache_config
from engine.cache.remote.attributes import ExportOptions
from engine.cache.remote.blobs import CacheBlob, exported_blob
from engine.cache.remote.chains import Chains, Remote
from engine.cache.remote.recording import Recording
from engine.exporters.gotime import format_time, nanoseconds
from engine.exporters.layers import LayerExporter
from engine.llb.definition import Edge
from engine.results import LayerID, Snapshot

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext

KEPT_FOR = 14 * 24 * 3600.0
"""Seconds for which results of other builds are kept in a cache that this build adds to."""
KEPT_LAYERS = 500
"""Layers beyond which the oldest results of other builds are dropped."""


async def collect(
    recordings: Iterable[Recording], options: ExportOptions, policy: ExportPolicy, context: ExportContext
) -> Chains:
    """The keys and results of several results' graphs as one.

    Raises:
        ExportError, SourceError, StateError: if a layer cannot be had or made.
    """
    chains = Chains()
    packed = _Packed(LayerExporter(context, options.form))
    for recording in recordings:
        within = None if options.whole else recording.final_layers()
        results = recording.results(policy, within)
        await packed.pack(results.values())
        recording.add_to(chains, packed.remotes(results, recording))
    return chains


class _Packed:
    """The blobs of layers, each made once."""

    def __init__(self, exporter: LayerExporter) -> None:
        self._exporter = exporter
        self._blobs: dict[LayerID, CacheBlob] = {}

    async def pack(self, snapshots: Iterable[Snapshot]) -> None:
        """Makes the blobs of all layers; the longest lists first, for the others are mostly part of them."""
        for snapshot in sorted(snapshots, key=lambda s: -len(s.layers)):
            if all(layer in self._blobs for layer in snapshot.layers):
                continue
            for layer in await self._exporter.export(snapshot):
                self._blobs[layer.layer] = exported_blob(layer, format_time(layer.created))

    def remotes(self, results: Mapping[Edge, Snapshot], recording: Recording) -> dict[Edge, Remote]:
        """The results as others can have them."""
        return {
            edge: Remote(tuple(self._blobs[layer] for layer in snapshot.layers), recording.created(edge))
            for edge, snapshot in results.items()
        }


def merge(mine: Chains, theirs: Chains, now: float | None = None) -> Chains:
    """What is in a cache together with what a build adds to it.

    Other builds' results stay for two weeks, as long as there are not too many and the config stays as small as
    BuildKit wants it; of one key the build's own result stays. So jobs that export to one name do not undo each other.
    """
    own = {result for item in mine for result in item.results}
    joined = Chains()
    joined.absorb(theirs)
    joined.absorb(mine)
    since = (time.time() if now is None else now) - KEPT_FOR
    for cache, blob in theirs.mounts.items():
        if cache not in mine.mounts and (blob.seconds or 0.0) < since:
            del joined.mounts[cache]
    dropped = {
        result
        for item in joined
        for result in item.results
        if result not in own and (own.intersection(item.results) or _seconds(result) < since)
    }
    others = sorted({r for item in joined for r in item.results} - own - dropped, key=_seconds, reverse=True)
    while True:
        merged = joined.without(dropped)
        if not others or _fits(merged):
            return merged
        keep = len(others) // 2
        dropped.update(others[keep:])
        others = others[:keep]


def _fits(chains: Chains) -> bool:
    config, blobs = chains.config()
    return len(blobs) <= KEPT_LAYERS and len(cache_config.config_bytes(config)) <= cache_config.PEER_LIMIT


def _seconds(result: Remote) -> float:
    return nanoseconds(result.created) / 1e9
