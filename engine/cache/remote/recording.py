"""A graph with what is known of it as cache keys for others: the way back from `matching`.

Every op vertex becomes an item for each of its outputs, with alternatives for its inputs: what made them and, where
only content counts, that. What hangs on a local folder as a whole has no key that would mean anything elsewhere, and
nor has what is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.cache.export_policy import ExportPolicy
from engine.cache.records import Record, RecordStore
from engine.cache.remote.chains import Chains, Item, Link, Remote, content_record, output_key
from engine.cache.remote.matching import outputs, ways
from engine.digests import Digest
from engine.exporters.gotime import format_time
from engine.llb.definition import Edge, Vertex, walk
from engine.ops.contract import Dependency, Selection
from engine.results import LayerID, LocalTree, Snapshot
from engine.values import frozen

if TYPE_CHECKING:
    from engine.solver.keys import DefinitionKeys, Facts
    from engine.state import State

Checksum = Callable[[Snapshot, Sequence[Selection]], Digest | None]
"""The checksum of a part of a snapshot where it is known already."""


@frozen
class Solved:
    """A graph that has been solved, with what the solver knew of it."""

    vertices: Mapping[Digest, Vertex]
    facts: Facts
    keys: DefinitionKeys


@frozen
class _Known:
    record: Record
    created: str


class Recording:
    """The keys and results of what some edges need."""

    def __init__(self, solved: Solved, roots: Iterable[Edge], state: State, checksum: Checksum) -> None:
        self._solved = solved
        self.roots = list(roots)
        self._state = state
        self._checksum = checksum
        self._order = list(walk(solved.vertices, self.roots))
        self._known = self._records()

    def _records(self) -> dict[Digest, _Known]:
        keys = {v.digest: key for v in self._order if (key := self._solved.keys.save.get(v.digest)) and not v.op.source}
        records = RecordStore(self._state).find(keys.values())
        created = _created(self._state, records)
        return {
            digest: _Known(records[key], format_time(created.get(key, 0.0)))
            for digest, key in keys.items()
            if key in records
        }

    def final_layers(self) -> set[LayerID]:
        """The layers of the results themselves: all that a cache of mode `min` holds."""
        return {layer for edge in self.roots if (s := self._snapshot(edge)) for layer in s.layers}

    def results(self, policy: ExportPolicy, within: set[LayerID] | None = None) -> dict[Edge, Snapshot]:
        """The results that are to be exported; `within`: only those made of these layers alone."""
        found: dict[Edge, Snapshot] = {}
        for vertex in self._order:
            known = self._known.get(vertex.digest)
            if known is None or vertex.note.export_cache is False or not vertex.inputs:
                continue  # what is made of nothing (a heredoc's file) is not worth a layer: the peer leaves it out, too
            if not policy.exports(vertex.name, known.record.seconds):
                continue
            for index, snapshot in enumerate(known.record.results):
                if snapshot and snapshot.layers and (within is None or within.issuperset(snapshot.layers)):
                    found[Edge(vertex.digest, index)] = snapshot
        return found

    def add_to(self, chains: Chains, remotes: Mapping[Edge, Remote]) -> None:
        """Adds all keys to a graph of keys, and those results that are given."""
        items: dict[Edge, list[Item]] = {}
        for vertex in self._order:
            if vertex.op.source is not None:
                resolved = self._solved.facts.resolved.get(vertex.digest)
                keys = resolved.keys if resolved else ()
                items[Edge(vertex.digest)] = [chains.add(output_key(key, 0), ()) for key in keys]
            elif vertex.digest in self._solved.facts.cache_maps:
                self._add_op(vertex, chains, items, remotes)

    def _add_op(
        self, vertex: Vertex, chains: Chains, items: dict[Edge, list[Item]], remotes: Mapping[Edge, Remote]
    ) -> None:
        inputs: list[list[Link]] = []
        for edge, dependency in ways(vertex, self._solved.facts):
            links = [Link(item, dependency.selector or "") for item in items.get(edge, ())]
            content = self._content(edge, dependency)
            if content is not None:
                links.append(Link(chains.add(content_record(content), ())))
            if not links:
                return
            inputs.append(links)
        op = self._solved.facts.cache_maps[vertex.digest].digest
        for index in range(outputs(vertex)):
            edge = Edge(vertex.digest, index)
            results = [remotes[edge]] if edge in remotes else []
            items[edge] = [chains.add(output_key(op, index), inputs, results)]

    def _content(self, edge: Edge, dependency: Dependency) -> Digest | None:
        if dependency.content is None:
            return None
        resolved = self._solved.facts.resolved.get(edge.vertex)
        if resolved is not None and isinstance(resolved.result, LocalTree):
            checksum = self._solved.facts.checksums.get((resolved.result, dependency.content))
            return checksum if isinstance(checksum, str) else None
        snapshot = self._snapshot(edge)
        return None if snapshot is None else self._checksum(snapshot, dependency.content)

    def _snapshot(self, edge: Edge) -> Snapshot | None:
        """The result behind an edge, where it is known."""
        resolved = self._solved.facts.resolved.get(edge.vertex)
        if resolved is not None:
            return resolved.result if isinstance(resolved.result, Snapshot) else None
        known = self._known.get(edge.vertex)
        if known is None or edge.index >= len(known.record.results):
            return None
        return known.record.results[edge.index] or Snapshot()

    def created(self, edge: Edge) -> str:
        """When a result was made (RFC 3339)."""
        return self._known[edge.vertex].created


def _created(state: State, keys: Iterable[str]) -> dict[str, float]:
    """When records were written, by key, in seconds since the epoch."""
    wanted = list(keys)
    found: dict[str, float] = {}
    for at in range(0, len(wanted), 500):
        part = wanted[at : at + 500]
        marks = ",".join("?" * len(part))
        found.update(state.query(f"SELECT key, created FROM records WHERE key IN ({marks})", *part))
    return found
