"""Results out of imported caches: found by key, recorded as this engine's own, their layers left where they are.

Nothing of a cache is believed but what digests prove: a layer is fetched when somebody reads it, and only its blob and
its tar decide whether it is the one that was meant.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.cache.lost import IMPORTED
from engine.cache.records import Record, RecordStore
from engine.cache.remote.blobs import CacheBlob
from engine.cache.remote.chains import Chains, Remote
from engine.cache.remote.matching import Matcher
from engine.digests import Digest, sha256
from engine.llb.definition import Vertex
from engine.results import LayerID, Snapshot
from engine.sources.layers import layer_ids

if TYPE_CHECKING:
    from engine.solver.keys import DefinitionKeys, Facts
    from engine.state import State


class Imports:
    """What a build may take from imported caches. One for each solve."""

    def __init__(self, chains: Chains, state: State) -> None:
        self._matcher = Matcher(chains)
        self._state = state
        self._records = RecordStore(state)
        self._facts: Facts | None = None

    def known(self, vertices: Sequence[Vertex], facts: Facts, keys: DefinitionKeys) -> dict[str, Record]:
        """The records of vertices that are found by definition, by definition key; they are kept as if made here."""
        self._facts = facts
        self._matcher.match(vertices, facts, keys)
        named = {key: vertex for vertex in vertices if (key := keys.keys.get(vertex.digest)) and not vertex.op.source}
        here = self._records.find(named)
        found: dict[str, Record] = {}
        with self._state.lease.taking(), self._state.transaction():
            for key, vertex in named.items():
                record = None if key in here else self._record(vertex)
                if record is not None:
                    found[key] = record
                    self._records.save([key], record, vertex=vertex.digest, name=vertex.name)
        return found

    def leads(self, vertex: Vertex, position: int) -> bool:
        """Whether one input of an op leads to something that is known."""
        return self._facts is not None and self._matcher.leads(vertex, position, self._facts)

    def by_content(self, vertex: Vertex, checksums: Sequence[Digest | None]) -> Record | None:
        """The record of an op whose inputs are there, found with the content that it takes from them."""
        if self._facts is None:
            return None
        self._matcher.match_op(vertex, self._facts, checksums)
        with self._state.lease.taking():
            return self._record(vertex)

    def _record(self, vertex: Vertex) -> Record | None:
        remotes = self._matcher.results(vertex)
        if remotes is None:
            return None
        snapshots = tuple(self._snapshot(remote, vertex.name) for remote in remotes)
        self._state.lease.hold(layer for snapshot in snapshots for layer in snapshot.layers)
        identity = sha256(" ".join(layer for s in snapshots for layer in (*s.layers, "")).encode())
        return Record(snapshots, f"{IMPORTED}{identity}")

    def _snapshot(self, remote: Remote, name: str) -> Snapshot:
        return Snapshot(record_remote(self._state, remote.blobs, name))


def record_remote(state: State, blobs: Sequence[CacheBlob], name: str) -> tuple[LayerID, ...]:
    """Records the layers of a result that is somewhere else, and where each can be had.

    A layer that is known already keeps the blob that it came with, for an image's manifest is better evidence than a
    cache's; but where its blob is not here, a place that has just been heard of is as good as the one known before.
    """
    ids = layer_ids([blob.diff_id for blob in blobs])
    marks = ",".join("?" * len(ids))
    formed = {
        row[0] for row in state.query(f"SELECT layer FROM layer_blobs WHERE layer IN ({marks}) AND options = ''", *ids)
    }
    now = time.time()
    new = [(layer, blob) for layer, blob in zip(ids, blobs, strict=True) if layer not in formed]
    if not new:
        return ids
    with state.transaction():
        state.write_many(
            "INSERT INTO layers (id, unpacked, diff_id, size, created, used, description) VALUES (?, 0, ?, 0, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET diff_id = excluded.diff_id",
            [
                (layer, blob.diff_id, now if blob.seconds is None else blob.seconds, now, blob.description or name)
                for layer, blob in new
            ],
        )
        state.write_many(
            "INSERT OR IGNORE INTO layer_blobs (layer, digest, media_type, size, options, origin)"
            " VALUES (?, ?, ?, ?, '', ?)",
            [
                (layer, blob.descriptor.digest, blob.descriptor.media_type, blob.descriptor.size, blob.origin)
                for layer, blob in new
            ],
        )
    return ids
