"""What is known of a graph before any work, for those who want its results."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cache.records import Record
from engine.concurrency import MustWait
from engine.digests import Digest
from engine.errors import EngineError
from engine.llb.definition import Edge, Vertex
from engine.ops.contract import Dependency
from engine.results import LocalTree, Result, Snapshot
from engine.solver.keys import WHOLE, DefinitionKeys, Facts, content_key, content_token, identity_token
from engine.solver.plan import Prepared
from engine.solver.services import Records
from engine.solver.waits import Waits
from engine.solver.why import Taken
from engine.sources.contract import Resolved
from engine.values import frozen


@frozen
class Done:
    """A finished vertex: its results by output, which result it is, and whether anything had to be done for it."""

    results: tuple[Result | None, ...]
    identity: str
    cached: bool = True

    def output(self, index: int) -> Result:
        """One output; an empty file system where there is none."""
        result = self.results[index] if index < len(self.results) else None
        return Snapshot() if result is None else result


Inputs = Sequence[tuple[Edge, Dependency, Done]]
"""The inputs of a vertex, with how each counts, once they are there."""


class Findings:
    """The results of the vertices that are known; `Scheduler` adds the others."""

    def __init__(self, prepared: Prepared, waits: Waits) -> None:
        self._facts = prepared.facts
        self._keys = prepared.keys
        self._plan = prepared.plan
        self._must_run = frozenset(prepared.plan.runs)
        self.waits = waits
        """Where everybody who waits says for what."""
        self.begun: set[Digest] = set()
        """The vertices that were begun to run."""
        self.ran: dict[Digest, float] = {}
        """The vertices that were run to their end, and how many seconds that took."""
        self.taken: dict[Digest, Sequence[Taken]] = {}
        """What vertices that were not simply known take from their inputs, once these are there."""
        self.found: set[Digest] = set()
        """The vertices that turned out to be known when inputs were there, and those that nobody needed for that."""

    @property
    def facts(self) -> Facts:
        """What was known before any work."""
        return self._facts

    @property
    def keys(self) -> DefinitionKeys:
        """The definition keys under which results were found and saved."""
        return self._keys

    def is_known(self, vertex: Digest) -> bool:
        """Whether nothing had to be done for a vertex."""
        return vertex not in self._must_run or (vertex in self.found and vertex not in self.begun)

    def known(self, vertex: Digest) -> Done | None:
        """The results of a vertex if they were known before any work."""
        resolved = self._facts.resolved.get(vertex)
        if resolved is not None:
            return _source_done(resolved)
        record = self._plan.hits.get(vertex)
        return None if record is None else Done(record.results, record.identity)

    def content_key(self, vertex: Vertex, inputs: Inputs, checksums: Sequence[Digest | None]) -> str:
        """The content key of a vertex whose inputs are there."""
        tokens = [
            content_token(checksum) if checksum else identity_token(done.identity, edge.index, dependency)
            for (edge, dependency, done), checksum in zip(inputs, checksums, strict=True)
        ]
        return content_key(self._facts.cache_maps[vertex.digest].digest, tokens)

    def local_checksum(self, edge: Edge, dependency: Dependency, done: Done) -> Digest | None:
        """The checksum of what an op takes from a local folder; None for other inputs. Raises why there is none."""
        result = done.output(edge.index)
        if not isinstance(result, LocalTree):
            return None
        checksum = self._facts.checksums[result, dependency.content or WHOLE]
        if isinstance(checksum, EngineError):
            raise checksum
        return checksum

    def take(self, vertex: Vertex, inputs: Inputs, checksums: Sequence[Digest | None]) -> Sequence[Taken]:
        """Notes what a vertex takes from its inputs."""
        taken = self.taken[vertex.digest] = [
            Taken(done.output(edge.index), done.identity, checksum, not done.cached)
            for (edge, _, done), checksum in zip(inputs, checksums, strict=True)
        ]
        return taken

    def recorded(self, vertex: Vertex, by_content: str | None, records: Records) -> Record | None:
        """By its content, or by its definition: another process may have done it since we looked."""
        keys = [key for key in (by_content, self._keys.keys.get(vertex.digest)) if key is not None]
        found = records.find(keys)
        return next((found[key] for key in keys if key in found), None)

    async def demand(self, vertex: Digest) -> Done:
        """The results of a vertex.

        Raises:
            MustWait: if they are not known.
        """
        done = self.known(vertex)
        if done is None:
            raise MustWait
        return done


def _source_done(resolved: Resolved) -> Done:
    return Done((resolved.result,), resolved.keys[-1] if resolved.keys else resolved.pin)
