"""One trio task for each wanted vertex: it waits for its inputs, tries its content key, and runs.

An input that must run is left for later where a cache may know the vertex without it: where the input's key leads to
something that is known, while that of another one does not. When the others are there, the vertex is looked up by what
these hold and by how that one is made; only if that is not known, that one is demanded, too.

Whoever wants a vertex *demands* it; the first demand starts its task, and when the last demand is gone, because those
who made it failed or were cancelled, the task is cancelled. So a failure stops exactly the work that nobody else needs,
and nothing here has to know what targets are. A failure is kept: who demands the vertex later gets the same error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import field

import trio

from engine.cache.records import Record, new_identity
from engine.concurrency import all_at_once
from engine.digests import Digest
from engine.errors import EngineError
from engine.events import How
from engine.llb.definition import Edge, Place, Vertex, walk
from engine.ops.contract import Dependency
from engine.results import LocalTree, Snapshot
from engine.solver.findings import Done, Findings, Inputs
from engine.solver.keys import dependencies
from engine.solver.lineup import Lineup
from engine.solver.plan import Prepared
from engine.solver.reasons import Reasons
from engine.solver.rows import Hands, Overheard, Row, Station
from engine.solver.services import Importer, Services
from engine.solver.slots import Slots
from engine.solver.tell import Teller
from engine.solver.waits import Waits
from engine.solver.why import Taken, explained
from engine.values import frozen, record

Wanted = Sequence[tuple[Edge, Dependency]]


@record
class _Job:
    """The task of one vertex. (The lambdas keep trio from being imported before it is needed.)"""

    demands: int = 0
    scope: trio.CancelScope = field(default_factory=lambda: trio.CancelScope())
    ended: trio.Event = field(default_factory=lambda: trio.Event())
    done: Done | None = None
    error: EngineError | None = None


@frozen
class Helpers:
    """What the scheduler leaves to others: doing, choosing who is next, saying why, telling, noting who waits."""

    services: Services
    slots: Slots
    reasons: Reasons
    teller: Teller
    waits: Waits
    importer: Importer | None = None


class Scheduler(Findings):
    """Runs the vertices of a plan, in a nursery that outlives every demand.

    `Slots` bounds how many vertices are at work at once; those that wait for their inputs, or for another process that
    does the same work, do not count.
    """

    def __init__(self, prepared: Prepared, helpers: Helpers, nursery: trio.Nursery) -> None:
        super().__init__(prepared, helpers.waits)
        self._vertices = prepared.vertices
        self._services = helpers.services
        self._slots = helpers.slots
        self._reasons = helpers.reasons
        self._teller = helpers.teller
        self._importer = helpers.importer
        self._nursery = nursery
        self._jobs: dict[Digest, _Job] = {}
        self._leaders: dict[str, Digest] = {}
        self._overheard = Overheard(helpers.teller.tell)
        self._lineup = Lineup(prepared, self, helpers.services, helpers.slots, self._is_free)

    async def demand(self, vertex: Digest) -> Done:
        """The results of a vertex; waits for them, and starts the work if nobody did.

        Raises:
            EngineError: why the vertex, or one below it, failed.
        """
        known = self.known(vertex)
        if known is not None:
            return known
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
            raise self._teller.failed(vertex, self._facts.unresolved[vertex.digest].at(self._users_places(vertex)))
        key = self._keys.keys.get(vertex.digest)
        if key is None:
            return await self._evaluate(vertex)
        leader = self._leaders.setdefault(key, vertex.digest)
        if leader == vertex.digest:
            return await self._evaluate(vertex)
        return await self._follow(vertex, leader)

    async def _follow(self, vertex: Vertex, leader: Digest) -> Done:
        """Another vertex with the same key does the work: equal keys are equal work."""
        with self.waits.noted(vertex.name, lambda: f"waits for the same work of {self._vertices[leader].name}"):
            done = await self.demand(leader)
        self._say_found(vertex, How.EQUAL)
        return done

    def _users_places(self, vertex: Vertex) -> tuple[Place, ...]:
        """Of a source that stands on no line of its own (as what ADD downloads), the lines of what takes it."""
        users = (user for user in self._vertices.values() if any(e.vertex == vertex.digest for e in user.inputs))
        return vertex.note.places or next((user.note.places for user in users), ())

    async def _evaluate(self, vertex: Vertex) -> Done:
        problem = self._keys.problems.get(vertex.digest)
        if problem is not None:
            raise self._teller.failed(vertex, problem)
        if self._importer is None and self._lineup.fits(vertex):
            return await self._do_row(self._lineup.row_to(vertex))
        wanted = dependencies(vertex, self._facts.cache_maps)
        found: dict[int, Done] = {}
        later = self._may_wait(vertex, wanted)
        if later:
            await self._demand_inputs(vertex, wanted, found, later)
            done = await self._without(vertex, wanted, found)
            if done is not None:
                return done
        await self._demand_inputs(vertex, wanted, found)
        inputs = [(edge, dependency, found[position]) for position, (edge, dependency) in enumerate(wanted)]
        try:
            return await self._with_key(vertex, inputs)
        except EngineError as error:
            raise self._teller.failed(vertex, error) from error

    def _may_wait(self, vertex: Vertex, wanted: Wanted) -> frozenset[int]:
        """The inputs that need not be made before it is known what the others come to; none if all are like that."""
        if self._importer is None or vertex.note.ignore_cache:
            return frozenset()
        missing = [position for position, (edge, _) in enumerate(wanted) if edge.vertex in self._must_run]
        leading = frozenset(position for position in missing if self._importer.leads(vertex, position))
        return leading if len(leading) < len(missing) else frozenset()

    async def _without(self, vertex: Vertex, wanted: Wanted, found: Mapping[int, Done]) -> Done | None:
        """What a cache knows of a vertex some of whose inputs were not made; None if that is nothing."""
        assert self._importer is not None
        try:
            async with self._slot(vertex):
                checksums = [
                    await self._checksum(edge, dependency, found[position]) if position in found else None
                    for position, (edge, dependency) in enumerate(wanted)
                ]
                record = await self._importer.by_content(vertex, checksums)
        except EngineError as error:
            raise self._teller.failed(vertex, error) from error
        if record is None:
            return None
        self._remember(vertex, [self._keys.save.get(vertex.digest)], record)
        self._spare(edge for position, (edge, _) in enumerate(wanted) if position not in found)
        self._say_found(vertex, How.CONTENT)
        return Done(record.results, record.identity)

    def _spare(self, edges: Iterable[Edge]) -> None:
        """Says of what is not needed after all, and was not begun for somebody else, that nothing had to be done."""
        for vertex in walk(self._vertices, edges):
            if vertex.digest in self._must_run and vertex.digest not in self._jobs and vertex.digest not in self.found:
                self._say_found(vertex, How.CONTENT)

    def _is_free(self, vertex: Vertex) -> bool:
        """Whether nobody has begun a vertex, or the same work."""
        leader = self._leaders.get(self._keys.keys.get(vertex.digest, ""), vertex.digest)
        return vertex.digest not in self._jobs and leader == vertex.digest

    async def _do_row(self, vertices: Sequence[Vertex]) -> Done:
        """Finishes the steps of a row; the results of the last one. The others are there for who else wants them."""
        jobs = {vertex.digest: _Job() for vertex in vertices[:-1]}
        self._jobs |= jobs
        for vertex in vertices:
            if (key := self._keys.keys.get(vertex.digest)) is not None:
                self._leaders.setdefault(key, vertex.digest)
        row = Row(Hands(self, self._services, self._reasons, Teller(self._overheard.listen, self._teller.clock)))
        error: EngineError | None = None
        try:
            await self._finish_row(row, vertices)
        except EngineError as problem:
            error = problem
            raise
        finally:
            for digest, job in jobs.items():
                job.done = row.done.get(digest)
                job.error = error if job.done is None else None
                job.ended.set()
        return row.done[vertices[-1].digest]

    async def _finish_row(self, row: Row, vertices: Sequence[Vertex]) -> None:
        first, last = vertices[0], vertices[-1]
        wanted = dependencies(first, self._facts.cache_maps)
        found: dict[int, Done] = {}
        await self._demand_inputs(first, wanted, found)
        async with self._slot(first):
            try:
                with self.waits.noted(first.name, lambda: "looks at its inputs"):
                    checksums = [await self._checksum(*item, found[n]) for n, item in enumerate(wanted)]
            except EngineError as problem:
                raise self._teller.failed(first, problem) from problem
            row.stations.append(Station(first, wanted, found, checksums))
            row.stations.extend(map(self._lineup.station, vertices[1:]))
            await self._hand_over(row, last)
        while row.busy:
            with self.waits.noted(last.name, lambda: f"waits for another process that does the same, {row}"):
                await self._services.wait_lock(row.busy)
            async with self._slot(first):
                await self._hand_over(row, last)
        if row.failed is not None:
            vertex, error = row.failed
            raise self._teller.failed(vertex, error) from error

    async def _hand_over(self, row: Row, last: Vertex) -> None:
        """Has a row done as far as that goes; what must be brought here for it is not waited for by the thread."""
        with self.waits.noted(last.name, lambda: f"runs, {row}"):
            await self._overheard.during(row, self._services, self._nursery)
            while row.absent is not None:
                try:
                    await self._services.ensure(row.absent)
                except EngineError as error:
                    raise self._teller.failed(row.stations[0].vertex, error) from error
                await self._overheard.during(row, self._services, self._nursery)

    async def _with_key(self, vertex: Vertex, inputs: Inputs) -> Done:
        async with self._slot(vertex):
            with self.waits.noted(vertex.name, lambda: "looks at its inputs"):
                checksums = [await self._checksum(edge, dependency, done) for edge, dependency, done in inputs]
            key = self.content_key(vertex, inputs, checksums)
            async with self._services.try_lock(key) as held:
                if held:
                    return await self._hit_or_run(vertex, inputs, key, checksums)
        # Another process is at the same work. Wait for it without taking the place of a step that could run; when it
        # has been killed, the lock is free and nothing is known, and the work is ours.
        with self.waits.noted(vertex.name, lambda: "waits for another process that does the same"):
            await self._services.wait_lock(key)
        return await self._with_key(vertex, inputs)

    @asynccontextmanager
    async def _slot(self, vertex: Vertex) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            with self.waits.noted(vertex.name, lambda: f"waits for a place ({self._slots})"):
                await stack.enter_async_context(self._slots.taken(vertex.digest))
            yield

    async def _demand_inputs(
        self, vertex: Vertex, wanted: Wanted, found: dict[int, Done], later: Collection[int] = ()
    ) -> None:
        """All inputs that are not yet found at once, but for some. The first that fails cancels the other demands."""

        async def get(position: int) -> None:
            found[position] = await self.demand(wanted[position][0].vertex)

        open_ones = []
        for position, (edge, _) in enumerate(wanted):
            if position in found or position in later:
                continue
            known = self.known(edge.vertex)
            if known is None:
                open_ones.append(position)
            else:
                found[position] = known
        if open_ones:
            with self.waits.noted(vertex.name, lambda: self._missing(found, wanted, later)):
                await all_at_once(get, open_ones)

    def _missing(self, found: Mapping[int, Done], wanted: Wanted, later: Collection[int]) -> str:
        names = [
            self._vertices[edge.vertex].name for n, (edge, _) in enumerate(wanted) if n not in found and n not in later
        ]
        return "waits for " + ", ".join(names)

    async def _hit_or_run(
        self, vertex: Vertex, inputs: Inputs, by_content: str, checksums: Sequence[Digest | None]
    ) -> Done:
        save = self._keys.save.get(vertex.digest)
        taken = self.take(vertex, inputs, checksums)
        if not vertex.note.ignore_cache:
            record = await self._find(vertex, by_content, checksums)
            if record is not None:
                self._remember(vertex, [save, by_content], record)
                self._say_found(vertex, How.CONTENT)
                return Done(record.results, record.identity)
        return await self._run(vertex, taken, [save, by_content])

    async def _find(self, vertex: Vertex, by_content: str, checksums: Sequence[Digest | None]) -> Record | None:
        """By its content, by its definition, or by import."""
        known = self.recorded(vertex, by_content, self._services.records)
        if known is not None or self._importer is None:
            return known
        return await self._importer.by_content(vertex, checksums)

    async def _checksum(self, edge: Edge, dependency: Dependency, done: Done) -> Digest | None:
        """The checksum of what an op takes from an input; None where the input counts by what made it."""
        result = done.output(edge.index)
        if isinstance(result, LocalTree):
            return self.local_checksum(edge, dependency, done)
        return None if dependency.content is None else await self._services.checksum(result, dependency.content)

    async def _run(self, vertex: Vertex, taken: Sequence[Taken], keys: Sequence[str | None]) -> Done:
        await self._say_why(vertex, taken)
        begun = self._teller.started(vertex.digest)
        self.begun.add(vertex.digest)
        try:
            with self.waits.noted(vertex.name, lambda: "runs"):
                results = await self._services.run(vertex, [each.result for each in taken])
        except EngineError:
            raise
        except BaseException as error:
            # What a nursery of the operation cancelled comes as a group, which `except Cancelled` would not see.
            if not isinstance(error, Exception):
                self._teller.cancelled(vertex.digest)
            raise
        seconds = max(0.0, self._teller.clock() - begun)  # a clock may be set back meanwhile
        snapshots = tuple(r if isinstance(r, Snapshot) else None for r in results)
        record = Record(snapshots, new_identity(), seconds)
        self._remember(vertex, keys, record)
        self.ran[vertex.digest] = seconds
        self._teller.completed(vertex.digest)
        return Done(snapshots, record.identity, cached=False)

    async def _say_why(self, vertex: Vertex, taken: Sequence[Taken]) -> None:
        reason, changes, more = await explained(vertex, taken, self._facts, self._reasons, self._services)
        self._teller.must_run(vertex.digest, reason.cause.value, changes, more)

    def _remember(self, vertex: Vertex, keys: Sequence[str | None], record: Record) -> None:
        known = [key for key in keys if key is not None]
        self._services.records.save(known, record, vertex=vertex.digest, name=vertex.name)

    def _say_found(self, vertex: Vertex, how: How) -> None:
        self.found.add(vertex.digest)
        self._teller.cached([vertex.digest], how)
