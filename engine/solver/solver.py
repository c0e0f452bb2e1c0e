"""From a graph to results: sources resolved, keys computed, known results found, the rest run.

Nothing here touches a disk or a network; `Services` does.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from engine.digests import Digest
from engine.errors import EngineError
from engine.events import Listener, VertexCompleted, VertexKnown, VertexStarted
from engine.llb.definition import Edge, Vertex, walk
from engine.ops.contract import CacheMap
from engine.solver.keys import DefinitionKeys, Facts, definition_keys, local_questions
from engine.solver.plan import Plan, make_plan
from engine.solver.scheduler import Scheduler
from engine.solver.services import Importer, Services
from engine.sources.contract import Resolved


def default_jobs() -> int:
    """How many vertices work at once: steps wait for networks and disks as much as for cores."""
    return max(16, 4 * (os.cpu_count() or 1))


@asynccontextmanager
async def solving(
    vertices: Mapping[Digest, Vertex],
    roots: Sequence[Edge],
    services: Services,
    listener: Listener,
    *,
    jobs: int | None = None,
    owners: Mapping[Digest, tuple[str, ...]] | None = None,
    clock: Callable[[], float] = time.time,
    importer: Importer | None = None,
) -> AsyncIterator[Scheduler]:
    """A scheduler over everything the roots need; leaving the block cancels what is still at work.

    `owners` names the targets that want each vertex, for display. `importer` is asked for what is not known. Raises
    EngineError for an op that nobody can do, and whatever the block raises.
    """
    order = list(walk(vertices, roots))
    for vertex in order:
        inputs = tuple(edge.vertex for edge in vertex.inputs)
        names = (owners or {}).get(vertex.digest, ())
        listener(VertexKnown(vertex.digest, vertex.name, inputs, vertex.note.group, names))
    facts, keys, plan = await prepare(vertices, order, roots, services, importer)
    _show_known(plan, listener, clock)
    services.records.touch(record.identity for record in plan.hits.values())
    failed: EngineError | None = None
    async with trio.open_nursery() as nursery:
        count = jobs or default_jobs()
        try:
            yield Scheduler(vertices, facts, keys, plan, services, listener, count, nursery, clock, importer)
        except EngineError as error:  # kept out of the nursery, which would wrap it in a group
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def prepare(
    vertices: Mapping[Digest, Vertex],
    order: Sequence[Vertex],
    roots: Sequence[Edge],
    services: Services,
    importer: Importer | None = None,
) -> tuple[Facts, DefinitionKeys, Plan]:
    """Everything that can be known before any work."""
    cache_maps: dict[Digest, CacheMap] = {}
    for vertex in order:
        if vertex.op.source is None:
            cache_maps[vertex.digest] = services.cache_map(vertex)
    resolved, unresolved = await _resolve([v for v in order if v.op.source is not None], services)
    facts = Facts(cache_maps, resolved, {}, unresolved)
    questions = list(local_questions(order, facts))
    checksums = await services.local_checksums(questions) if questions else []
    facts = Facts(cache_maps, resolved, dict(zip(questions, checksums, strict=True)), unresolved)
    keys = definition_keys(order, facts)
    records = services.records.find(keys.keys.values())
    plan = make_plan(vertices, roots, keys.keys, records)
    if importer is not None and plan.runs:
        imported = await importer.known(order, facts, keys)
        plan = make_plan(vertices, roots, keys.keys, {**imported, **records})
    return facts, keys, plan


async def _resolve(
    sources: Sequence[Vertex], services: Services
) -> tuple[dict[Digest, Resolved], dict[Digest, EngineError]]:
    found: dict[Digest, Resolved] = {}
    failed: dict[Digest, EngineError] = {}

    async def one(vertex: Vertex) -> None:
        try:
            found[vertex.digest] = await services.resolve(vertex)
        except EngineError as error:
            failed[vertex.digest] = error

    async with trio.open_nursery() as nursery:
        for vertex in sources:
            nursery.start_soon(one, vertex)
    return found, failed


def _show_known(plan: Plan, listener: Listener, clock: Callable[[], float]) -> None:
    now = clock()
    for digest in (*plan.passed, *plan.hits):
        listener(VertexStarted(digest, now))
        listener(VertexCompleted(digest, now, cached=True))
