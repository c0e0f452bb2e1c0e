"""The caches that the targets of one build import from and export to.

Imports are read when something is wanted that is not known here, all at once; one that cannot be had is told, and the
build goes on without. Exports happen when all targets are done: those that go to one place are one export.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cache.export_policy import ExportPolicy
from engine.concurrency import all_at_once, in_thread
from engine.digests import Digest, sha256
from engine.errors import EngineError, ExportError, LostLayerError
from engine.events import Warned
from engine.exporters.attributes import epoch_of, flag
from engine.exporters.context import ExportContext
from engine.exporters.contract import PlatformImage, TargetImage
from engine.llb.definition import Edge, Vertex, walk
from engine.request import BuildRequest, BuildResult, CacheBackend, Outcome, TargetResult, Wanted
from engine.telling import telling
from engine.values import frozen

if TYPE_CHECKING:
    from engine.cache.records import Record
    from engine.cache.remote.attributes import ExportOptions
    from engine.cache.remote.blobs import CacheBlob
    from engine.cache.remote.chains import Chains
    from engine.cache.remote.contract import CachePlace
    from engine.cache.remote.importing import Imports
    from engine.cache.remote.recording import Recording
    from engine.exporters.context import Progress
    from engine.house import House
    from engine.solver.findings import Findings
    from engine.solver.keys import DefinitionKeys, Facts

_INLINE = "inline"
TRIES = 24
"""How often a cache is merged anew because somebody else has written it meanwhile: of jobs that go on together, at
least one is done each time."""


class CacheExchange:
    """All imports and exports of caches of one build."""

    def __init__(self, request: BuildRequest, house: House) -> None:
        """Raises DefinitionError, UnsupportedError, SourceError for a cache whose attributes make no sense."""
        self._request = request
        self._house = house
        self._policy = request.cache_export or ExportPolicy()
        imports = {_key(b): b for wanted in request.wanted for b in _active(wanted.cache_from)}
        self.importer = LazyImporter([_opened(backend) for backend in imports.values()], house) if imports else None
        self.exports = _exports(request.wanted)
        """The caches to be written."""

    def with_inline(self, wanted: Wanted, target: TargetImage, scheduler: Findings) -> TargetImage:
        """A target's image with the cache inside that it is to carry."""
        rewritten = any(
            flag(export.attributes, "rewrite-timestamp") and epoch_of(export.attributes).over(target.epoch) is not None
            for export in wanted.exports
        )
        if rewritten or not any(backend.type == _INLINE for backend in wanted.cache_to):
            return target  # rewritten layers are not what the steps made
        edges = [platform.edge for platform in wanted.platforms]
        platforms = [self._carrying(p, e, scheduler) for p, e in zip(target.platforms, edges, strict=True)]
        return replace(target, platforms=tuple(platforms))

    def _carrying(self, platform: PlatformImage, edge: Edge | None, scheduler: Findings) -> PlatformImage:
        from engine.cache.remote.inline import inline_cache
        from engine.cache.remote.manifests import INLINE_KEY
        from engine.exporters.image_config import default_config

        if edge is None:
            return platform
        records = inline_cache(self._recording([edge], scheduler), platform.snapshot, self._policy)
        if records is None:
            return platform
        config = dict(platform.config or default_config())
        return replace(platform, config={**config, INLINE_KEY: base64.b64encode(records).decode()})

    def _recording(self, roots: Sequence[Edge], scheduler: Findings) -> Recording:
        from engine.cache.remote.recording import Recording, Solved

        solved = Solved(self._request.vertices, scheduler.facts, scheduler.keys)
        return Recording(solved, roots, self._house.state, self._house.contents.known)

    async def export(self, results: Mapping[str, TargetResult], scheduler: Findings) -> dict[str, TargetResult]:
        """Writes all caches, each with what the targets that succeeded know. The results, with what became of it."""
        finished = dict(results)

        async def one(export: _Export) -> None:
            done = [wanted for wanted in export.wanted if finished[wanted.name].error is None]
            if done:
                for name, result in (await self._write(export, done, scheduler, finished)).items():
                    finished[name] = result

        await all_at_once(one, self.exports)
        return finished

    async def _write(
        self, export: _Export, done: Sequence[Wanted], scheduler: Findings, results: Mapping[str, TargetResult]
    ) -> dict[str, TargetResult]:
        names = [wanted.name for wanted in done]
        vertex = sha256(f"{export.place.title} {export.place.name}".encode())
        roots = [platform.edge for wanted in done for platform in wanted.platforms if platform.edge]
        try:
            with telling(self._house.listener, vertex, export.place.title, tuple(names)) as progress:
                metadata = await self._write_to(export, self._recording(roots, scheduler), progress)
        except EngineError as error:
            if export.options.ignore_error:
                self._house.listener(_warning(vertex, f"{export.place.title} failed", error))
                return {}
            return {name: replace(results[name], outcome=Outcome.FAILED, error=error) for name in names}
        return {name: replace(results[name], metadata={**results[name].metadata, **metadata}) for name in names}

    async def _write_to(self, export: _Export, recording: Recording, progress: Progress) -> Mapping[str, str]:
        from engine.cache.remote.contract import CacheChanged
        from engine.cache.remote.exporting import collect, merge
        from engine.cache.remote.mounts import caches_of, pack_mounts

        context = _context(self._house, progress)
        progress("preparing build cache for export", 0, 0, False)
        mine = await collect([recording], export.options, self._policy, context)
        progress("preparing build cache for export", 0, 0, True)
        if export.options.mounts:
            vertices = walk(self._request.vertices, recording.roots)
            caches = caches_of(vertices)
            mine.mounts.update(await pack_mounts(caches, self._house.mounts, export.options.form, context))
        if not mine.mounts and not any(item.results for item in mine):
            progress("skipping cache export for empty result", 0, 0, True)
            return {}
        if not export.options.merge:
            return await export.place.write(mine, context)
        for _ in range(TRIES):
            theirs = await _read(export.place, context)
            with suppress(CacheChanged):
                return await export.place.write(mine if theirs is None else merge(mine, theirs), context)
        raise ExportError(f"others keep writing {export.place.name}", hint="give each job a name of its own")


