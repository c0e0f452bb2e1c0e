"""One trio task for each wanted vertex: it waits for its inputs, tries its content key, and runs.

Whoever wants a vertex *demands* it; the first demand starts its task, and when the last demand is gone, because those
who made it failed or were cancelled, the task is cancelled. So a failure stops exactly the work that nobody else needs,
and nothing here has to know what targets are. A failure is kept: who demands the vertex later gets the same error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from engine.cache.records import Record, new_identity
from engine.digests import Digest
from engine.errors import EngineError, StepError
from engine.events import Listener, VertexCompleted, VertexStarted
from engine.llb.definition import Edge, Vertex
from engine.ops.contract import Dependency
from engine.results import LocalTree, Result, Snapshot
from engine.solver.keys import (
    WHOLE,
    DefinitionKeys,
    Facts,
    content_key,
    content_token,
    dependencies,
    identity_token,
)
from engine.solver.plan import Plan
from engine.solver.services import Importer, Services
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


@dataclass(slots=True)
class _Job:
    """The task of one vertex."""

    demands: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)
    done: Done | None = None
    error: EngineError | None = None


class Scheduler:
    """Runs the vertices of a plan, in a nursery that outlives every demand.

    `jobs` bounds how many vertices are at work at once; those that wait for their inputs do not count.
    """

    def __init__(
        self,
        vertices: Mapping[Digest, Vertex],
        facts: Facts,
        keys: DefinitionKeys,
        plan: Plan,
        services: Services,
        listener: Listener,
        jobs: int,
        nursery: trio.Nursery,
        clock: Callable[[], float] = time.time,
        importer: Importer | None = None,
    ) -> None:
        self._vertices = vertices
        self._facts = facts
        self._keys = keys
        self._plan = plan
        self._services = services
        self._listener = listener
        self._limiter = trio.CapacityLimiter(jobs)
        self._nursery = nursery
        self._clock = clock
        self._importer = importer
        self._jobs: dict[Digest, _Job] = {}
        self._leaders: dict[str, Digest] = {}
        self.ran: set[Digest] = set()
        """The vertices that were really run."""

    @property
    def facts(self) -> Facts:
        """What was known before any work."""
        return self._facts

    @property
    def keys(self) -> DefinitionKeys:
        """The definition keys under which results were found and saved."""
        return self._keys

    async def demand(self, vertex: Digest) -> Done:
        """The results of a vertex; waits for them, and starts the work if nobody did.

        Raises:
            EngineError: why the vertex, or one below it, failed.
        """
        while True:
            job = self._jobs.get(vertex)
            if job is None or (job.ended.is_set() and job.done is None and job.error is None):
                job = self._jobs[vertex] = _Job()
                self._nursery.start_soon(self._work, vertex, job, name=self._vertices[vertex].name)
            job.demands += 1
            try:
                await job.ended.wait()
            finally:
                job.demands -= 1
                if not job.demands and not job.ended.is_set():
                    job.scope.cancel()
            if job.error is not None:
                raise job.error
            if job.done is not None:
                return job.done
            # The last one who wanted it went away just before us: begin anew.

    async def _work(self, digest: Digest, job: _Job) -> None:
        try:
            with job.scope:
                try:
                    job.done = await self._finish(self._vertices[digest])
                except EngineError as error:
                    job.error = error
        finally:
            job.ended.set()

    async def _finish(self, vertex: Vertex) -> Done:
        if vertex.digest in self._facts.unresolved:
            raise self._fail(vertex, self._facts.unresolved[vertex.digest])
        if vertex.digest in self._facts.resolved:
            return _source_done(self._facts.resolved[vertex.digest])
        record = self._plan.hits.get(vertex.digest)
        if record is not None:
            return Done(record.results, record.identity)
        key = self._keys.keys.get(vertex.digest)
        if key is None:
            return await self._evaluate(vertex)
        leader = self._leaders.setdefault(key, vertex.digest)
        if leader == vertex.digest:
            return await self._evaluate(vertex)
        return await self._follow(vertex, leader)

    async def _follow(self, vertex: Vertex, leader: Digest) -> Done:
        """Another vertex with the same key does the work: equal keys are equal work."""
        done = await self.demand(leader)
        self._say_cached(vertex)
        return done

    async def _evaluate(self, vertex: Vertex) -> Done:
        problem = self._keys.problems.get(vertex.digest)
        if problem is not None:
            raise self._fail(vertex, problem)
        inputs = await self._demand_inputs(vertex)
        async with self._limiter:
            return await self._hit_or_run(vertex, inputs)

    async def _demand_inputs(self, vertex: Vertex) -> Sequence[tuple[Edge, Dependency, Done]]:
        """All inputs at once. The first that fails cancels the demands for the others."""
        found: dict[int, Done] = {}
        wanted = dependencies(vertex, self._facts.cache_maps)
        failed: list[EngineError] = []

        async def get(position: int, digest: Digest) -> None:
            try:
                found[position] = await self.demand(digest)
            except EngineError as error:
                failed.append(error)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for position, (edge, _) in enumerate(wanted):
                nursery.start_soon(get, position, edge.vertex)
        if failed:
            raise failed[0]
        return [(edge, dependency, found[position]) for position, (edge, dependency) in enumerate(wanted)]

    async def _hit_or_run(self, vertex: Vertex, inputs: Sequence[tuple[Edge, Dependency, Done]]) -> Done:
        save = self._keys.save.get(vertex.digest)
        try:
            checksums = [await self._checksum(edge, dependency, done) for edge, dependency, done in inputs]
            by_content = self._content_key(vertex, inputs, checksums)
            async with self._services.lock(by_content):
                if not vertex.note.ignore_cache:
                    record = self._services.records.find([by_content]).get(by_content)
                    if record is None and self._importer is not None:
                        record = await self._importer.by_content(vertex, checksums)
                    if record is not None:
                        self._remember(vertex, [save, by_content], record)
                        self._say_cached(vertex)
                        return Done(record.results, record.identity)
                return await self._run(vertex, inputs, [save, by_content])
        except EngineError as error:
            raise self._fail(vertex, error) from error

    def _content_key(
        self,
        vertex: Vertex,
        inputs: Sequence[tuple[Edge, Dependency, Done]],
        checksums: Sequence[Digest | None],
    ) -> str:
        tokens = [
            content_token(checksum) if checksum else identity_token(done.identity, edge.index, dependency)
            for (edge, dependency, done), checksum in zip(inputs, checksums, strict=True)
        ]
        return content_key(self._facts.cache_maps[vertex.digest].digest, tokens)

    async def _checksum(self, edge: Edge, dependency: Dependency, done: Done) -> Digest | None:
        """The checksum of what an op takes from an input; None where the input counts by what made it."""
        result = done.output(edge.index)
        if isinstance(result, LocalTree):
            checksum = self._facts.checksums[result, dependency.content or WHOLE]
            if isinstance(checksum, EngineError):
                raise checksum
            return checksum
        return None if dependency.content is None else await self._services.checksum(result, dependency.content)

    async def _run(
        self, vertex: Vertex, inputs: Sequence[tuple[Edge, Dependency, Done]], keys: Sequence[str | None]
    ) -> Done:
        begun = self._clock()
        self._listener(VertexStarted(vertex.digest, begun))
        self.ran.add(vertex.digest)
        try:
            results = await self._services.run(vertex, [done.output(edge.index) for edge, _, done in inputs])
        except trio.Cancelled:
            self._listener(VertexCompleted(vertex.digest, self._clock(), cancelled=True, error="context canceled"))
            raise
        ended = self._clock()
        snapshots = tuple(r if isinstance(r, Snapshot) else None for r in results)
        record = Record(snapshots, new_identity(), ended - begun)
        self._remember(vertex, keys, record)
        self._listener(VertexCompleted(vertex.digest, ended))
        return Done(snapshots, record.identity, cached=False)

    def _remember(self, vertex: Vertex, keys: Sequence[str | None], record: Record) -> None:
        known = [key for key in keys if key is not None]
        self._services.records.save(known, record, vertex=vertex.digest, name=vertex.name)

    def _say_cached(self, vertex: Vertex) -> None:
        now = self._clock()
        self._listener(VertexStarted(vertex.digest, now))
        self._listener(VertexCompleted(vertex.digest, now, cached=True))

    def _fail(self, vertex: Vertex, error: EngineError) -> EngineError:
        """The error with its place, told once as the vertex's own."""
        error.at(vertex.note.places, vertex.name)
        now = self._clock()
        if not isinstance(error, StepError):
            self._listener(VertexStarted(vertex.digest, now))
        self._listener(VertexCompleted(vertex.digest, now, error=error.message))
        return error


def _source_done(resolved: Resolved) -> Done:
    return Done((resolved.result,), resolved.keys[-1] if resolved.keys else resolved.pin)
