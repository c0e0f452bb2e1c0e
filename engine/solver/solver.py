"""From a graph to results: sources resolved, keys computed, known results found, the rest run.

Nothing here touches a disk or a network; `Services` does.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import field
from typing import TYPE_CHECKING

import trio

from engine.concurrency import all_at_once
from engine.digests import Digest
from engine.errors import EngineError
from engine.events import Listener, VertexKnown
from engine.llb.definition import Edge, Vertex, walk
from engine.ops.contract import CacheMap
from engine.solver.chronicle import Chronicle
from engine.solver.findings import Findings
from engine.solver.keys import Facts, definition_keys, local_questions
from engine.solver.plan import Prepared, make_plan
from engine.solver.services import Importer, Services
from engine.solver.tell import Teller
from engine.solver.waits import Waits
from engine.sources.contract import Resolved
from engine.values import frozen

if TYPE_CHECKING:
    from engine.solver.scheduler import Scheduler
    from engine.solver.slots import Slots


def default_jobs() -> int:
    """How many vertices work at once: steps wait for networks and disks as much as for cores."""
    return max(16, 4 * (os.cpu_count() or 1))


@frozen
class Circumstances:
    """How a graph is to be solved.

    `owners` names the targets that want each vertex, and `project` the folder that tells targets of the same name
    apart: both for display, and to remember what steps were made of. `each_target` bounds how many steps of one target
    run at once. `importer` is asked for what is not known.
    """

    jobs: int | None = None
    each_target: int | None = None
    owners: Mapping[Digest, tuple[str, ...]] = field(default_factory=dict)
    project: str = ""
    importer: Importer | None = None
    clock: Callable[[], float] = time.time


@asynccontextmanager
async def solving(
    vertices: Mapping[Digest, Vertex],
    roots: Sequence[Edge],
    services: Services,
    listener: Listener,
    how: Circumstances | None = None,
    prepared: Prepared | None = None,
) -> AsyncIterator[Scheduler]:
    """A scheduler over everything the roots need; leaving the block cancels what is still at work. What was `prepared`
    before is not found out again.

    Raises EngineError for an op that nobody can do, and whatever the block raises.
    """
    from engine.solver.watchdog import Watchdog

    how = how or Circumstances()
    waits = Waits(how.clock)
    watchdog = Watchdog(listener, waits, how.clock)
    teller = Teller(watchdog.listen, how.clock)
    # What frontends have solved is many at once, and a signal has one ear.
    ear: AbstractContextManager[Callable[[], Awaitable[None]]] = nullcontext(trio.sleep_forever)
    if how.owners:
        ear = watchdog.hearing()
    failed: EngineError | None = None
    with ear as obey:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watchdog.watch)
            nursery.start_soon(obey)
            try:
                order = list(walk(vertices, roots))
                _show_wanted(order, how.owners, watchdog.listen)
                if prepared is None:
                    prepared = await prepare(vertices, order, roots, services, importer=how.importer, waits=waits)
                async with _scheduling(prepared, services, how, teller, waits) as scheduler:
                    yield scheduler
            except EngineError as error:  # kept out of the nursery, which would wrap it in a group
                failed = error
            nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def settled(prepared: Prepared, services: Services, listener: Listener, how: Circumstances) -> Findings:
    """What there is for a graph of which nothing must run, told as `solving` tells it, and remembered likewise."""
    _show_wanted(prepared.order, how.owners, listener)
    chronicle = _begin(prepared, services, how, Teller(listener, how.clock))
    findings = Findings(prepared, Waits(how.clock))
    await chronicle.write(findings)
    return findings


def _begin(prepared: Prepared, services: Services, how: Circumstances, teller: Teller) -> Chronicle:
    """Tells and notes what is known before any work."""
    teller.cached((*prepared.plan.passed, *prepared.plan.hits))
    services.records.touch(record.identity for record in prepared.plan.hits.values())
    return Chronicle(how.project, how.owners, prepared, services)


@asynccontextmanager
async def _scheduling(
    prepared: Prepared, services: Services, how: Circumstances, teller: Teller, waits: Waits
) -> AsyncIterator[Scheduler]:
    """The scheduler itself; what it has done is written down however the block ends."""
    from engine.solver.scheduler import Helpers, Scheduler

    chronicle = _begin(prepared, services, how, teller)
    slots = _slots(prepared, how, chronicle)
    helpers = Helpers(services, slots, chronicle.reasons, teller, waits, how.importer)
    failed: EngineError | None = None
    scheduler: Scheduler | None = None
    try:
        async with trio.open_nursery() as nursery:
            if slots.crowded:
                nursery.start_soon(slots.serve)
            scheduler = Scheduler(prepared, helpers, nursery)
            try:
                yield scheduler
            except EngineError as error:
                failed = error
            nursery.cancel_scope.cancel()
    finally:
        if scheduler is not None:
            with trio.CancelScope(shield=True):
                await chronicle.write(scheduler)
    if failed is not None:
        raise failed


def _slots(prepared: Prepared, how: Circumstances, chronicle: Chronicle) -> Slots:
    from engine.solver.priorities import Priorities
    from engine.solver.slots import Bounds, Slots

    bounds = Bounds(how.jobs or default_jobs(), how.each_target)
    runs = prepared.plan.runs

    def urgency() -> Priorities:
        return Priorities(prepared.vertices, runs, chronicle.expected)

    return Slots(bounds, how.owners, urgency, len(runs))


def _show_wanted(order: Sequence[Vertex], owners: Mapping[Digest, tuple[str, ...]], listener: Listener) -> None:
    for vertex in order:
        inputs = tuple(edge.vertex for edge in vertex.inputs)
        listener(VertexKnown(vertex.digest, vertex.name, inputs, vertex.note.group, owners.get(vertex.digest, ())))


async def prepare(
    vertices: Mapping[Digest, Vertex],
    order: Sequence[Vertex],
    roots: Sequence[Edge],
    services: Services,
    *,
    importer: Importer | None = None,
    waits: Waits | None = None,
) -> Prepared:
    """Everything that can be known before any work. Raises EngineError for an op that nobody can do."""
    cache_maps: dict[Digest, CacheMap] = {}
    for vertex in order:
        if vertex.op.source is None:
            cache_maps[vertex.digest] = services.cache_map(vertex)
    waits = waits or Waits(time.time)
    resolved, unresolved = await _resolve([v for v in order if v.op.source is not None], services, waits)
    facts = Facts(cache_maps, resolved, {}, unresolved)
    questions = list(local_questions(order, facts))
    with waits.noted("the files of build contexts", lambda: "are read"):
        checksums = await services.local_checksums(questions) if questions else []
    facts = Facts(cache_maps, resolved, dict(zip(questions, checksums, strict=True)), unresolved)
    keys = definition_keys(order, facts)
    records = services.records.find(keys.keys.values())
    plan = make_plan(vertices, roots, keys.keys, records)
    if importer is not None and plan.runs:
        imported = await importer.known(order, facts, keys)
        plan = make_plan(vertices, roots, keys.keys, {**imported, **records})
    return Prepared(vertices, tuple(order), facts, keys, plan)


async def _resolve(
    sources: Sequence[Vertex], services: Services, waits: Waits
) -> tuple[dict[Digest, Resolved], dict[Digest, EngineError]]:
    found: dict[Digest, Resolved] = {}
    failed: dict[Digest, EngineError] = {}

    async def one(vertex: Vertex) -> None:
        try:
            with waits.noted(vertex.name, lambda: "asks what it means now"):
                found[vertex.digest] = await services.resolve(vertex)
        except EngineError as error:
            failed[vertex.digest] = error

    await all_at_once(one, sources)
    return found, failed