def without_lost_layers(request: BuildRequest, result: BuildResult) -> BuildRequest | None:
    """What to build again because layers were gone, all results that need them being forgotten.

    With the targets that failed for it go those that were stopped because of them.
    """
    ended = result.targets
    if not any(isinstance(target.error, LostLayerError) for target in ended.values()):
        return None
    well = (Outcome.SUCCEEDED, Outcome.CACHED)
    return replace(request, wanted=tuple(w for w in request.wanted if ended[w.name].outcome not in well))


class LazyImporter:
    """The solver's `Importer` over some places, which are read when it is first asked."""

    def __init__(self, places: Sequence[CachePlace], house: House) -> None:
        self._places = places
        self._house = house
        self._imports: Imports | None = None

    async def known(self, vertices: Sequence[Vertex], facts: Facts, keys: DefinitionKeys) -> Mapping[str, Record]:
        """What the caches know by definition."""
        imports = self._imports = await self._read()
        return await in_thread(imports.known, vertices, facts, keys)

    def leads(self, vertex: Vertex, position: int) -> bool:
        """Whether one input of an op leads to something that the caches know."""
        return self._imports is not None and self._imports.leads(vertex, position)

    async def by_content(self, vertex: Vertex, checksums: Sequence[Digest | None]) -> Record | None:
        """What the caches know of an op whose inputs are there."""
        return self._imports.by_content(vertex, checksums) if self._imports else None

    async def _read(self) -> Imports:
        from engine.cache.remote.chains import Chains
        from engine.cache.remote.importing import Imports

        read: list[Chains] = []

        async def one(place: CachePlace) -> None:
            read.append(await self._read_one(place))

        await all_at_once(one, self._places)
        chains = Chains()
        for other in read:
            chains.absorb(other)
        for cache, blob in chains.mounts.items():
            self._house.mounts.promise(cache, partial(self._fill, cache, blob))
        return Imports(chains, self._house.state)

    async def _fill(self, cache: str, blob: CacheBlob, folder: Path) -> bool:
        from engine.cache.remote.mounts import fill_mount

        title = f"importing cache mount {cache}"
        with telling(self._house.listener, sha256(title.encode()), title) as progress:
            return await fill_mount(blob, folder, _context(self._house, progress))

    async def _read_one(self, place: CachePlace) -> Chains:
        from engine.cache.remote.chains import Chains

        vertex = sha256(f"importing cache manifest from {place.name}".encode())
        chains = Chains()
        try:
            with telling(self._house.listener, vertex, f"importing cache manifest from {place.name}") as progress:
                await place.read(chains, _context(self._house, progress))
        except EngineError as error:
            self._house.listener(_warning(vertex, f"no cache from {place.name}", error))
            return Chains()
        return chains


@frozen
class _Export:
    """One place and those whose caches go there."""

    place: CachePlace
    options: ExportOptions
    wanted: tuple[Wanted, ...]


def _exports(targets: Sequence[Wanted]) -> list[_Export]:
    found: dict[tuple[str, str], _Export] = {}
    for wanted in targets:
        for backend in _active(wanted.cache_to):
            from engine.cache.remote.attributes import export_options
            from engine.cache.remote.places import open_place

            options = export_options(backend)
            if backend.type == _INLINE:
                continue
            place = open_place(backend, options)
            known = found.get((backend.type, place.name))
            if known is None:
                found[backend.type, place.name] = _Export(place, options, (wanted,))
            else:
                joined = known.options.joined(options)
                found[backend.type, place.name] = _Export(open_place(backend, joined), joined, (*known.wanted, wanted))
    return list(found.values())


def _active(backends: Sequence[CacheBackend]) -> list[CacheBackend]:
    if not backends:
        return []
    from engine.cache.remote.attributes import is_active

    return [backend for backend in backends if is_active(backend)]


def _warning(vertex: Digest, what: str, error: EngineError) -> Warned:
    return Warned(vertex, f"{what}: {error.message}", (error.hint,) if error.hint else ())


def _opened(backend: CacheBackend) -> CachePlace:
    from engine.cache.remote.places import open_place

    return open_place(backend)


def _key(backend: CacheBackend) -> tuple[str, tuple[tuple[str, str], ...]]:
    return backend.type, tuple(sorted(backend.attributes.items()))


def _context(house: House, progress: Progress) -> ExportContext:
    return ExportContext(house.state, house.snapshots, house.blobs, lambda: house.registries, progress)


async def _read(place: CachePlace, context: ExportContext) -> Chains | None:
    """What is in a cache now; None if it is not there, or cannot be read: then it is written anew."""
    from engine.cache.remote.chains import Chains

    chains = Chains()
    try:
        await place.read(chains, context)
    except EngineError:
        return None
    return chains
