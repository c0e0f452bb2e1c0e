"""What the engine does for frontends: image names resolved, files of remote contexts read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.concurrency import in_thread, must_wait
from engine.digests import sha256
from engine.errors import DefinitionError
from engine.frontends.contract import Files, ResolvedImage
from engine.llb.definition import Definition, Vertex
from engine.llb.ops import Platform
from engine.platforms import host
from engine.results import Result, Snapshot
from engine.solver.solver import solving
from engine.sources.contract import Timed
from engine.sources.opening import open_source
from engine.sources.trees import tree_of
from engine.telling import telling
from engine.tree import MAX_TEXT, Tree, read_whole, resolve
from engine.wishes import Wishes
from engine.workshop import Workshop, build_id

if TYPE_CHECKING:
    from engine.house import House


class EngineBridge:
    """`Bridge` on an engine's stores, for a target with some wishes."""

    def __init__(self, house: House, wishes: Wishes) -> None:
        self._house = house
        self._wishes = wishes

    async def resolve_image(self, reference: str, platform: Platform, mode: str = "") -> ResolvedImage:
        """The image that a name means now."""
        vertex = sha256(f"load metadata for {reference} {mode}".encode())
        with telling(self._house.listener, vertex, f"[internal] load metadata for {reference}"):
            return await self._house.sources.images.resolve(reference, platform, mode)

    async def resolve_layout(self, folder: Path, reference: str, platform: Platform) -> ResolvedImage:
        """The same for an image in an OCI layout."""
        return await self._house.sources.layouts.resolve(folder, reference, platform)

    async def files(self, definition: Definition) -> Files:
        """The tree that a definition makes, for reading. Raises MustWait inside of `run_now`."""
        must_wait()
        if definition.root is None:
            raise DefinitionError("an empty file system has no files to read")
        house = self._house
        workshop = Workshop(house, dict.fromkeys(definition.vertices, self._wishes), house.state.logs / build_id())
        async with solving(definition.vertices, [definition.root], workshop, house.listener) as scheduler:
            result = (await scheduler.demand(definition.root.vertex)).output(definition.root.index)
            if isinstance(result, Snapshot):
                await workshop.ensure(result)
        return TreeFiles(self._open(result))

    def _open(self, result: Result) -> Tree:
        return tree_of(result, self._house.snapshots)

    async def source_time(self, source: Vertex) -> int | None:
        """When a source is from."""
        opened = open_source(source, self._house.sources, self._wishes.secrets)
        return await opened.time() if isinstance(opened, Timed) else None

    def worker_platforms(self) -> Sequence[Platform]:
        """The platforms whose steps this machine can run."""
        return [host()]


class TreeFiles:
    """`Files` over a tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    async def read(self, path: str, limit: int = MAX_TEXT) -> bytes:
        """A file's content."""
        return await in_thread(self._read, path, limit)

    async def head(self, path: str, size: int) -> bytes:
        """A file's beginning."""
        return await in_thread(self._head, path, size)

    def _read(self, path: str, limit: int) -> bytes:
        with self._open(path) as file:
            return read_whole(file, path, limit)

    def _head(self, path: str, size: int) -> bytes:
        with self._open(path) as file:
            return file.read(size)

    def _open(self, path: str) -> BinaryIO:
        place = resolve(self._tree, path)
        entry = self._tree.lstat(place)
        if entry is None:
            raise FileNotFoundError(path)
        if entry.is_dir:
            raise IsADirectoryError(path)
        return self._tree.open(place)

    async def exists(self, path: str) -> bool:
        """Whether the path is there."""
        return self._tree.lstat(resolve(self._tree, path)) is not None
