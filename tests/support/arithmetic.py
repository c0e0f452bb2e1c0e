"""Graphs whose results are numbers: the solver's answer can be checked, and the work that it did counted.

A constant is a source, a sum is an op over its inputs; a result is a snapshot with one layer named for the number.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from engine.cache.content.trees import TreeChanges
from engine.cache.memory import Remembered
from engine.cache.records import Record
from engine.digests import Digest, sha256
from engine.errors import EngineError, SourceError, StepError
from engine.events import Event
from engine.llb.definition import Edge, Note, Vertex, walk
from engine.llb.ops import PassthroughOp, SourceOp
from engine.ops.contract import CacheMap, Dependency, Selection
from engine.results import LayerID, Result, Snapshot
from engine.solver.services import Importer, LocalQuestion, Question
from engine.solver.solver import Circumstances, solving
from engine.sources.contract import Resolved


def number(result: Result) -> int:
    assert isinstance(result, Snapshot)
    return int(result.layers[0]) if result.layers else 0


def snapshot(value: int) -> Snapshot:
    return Snapshot((LayerID(str(value)),))


@dataclass
class Memory:
    """Records in memory, for as long as the test likes."""

    records: dict[str, Record] = field(default_factory=dict)

    def find(self, keys: Iterable[str]) -> dict[str, Record]:
        return {k: self.records[k] for k in keys if k in self.records}

    def save(self, keys: Iterable[str], record: Record, *, vertex: str, name: str) -> None:
        self.records.update(dict.fromkeys(keys, record))

    def touch(self, identities: Iterable[str]) -> None:
        pass


@dataclass
class Remembering:
    """What is remembered of targets; `reads` and `writes` count how often it was asked and told."""

    targets: dict[tuple[str, str], Remembered] = field(default_factory=dict)
    reads: int = 0
    writes: int = 0

    def fingerprints(self, project: str) -> dict[str, str]:
        return {name: each.fingerprint for (where, name), each in self.targets.items() if where == project}

    def load(self, project: str, targets: Iterable[str]) -> dict[str, Remembered]:
        self.reads += 1
        return {name: self.targets[project, name] for name in targets if (project, name) in self.targets}

    def save(self, project: str, targets: Mapping[str, Remembered]) -> None:
        self.writes += 1
        self.targets.update({(project, name): each for name, each in targets.items()})


class Graph:
    """Builds vertices. `value` of a constant is read when it is resolved, so a test can change it between builds."""

    def __init__(self) -> None:
        self.vertices: dict[Digest, Vertex] = {}
        self.values: dict[str, int] = {}
        self.by_content: set[Digest] = set()

    def const(self, name: str, value: int) -> Edge:
        self.values[name] = value
        return self._add(Vertex.make(SourceOp(f"number://{name}"), note=Note(name=name)))

    def sum(
        self, name: str, *inputs: Edge, ignore_cache: bool = False, by_content: bool = False, salt: str = ""
    ) -> Edge:
        """`salt` makes another digest of the same work. `by_content`: only the numbers count."""
        note = Note(name=name, ignore_cache=ignore_cache)
        edge = self._add(Vertex.make(PassthroughOp(id=f"{name}|{salt}", outputs=(0,)), inputs, note=note))
        if by_content:
            self.by_content.add(edge.vertex)
        return edge

    def _add(self, vertex: Vertex) -> Edge:
        self.vertices[vertex.digest] = vertex
        return Edge(vertex.digest)


@dataclass
class Arithmetic:
    """Services over a graph of numbers. `behaviour[name]` replaces a sum's work."""

    graph: Graph
    records: Memory = field(default_factory=Memory)
    ran: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    behaviour: dict[str, Any] = field(default_factory=dict)
    hashed: Counter[str] = field(default_factory=Counter)
    memory: Remembering = field(default_factory=lambda: Remembering())
    locked: dict[str, trio.Event] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0
    clock: Callable[[], float] = time.time
    importer: Importer | None = None
    rowable: Container[str] = ()
    """The sums that a thread may do one after the other."""
    rows: int = 0
    transactions: int = 0
    """How often rows have recorded something."""
    absent: set[int] = field(default_factory=set)
    """Results that have to be brought here before a row can use them."""
    brought: list[int] = field(default_factory=list)

    async def resolve(self, vertex: Vertex) -> Resolved:
        assert vertex.op.source
        name = vertex.op.source.identifier.removeprefix("number://")
        if name not in self.graph.values:
            raise SourceError(f"no number {name}")
        value = self.graph.values[name]
        return Resolved((sha256(f"{name}={value}".encode()),), str(value), snapshot(value))

    def cache_map(self, vertex: Vertex) -> CacheMap:
        assert vertex.op.passthrough
        name = vertex.op.passthrough.id.partition("|")[0]
        content = (Selection("/"),) if vertex.digest in self.graph.by_content else None
        return CacheMap(sha256(name.encode()), tuple(Dependency(content=content) for _ in vertex.op.inputs))

    async def local_checksums(self, questions: Sequence[LocalQuestion]) -> list[Digest | EngineError]:
        raise AssertionError("there are no folders here")

    async def checksum(self, result: Result, selections: tuple[Selection, ...]) -> Digest:
        self.hashed[str(number(result))] += 1
        return sha256(str(number(result)).encode())

    def missing_bytes(self, result: Snapshot) -> int | None:
        return 1 if number(result) in self.absent else None

    async def ensure(self, snapshot: Snapshot) -> None:
        self.brought.append(number(snapshot))
        self.absent.discard(number(snapshot))

    async def run(self, vertex: Vertex, inputs: Sequence[Result]) -> Sequence[Result | None]:
        name = vertex.note.name
        self.ran[name] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await trio.lowlevel.checkpoint()
            values = list(map(number, inputs))
            out = await self.behaviour[name](*values) if name in self.behaviour else sum(values)
            self.finished[name] += 1
            return [snapshot(out)]
        finally:
            self.at_once -= 1

    @asynccontextmanager
    async def try_lock(self, key: str) -> AsyncIterator[bool]:
        await trio.lowlevel.checkpoint()
        if key in self.locked:
            yield False
            return
        self.locked[key] = trio.Event()
        try:
            yield True
        finally:
            self.locked.pop(key).set()

    def works_in_row(self, vertex: Vertex) -> bool:
        return vertex.note.name in self.rowable

    async def in_row(self, work: Callable[[], None]) -> None:
        self.rows += 1
        await trio.to_thread.run_sync(work)

    @contextmanager
    def at_desk(self) -> Iterator[Desk]:
        desk = Desk(self)
        try:
            yield desk
        finally:
            desk.close()

    def take(self, key: str) -> bool:
        """For a thread that does steps in a row."""
        if key in self.locked:
            return False
        self.locked[key] = trio.Event()
        return True

    async def wait_lock(self, key: str) -> None:
        if key in self.locked:
            await self.locked[key].wait()

    async def compare(self, question: Question, before: Digest) -> TreeChanges | None:
        return None

    async def remember(self, questions: Sequence[Question]) -> None:
        assert all(isinstance(result, Snapshot) for result, _ in questions), "there are no folders here"

    async def solve(
        self,
        *roots: Edge,
        jobs: int = 16,
        events: list[Event] | None = None,
        targets: Mapping[str, Edge] | None = None,
        each_target: int | None = None,
    ) -> list[int]:
        """The numbers behind some edges; the first failure is raised. `targets` names some of them."""
        listener = events.append if events is not None else lambda event: None
        owners: dict[Digest, tuple[str, ...]] = {}
        for name, edge in (targets or {}).items():
            for vertex in walk(self.graph.vertices, [edge]):
                owners[vertex.digest] = (*owners.get(vertex.digest, ()), name)
        how = Circumstances(jobs, each_target, owners, "/project", self.importer, self.clock)
        async with solving(self.graph.vertices, roots, self, listener, how) as scheduler:
            out: dict[Edge, int] = {}
            failed: list[EngineError] = []

            async def get(edge: Edge) -> None:
                try:
                    out[edge] = number((await scheduler.demand(edge.vertex)).output(edge.index))
                except EngineError as error:
                    failed.append(error)

            async with trio.open_nursery() as nursery:
                for root in roots:
                    nursery.start_soon(get, root)
            if failed:
                raise failed[0]
            return [out[root] for root in roots]


class Desk:
    """Where a thread does sums in a row."""

    def __init__(self, made: Arithmetic) -> None:
        self._made = made
        self._taken: list[str] = []
        self._saved: list[tuple[tuple[str, ...], Record, Vertex]] = []
        self.written = 0

    def take(self, key: str) -> bool:
        if not self._made.take(key):
            return False
        self._taken.append(key)
        return True

    def run(self, vertex: Vertex, inputs: Sequence[Result]) -> Sequence[Result | None]:
        return trio.from_thread.run(self._made.run, vertex, inputs)

    def save(self, key: str, also: str | None, record: Record, vertex: Vertex) -> None:
        self._saved.append(((key, also) if also else (key,), record, vertex))

    def write_meanwhile(self) -> None:
        self._write()
        self.written += 1

    def _write(self) -> None:
        self._made.transactions += bool(self._saved)
        while self._saved:
            keys, record, vertex = self._saved.pop(0)
            self._made.records.save(keys, record, vertex=vertex.digest, name=vertex.name)

    def close(self) -> None:
        self._write()
        for key in self._taken:
            trio.from_thread.run_sync(self._made.locked.pop(key).set)


async def fail() -> int:
    raise StepError("it does not add up")
