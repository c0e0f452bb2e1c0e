"""Which steps make a row: each the only one that wants the step before it, and waiting for nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property

from engine.digests import Digest
from engine.llb.definition import Edge, Vertex
from engine.results import LocalTree
from engine.solver.findings import Findings
from engine.solver.keys import dependencies
from engine.solver.plan import Prepared
from engine.solver.rows import Station
from engine.solver.services import Services
from engine.solver.slots import Slots


class Lineup:
    """Finds the rows of a plan. `is_free` says of a step that nobody has begun it, nor does the same work."""

    def __init__(
        self,
        prepared: Prepared,
        findings: Findings,
        services: Services,
        slots: Slots,
        is_free: Callable[[Vertex], bool],
    ) -> None:
        self._prepared = prepared
        self._findings = findings
        self._services = services
        self._slots = slots
        self._is_free = is_free

    def fits(self, vertex: Vertex) -> bool:
        """Whether a step may be done in a row."""
        hindered = vertex.digest in self._prepared.keys.problems or vertex.digest in self._prepared.facts.unresolved
        return not hindered and self._services.works_in_row(vertex)

    def row_to(self, vertex: Vertex) -> list[Vertex]:
        """The steps that can be done one after the other, with this one for the last."""
        row = [vertex]
        while (below := self._below(row[-1])) is not None:
            row.append(below)
        return row[::-1]

    def station(self, vertex: Vertex) -> Station:
        """A step of a row but the first: what it takes is known, but for what the step before makes."""
        facts, found = self._prepared.facts, self._findings
        wanted = dependencies(vertex, facts.cache_maps)
        inputs = {n: done for n, (edge, _) in enumerate(wanted) if (done := found.known(edge.vertex)) is not None}
        checksums = [found.local_checksum(*item, inputs[n]) if n in inputs else None for n, item in enumerate(wanted)]
        return Station(vertex, wanted, inputs, checksums)

    def _below(self, vertex: Vertex) -> Vertex | None:
        missing: list[Edge] = []
        for edge, dependency in dependencies(vertex, self._prepared.facts.cache_maps):
            done = self._findings.known(edge.vertex)
            if done is None:
                missing.append(edge)
            if dependency.content is not None and not (done and isinstance(done.output(edge.index), LocalTree)):
                return None  # what is taken of it has to be read first
        if len(missing) != 1 or self._users[missing[0].vertex] != 1:
            return None
        below = self._prepared.vertices[missing[0].vertex]
        return below if self.fits(below) and self._slots.are_alike(vertex, below) and self._is_free(below) else None

    @cached_property
    def _users(self) -> Counter[Digest]:
        """By how many steps that must run each vertex is wanted."""
        vertices, runs = self._prepared.vertices, self._prepared.plan.runs
        return Counter(edge.vertex for digest in runs for edge in vertices[digest].inputs)
