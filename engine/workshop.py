"""The solver's services, as this machine gives them: stores, sources, checksums, the sandbox."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from engine.cache.content.trees import TreeChanges
from engine.cache.memory import TargetMemory
from engine.cache.records import RecordStore
from engine.concurrency import in_thread
from engine.desk import Desk
from engine.digests import Digest, sha256
from engine.errors import EngineError
from engine.events import Event, LogChunk, Status, Stream, VertexCompleted, VertexStarted, Warned
from engine.key_locks import KeyLocks
from engine.ledger import Ledger
from engine.llb.definition import Vertex
from engine.locks import waiting_thread
from engine.ops.context import StepContext
from engine.ops.contract import CacheMap, Operation, Selection
from engine.ops.opening import open_operation, reads_inputs
from engine.request import BuildRequest, StepNetwork
from engine.results import LayerID, LocalTree, Result, Snapshot
from engine.solver.services import LocalQuestion, Question
from engine.sources.contract import Resolved
from engine.sources.opening import open_source
from engine.sources.trees import tree_of
from engine.space import failures_explained
from engine.turns import in_turn
from engine.wishes import Wishes

if TYPE_CHECKING:
    from engine.house import House
    from engine.sandbox.contract import Runtime


class Workshop:
    """`Services` for one solve. `wishes` says what the targets that want a vertex bring for it."""

    def __init__(
        self, house: House, wishes: Mapping[Digest, Wishes], log_folder: Path, request: BuildRequest | None = None
    ) -> None:
        self._house = house
        self._wishes = wishes
        self._log_folder = log_folder
        self._step_timeout = request.step_timeout if request else None
        self._step_network = request.step_network if request else StepNetwork.SHARED
        self._shell = request.shell if request else None
        self._operations: dict[Digest, Operation] = {}
        self._resolved: dict[Digest, Resolved] = {}
        self._cache_maps: dict[Digest, CacheMap] = {}
        self._sources_of: dict[LayerID, Vertex] = {}
        self._locks = KeyLocks(house.state.locks)
        self.records = RecordStore(house.state)

    def _listener(self, event: Event) -> None:
        self._house.listener(event)

    async def resolve(self, vertex: Vertex) -> Resolved:
        """What a source vertex means now: for one solve the same, however often it is asked."""
        resolved = self._resolved.get(vertex.digest)
        if resolved is None:
            resolved = await open_source(vertex, self._house.sources, self._wishes_of(vertex).secrets).resolve()
            self._resolved[vertex.digest] = resolved
            self._warn(vertex)
        if isinstance(resolved.result, Snapshot):
            self._sources_of |= dict.fromkeys(resolved.result.layers, vertex)
        return resolved

    def cache_map(self, vertex: Vertex) -> CacheMap:
        """The identity of an op vertex, with the versions of its secrets where somebody gives them versions."""
        known = self._cache_maps.get(vertex.digest)
        if known is None:
            known = self._cache_maps[vertex.digest] = self._cache_map(vertex)
        return known

    def _cache_map(self, vertex: Vertex) -> CacheMap:
        found = self._operation(vertex).cache_map()
        versions = self._wishes_of(vertex).versions(vertex)
        if not versions:
            return found
        digest = sha256("\0".join((found.digest, *versions)).encode())
        return CacheMap(digest, found.dependencies, tuple(versions))

    def _operation(self, vertex: Vertex) -> Operation:
        operation = self._operations.get(vertex.digest)
        if operation is None:
            operation = self._operations[vertex.digest] = open_operation(vertex)
        return operation

    async def local_checksums(self, questions: Sequence[LocalQuestion]) -> list[Digest | EngineError]:
        """The checksums of parts of local folders: all of them in one thread, for they share their reading."""
        with self._telling_what_is_read({tree.path for tree, _ in questions}):
            return await in_thread(self._house.contents.of_folders, questions)

    @contextmanager
    def _telling_what_is_read(self, folders: Collection[Path]) -> Iterator[None]:
        """Shows local folders as being at work while much of them is read."""
        sources = {
            found.result.path: vertex
            for vertex, found in self._resolved.items()
            if isinstance(found.result, LocalTree) and found.result.path in folders
        }
        began: dict[Digest, float] = {}

        def tell(vertex: Digest, size: int) -> None:
            now = time.time()
            if vertex not in began:
                began[vertex] = now
                self._listener(VertexStarted(vertex, now))
            self._listener(Status(vertex, "reading files", size, 0, began[vertex], now))

        told = self._house.contents.reading.told
        told.update({folder: partial(tell, vertex) for folder, vertex in sources.items()})
        try:
            yield
        finally:
            for folder in sources:
                told.pop(folder, None)
            for vertex in began:
                self._listener(VertexCompleted(vertex, time.time()))

    async def checksum(self, result: Result, selections: tuple[Selection, ...]) -> Digest:
        """The checksum of a part of a result, which is brought here only if it was never asked before."""
        contents = self._house.contents
        if isinstance(result, Snapshot):
            known = contents.known(result, selections)
            if known is not None:
                return known
            await self.ensure(result)
        with failures_explained(self._house.state):
            tree = tree_of(result, self._house.snapshots)
            return await trio.to_thread.run_sync(contents.of, result, tree, selections)

    def missing_bytes(self, result: Snapshot) -> int | None:
        """How much would be fetched to bring a result here, as far as that is known; None if it is here."""
        missing = self._house.snapshots.missing(result)
        if not missing:
            return None
        marks = ",".join("?" * len(missing))
        rows = self._house.state.query(
            f"SELECT min(size) FROM layer_blobs WHERE layer IN ({marks}) GROUP BY layer", *missing
        )
        return sum(int(size) for (size,) in rows)

    async def run(self, vertex: Vertex, inputs: Sequence[Result]) -> Sequence[Result | None]:
        """Does the work of a vertex, its inputs brought here first where it looks into them."""
        with failures_explained(self._house.state):
            if reads_inputs(vertex):
                for result in inputs:
                    if isinstance(result, Snapshot):
                        await self.ensure(result)
            self._warn(vertex)
            return await self._operation(vertex).run(inputs, self._context(vertex))

    def _warn(self, vertex: Vertex) -> None:
        for sentence in self._wishes_of(vertex).disputed(vertex):
            self._listener(Warned(vertex.digest, sentence, places=vertex.note.places))

    def _wishes_of(self, vertex: Vertex) -> Wishes:
        return self._wishes.get(vertex.digest) or Wishes()

    def works_in_row(self, vertex: Vertex) -> bool:
        """Whether a vertex only changes files."""
        return vertex.op.file is not None

    async def in_row(self, work: Callable[[], None]) -> None:
        """Calls a function in one of the threads that copy."""
        from engine.ops.file.operation import copying_limiter

        await trio.to_thread.run_sync(_in_turn, work, limiter=copying_limiter())

    @contextmanager
    def at_desk(self) -> Iterator[Desk]:
        """Where such a thread changes files."""
        desk = Desk(self._change_files, self.records, self._locks.several(), Ledger(self._house.state))
        try:
            yield desk
        finally:
            desk.close()

    def _change_files(self, vertex: Vertex, inputs: Sequence[Result], ledger: Ledger) -> Sequence[Result | None]:
        from engine.ops.file import FileOperation

        operation = self._operation(vertex)
        assert isinstance(operation, FileOperation)
        with failures_explained(self._house.state):
            return operation.do(inputs, self._context(vertex, ledger))

    def try_lock(self, key: str) -> AbstractAsyncContextManager[bool]:
        """Held against other processes that use the state folder; False if one of them has it."""
        return self._locks.trying_async(key)

    async def wait_lock(self, key: str) -> None:
        """Returns when nobody has a key's lock, or it was free for a moment."""
        await waiting_thread(lambda: self._locks.wait(key))

    @cached_property
    def _terminal(self) -> trio.Lock:
        return trio.Lock()

    @cached_property
    def memory(self) -> TargetMemory:
        """What is remembered of earlier builds."""
        return TargetMemory(self._house.state)

    async def compare(self, question: Question, before: Digest) -> TreeChanges | None:
        """How some content, which must be here, differs from what had another checksum."""
        result, selections = question
        house = self._house
        if not isinstance(result, Snapshot):
            return await trio.to_thread.run_sync(house.contents.compare, result, selections, before)
        if house.snapshots.missing(result):
            return None
        tree = house.snapshots.tree(result)
        return await trio.to_thread.run_sync(house.contents.compare_snapshot, result, tree, selections, before)

    async def remember(self, questions: Sequence[Question]) -> None:
        """Keeps what was there, all in one thread."""
        await trio.to_thread.run_sync(self._house.contents.remember, questions)

    async def ensure(self, snapshot: Snapshot) -> None:
        """Brings the layers of a snapshot here, told as progress of the source that they came with."""
        missing = self._house.snapshots.missing(snapshot)
        if not missing:
            return
        vertex = next((self._sources_of[layer] for layer in missing if layer in self._sources_of), None)
        if vertex is None:
            await self._house.snapshots.ensure(snapshot, lambda part, done, total, complete: None)
            return
        self._listener(VertexStarted(vertex.digest, time.time()))
        begun: dict[str, float] = {}

        def progress(part: str, done: int, total: int, complete: bool) -> None:
            now = time.time()
            self._listener(Status(vertex.digest, part, done, total, begun.setdefault(part, now), now, complete))

        try:
            await self._house.snapshots.ensure(snapshot, progress)
        except EngineError as error:
            self._listener(VertexCompleted(vertex.digest, time.time(), error=error.message))
            raise
        except BaseException:  # also a cancellation that comes as a group
            self._listener(VertexCompleted(vertex.digest, time.time(), error="context canceled", cancelled=True))
            raise
        self._listener(VertexCompleted(vertex.digest, time.time()))

    def _context(self, vertex: Vertex, ledger: Ledger | None = None) -> StepContext:
        wishes = self._wishes_of(vertex)

        def log(stream: Stream, data: bytes) -> None:
            self._listener(LogChunk(vertex.digest, stream, data, time.time()))

        return StepContext(
            vertex=vertex,
            snapshots=self._house.snapshots,
            mounts=self._house.mounts,
            runtime=self._runtime,
            log=log,
            secrets=wishes.secrets,
            reader=self._house.reader,
            agents=wishes.agents,
            allowed=wishes.allowed,
            log_path=self._log_folder / f"{vertex.digest.partition(':')[2][:16]}.log",
            timeout=self._step_timeout,
            network=self._step_network,
            shell=self._shell,
            terminal=self._terminal,
            ledger=ledger,
        )

    def _runtime(self) -> Runtime:
        return self._house.runtime()


def _in_turn(work: Callable[[], None]) -> None:
    with in_turn():
        work()


def build_id() -> str:
    """A name for one build: sortable by time, and unlike any other."""
    now = time.time_ns()
    return (
        time.strftime("%Y%m%d-%H%M%S-", time.localtime(now // 10**9))
        + hashlib.sha256(str(now).encode()).hexdigest()[:6]
    )
