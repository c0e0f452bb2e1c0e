"""A cache that somebody exported of a graph of numbers, in the form in which real ones are looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.cache.records import Record
from engine.cache.remote.chains import Chains, Item, Link, Remote, content_record, output_key
from engine.cache.remote.matching import Matcher
from engine.digests import Digest, sha256
from engine.exporters.gotime import nanoseconds
from engine.llb.definition import Edge, Vertex, walk
from engine.solver.keys import DefinitionKeys, Facts
from support.arithmetic import Arithmetic, Graph, snapshot

_TIME = "2020-01-01T00:00:00.{:09}Z"
"""Here a result is no layers, but a time: as many nanoseconds as its number."""


class SharedNumbers:
    """An importer. `export` adds what a graph comes to now; results are left out where `kept` says so."""

    def __init__(self) -> None:
        self._chains = Chains()
        self._matcher = Matcher(self._chains)
        self._facts: Facts | None = None

    def export(self, graph: Graph, roots: Sequence[Edge], kept: Callable[[Vertex], bool]) -> None:
        """As an export of a build that made everything does it: every key, the results of some."""
        numbers: dict[Digest, int] = {}
        items: dict[Digest, Item] = {}
        for vertex in walk(graph.vertices, roots):
            if vertex.op.source is not None:
                name = vertex.op.source.identifier.removeprefix("number://")
                numbers[vertex.digest] = graph.values[name]
                key = sha256(f"{name}={graph.values[name]}".encode())
                items[vertex.digest] = self._chains.add(output_key(key, 0), ())
                continue
            numbers[vertex.digest] = sum(numbers[edge.vertex] for edge in vertex.inputs)
            links = [[Link(items[edge.vertex])] for edge in vertex.inputs]
            if vertex.digest in graph.by_content:
                for edge, alternatives in zip(vertex.inputs, links, strict=True):
                    alternatives.append(Link(self._content(numbers[edge.vertex])))
            results = [Remote((), _TIME.format(numbers[vertex.digest]))] if kept(vertex) else []
            digest = output_key(Arithmetic(graph).cache_map(vertex).digest, 0)
            items[vertex.digest] = self._chains.add(digest, links, results)

    def _content(self, number: int) -> Item:
        return self._chains.add(content_record(sha256(str(number).encode())), ())

    async def known(self, vertices: Sequence[Vertex], facts: Facts, keys: DefinitionKeys) -> Mapping[str, Record]:
        self._matcher, self._facts = Matcher(self._chains), facts
        self._matcher.match(vertices, facts, keys)
        found = {keys.keys[v.digest]: self._record(v) for v in vertices if not v.op.source and v.digest in keys.keys}
        return {key: record for key, record in found.items() if record is not None}

    def leads(self, vertex: Vertex, position: int) -> bool:
        return self._facts is not None and self._matcher.leads(vertex, position, self._facts)

    async def by_content(self, vertex: Vertex, checksums: Sequence[Digest | None]) -> Record | None:
        assert self._facts is not None
        self._matcher.match_op(vertex, self._facts, checksums)
        return self._record(vertex)

    def _record(self, vertex: Vertex) -> Record | None:
        remotes = self._matcher.results(vertex)
        if remotes is None:
            return None
        number = nanoseconds(remotes[0].created) % 10**9
        return Record((snapshot(number),), f"imported {number}")


class Eager(SharedNumbers):
    """The same cache for a solver that is to make all inputs of a step at once."""

    def __init__(self, shared: SharedNumbers) -> None:
        super().__init__()
        self._chains = shared._chains

    def leads(self, vertex: Vertex, position: int) -> bool:
        return False
