"""One target from its wanted results to its outputs, and how that ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.blobs import RottenBlob
from engine.concurrency import all_at_once, in_thread, must_wait
from engine.digests import Digest, sha256
from engine.errors import EngineError, RegistryError, UnsupportedError, WithheldError
from engine.exporters.context import ExportContext, Publish
from engine.exporters.contract import BuildFacts, Export, ExportResult, PlatformImage, TargetImage
from engine.exporters.results import keep_result
from engine.frontends.contract import PlatformResult
from engine.llb.definition import Edge, Vertex, walk
from engine.request import Outcome, TargetResult, Wanted
from engine.results import LayerID, Snapshot
from engine.solver.findings import Done, Findings
from engine.space import failures_explained
from engine.telling import tell_cached, telling

if TYPE_CHECKING:
    from engine.exchange import CacheExchange
    from engine.house import House
    from engine.together import Gate, Gates

_BAD_REQUEST = 400
"""What a registry says to bytes that are not what their digest says."""


async def deliver(
    wanted: Wanted,
    vertices: Mapping[Digest, Vertex],
    scheduler: Findings,
    house: House,
    exchange: CacheExchange,
    gates: Gates | None = None,
) -> TargetResult:
    """Waits for a target's results and exports them, once the gates let them pass. What fails is in the result."""
    begun = time.time()
    metadata: dict[str, str] = {}
    failure: EngineError | None = None
    outcome = Outcome.FAILED
    size = 0
    layers: dict[str, tuple[LayerID, ...]] = {}
    try:
        edges = [platform.edge for platform in wanted.platforms]
        scans = [platform.scan.root for platform in wanted.platforms if platform.scan]
        done = await _demand_all([*edges, *scans], scheduler)
        outcome = Outcome.CACHED if all(d.cached for d in done) else Outcome.SUCCEEDED
        target = exchange.with_inline(wanted, _image(wanted, done, scheduler, begun), scheduler)
        layers = {platform.id: platform.snapshot.layers for platform in target.platforms}
        keep_result(house.state, house.project, target, house.begun)
        names: list[Publish] | None = None
        if gates is not None:
            await _pass(gates.built, wanted, scheduler)
            names = []
        for number, export in enumerate(wanted.exports):
            doing = f"writes output {number + 1} ({export.type})"
            with scheduler.waits.noted(f"target {wanted.name}", doing.__str__):
                result = await export_target(target, number, export, house, names)
            metadata |= result.metadata
            size = max(size, result.size)
        if gates is not None:
            gates.sent.come(wanted.name)
            if names:
                await _pass(gates.sent, wanted, scheduler)
                await _publish(target, names, house)
        if wanted.provenance:
            from engine.attestations.facts import provenance_response

            facts = {image.id: image.facts for image in target.platforms if image.facts and image.snapshot.layers}
            metadata |= provenance_response(wanted.provenance, facts, multi=target.multi)
    except EngineError as error:
        outcome = Outcome.FAILED
        failure = error
        if isinstance(error, WithheldError):
            outcome = Outcome.CANCELLED
            metadata.pop("image.name", None)
    steps, hits = _count(wanted, vertices, scheduler)
    return TargetResult(wanted.name, outcome, metadata, failure, steps, hits, time.time() - begun, size, layers)


async def _pass(gate: Gate, wanted: Wanted, scheduler: Findings) -> None:
    with scheduler.waits.noted(f"target {wanted.name}", lambda: "waits for the other targets"):
        await gate.passing(wanted.name)


async def _publish(target: TargetImage, names: Iterable[Publish], house: House) -> None:
    vertex = sha256(f"names of {target.name}".encode())
    with telling(house.listener, vertex, "naming pushed images", (target.name,)):
        for publish in names:
            await publish()


def result_without_end(
    wanted: Wanted, vertices: Mapping[Digest, Vertex], scheduler: Findings, asked: float
) -> TargetResult:
    """How a target ended that was cancelled: it may not even have begun. `asked`: since when it was wanted."""
    edges = [p.edge for p in wanted.platforms if p.edge]
    steps, hits = _count(wanted, vertices, scheduler)
    if not any(v.digest in scheduler.begun for v in walk(vertices, edges)):
        return TargetResult(wanted.name, Outcome.NOT_STARTED, steps=steps, hits=hits)
    return TargetResult(wanted.name, Outcome.CANCELLED, steps=steps, hits=hits, seconds=time.time() - asked)


