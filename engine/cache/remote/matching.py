"""Finds the vertices of a graph among imported cache keys, by arithmetic alone (buildkit.md §3, "Key algebra").

A source is known by its own keys, an op by its digest and by what its inputs were found as; where it takes content from
an input, the content's checksum will do, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from engine.cache.remote.chains import Chains, Item, Link, Remote, content_record, newest, output_key
from engine.digests import Digest
from engine.llb.definition import Edge, Vertex
from engine.ops.contract import Dependency
from engine.results import LocalTree

if TYPE_CHECKING:
    from engine.solver.keys import DefinitionKeys, Facts

MAX_OUTPUTS = 100
"""Outputs of an op that are looked up at most; an op that says it has more is not looked up at all."""


class Matcher:
    """What the outputs of vertices were found as."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._found: dict[Edge, list[Item]] = {}

    def match(self, vertices: Iterable[Vertex], facts: Facts, keys: DefinitionKeys) -> None:
        """Looks up vertices, inputs first. One that is to be done anew is not looked up, nor found by what it makes."""
        for vertex in vertices:
            if vertex.op.source is not None:
                self._match_source(vertex, facts)
            elif vertex.digest in keys.keys:
                self.match_op(vertex, facts, [_local_checksum(*way, facts) for way in ways(vertex, facts)])

    def _match_source(self, vertex: Vertex, facts: Facts) -> None:
        resolved = facts.resolved.get(vertex.digest)
        for key in resolved.keys if resolved else ():
            item = self._chains.root(output_key(key, 0))
            if item is not None:
                self._found.setdefault(Edge(vertex.digest), []).append(item)

    def match_op(self, vertex: Vertex, facts: Facts, checksums: Sequence[Digest | None]) -> None:
        """Looks up one op vertex. `checksums` are those of the content that it takes from its inputs, where known."""
        inputs = [
            [*self._as_input(edge, dependency), *self._as_content(checksum if dependency.content else None)]
            for (edge, dependency), checksum in zip(ways(vertex, facts), checksums, strict=True)
        ]
        op = facts.cache_maps[vertex.digest].digest
        for index in range(outputs(vertex)):
            digest = output_key(op, index)
            if inputs:
                found = self._chains.find(digest, inputs)
            else:
                root = self._chains.root(digest)
                found = [] if root is None else [root]
            known = self._found.setdefault(Edge(vertex.digest, index), [])
            known += [item for item in found if item not in known]

    def leads(self, vertex: Vertex, position: int, facts: Facts) -> bool:
        """Whether something known is made as a vertex is, as far as the vertex itself and this input go."""
        edge, dependency = ways(vertex, facts)[position]
        digest = output_key(facts.cache_maps[vertex.digest].digest, 0)
        return any(
            link.item.children.get((position, link.selector, digest)) for link in self._as_input(edge, dependency)
        )

    def _as_input(self, edge: Edge, dependency: Dependency) -> list[Link]:
        return [Link(item, dependency.selector or "") for item in self._found.get(edge, ())]

    def _as_content(self, checksum: Digest | None) -> list[Link]:
        item = self._chains.root(content_record(checksum)) if checksum else None
        return [] if item is None else [Link(item)]

    def results(self, vertex: Vertex) -> list[Remote] | None:
        """The results of all outputs of a vertex; None unless all are known."""
        found = [self._best(Edge(vertex.digest, index)) for index in range(outputs(vertex))]
        return None if not found or None in found else [remote for remote in found if remote]

    def _best(self, edge: Edge) -> Remote | None:
        return newest(result for item in self._found.get(edge, ()) for result in item.results)


def ways(vertex: Vertex, facts: Facts) -> list[tuple[Edge, Dependency]]:
    """The inputs of an op vertex with how each counts."""
    cache_map = facts.cache_maps[vertex.digest]
    plain = (Dependency(),) * (len(vertex.inputs) - len(cache_map.dependencies))
    return list(zip(vertex.inputs, cache_map.dependencies + plain, strict=True))


def _local_checksum(edge: Edge, dependency: Dependency, facts: Facts) -> Digest | None:
    """The checksum of what an op takes from a folder of this machine."""
    resolved = facts.resolved.get(edge.vertex)
    if resolved is None or not isinstance(resolved.result, LocalTree) or dependency.content is None:
        return None
    checksum = facts.checksums.get((resolved.result, dependency.content))
    return checksum if isinstance(checksum, str) else None


def outputs(vertex: Vertex) -> int:
    """How many outputs an op has."""
    op = vertex.op
    if op.exec is not None:
        count = 1 + max((mount.output for mount in op.exec.mounts), default=-1)
    elif op.file is not None:
        count = 1 + max((action.output for action in op.file.actions), default=-1)
    else:
        count = len(op.passthrough.outputs) if op.passthrough is not None else 1
    return count if count <= MAX_OUTPUTS else 0