def _count(wanted: Wanted, vertices: Mapping[Digest, Vertex], scheduler: Findings) -> tuple[int, int]:
    """A target's steps, and how many of them need not be run."""
    edges = [p.edge for p in wanted.platforms if p.edge]
    steps = [v.digest for v in walk(vertices, edges) if v.op.source is None]
    return len(steps), sum(scheduler.is_known(digest) for digest in steps)


async def _demand_all(edges: list[Edge | None], scheduler: Findings) -> list[Done]:
    """All platforms at once; the first failure cancels the demands for the others."""
    found: dict[int, Done] = {}

    async def get(wanted: tuple[int, Edge]) -> None:
        position, edge = wanted
        found[position] = await scheduler.demand(edge.vertex)

    await all_at_once(get, [(position, edge) for position, edge in enumerate(edges) if edge is not None])
    return [found.get(position, Done((), "scratch")) for position in range(len(edges))]


def _image(wanted: Wanted, done: list[Done], scheduler: Findings, begun: float) -> TargetImage:
    scanned = iter(done[len(wanted.platforms) :])
    platforms = tuple(
        PlatformImage(
            p.id,
            p.platform,
            _snapshot(d, p.edge),
            p.config,
            p.base_config,
            _facts(wanted, p, scheduler, begun),
            _snapshot(next(scanned), p.scan.root) if p.scan else None,
        )
        for p, d in zip(wanted.platforms, done, strict=False)
    )
    return TargetImage(wanted.name, platforms, wanted.multi, wanted.epoch, wanted.attests)


def _facts(wanted: Wanted, platform: PlatformResult, scheduler: Findings, begun: float) -> BuildFacts | None:
    """How a platform was made, if anybody wants to know."""
    if not wanted.attests and not wanted.provenance:
        return None
    from engine.attestations.facts import build_facts

    resolved = scheduler.facts.resolved
    return build_facts(platform.definition, wanted.request, resolved, begun, time.time(), platform.scan)


def _snapshot(done: Done, edge: Edge | None) -> Snapshot:
    result = done.output(edge.index if edge else 0)
    if not isinstance(result, Snapshot):
        raise UnsupportedError(
            "a local folder cannot be the result itself",
            hint="copy it into an empty file system: scratch().file(copy(…))",
        )
    return result


async def export_target(
    target: TargetImage, number: int, export: Export, house: House, later: list[Publish] | None = None
) -> ExportResult:
    """Writes an output, unless it was written before and is still there; `later`: see `ExportContext`."""
    from engine.exporters.memory import OutputMemory

    vertex = sha256(f"export {number} of {target.name}: {export.type} {sorted(export.attributes.items())}".encode())
    silent = ExportContext(house.state, house.snapshots, house.blobs, lambda: house.registries, _ignore)
    memory = OutputMemory(house.state)
    writes = export.type != "cacheonly"
    if writes and (known := await memory.recall(target, export, silent)):
        tell_cached(house.listener, vertex, known.title, (target.name,))
        return known.result
    if writes:
        must_wait()
    from engine.exporters import open_exporter

    exporter = open_exporter(export)
    with telling(house.listener, vertex, exporter.title, (target.name,)) as progress, failures_explained(house.state):
        context = replace(silent, progress=progress, later=later)
        try:
            result = await exporter.export(target, context)
        except (RottenBlob, RegistryError) as error:
            if not await _without_rotten_blobs(error, house):
                raise
            result = await exporter.export(target, context)
    if writes:
        memory.remember(target, export, exporter.title, result)
    return result


async def _without_rotten_blobs(error: EngineError, house: House) -> bool:
    """Whether an export failed for blobs that had rotted on the disk; they are gone now, and will be made anew."""
    if isinstance(error, RegistryError) and error.status != _BAD_REQUEST:
        return False
    rotten = await in_thread(house.blobs.remove_rotten)
    if not rotten and not isinstance(error, RottenBlob):
        return False
    house.state.found.append(f"{len(rotten) + isinstance(error, RottenBlob)} stored blobs were damaged; made anew")
    return True


def _ignore(part: str, done: int, total: int, complete: bool) -> None:
    """For those who do not listen."""
