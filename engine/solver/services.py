"""What the solver needs of the house, as one contract: it knows operations, sources and stores only through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from engine.cache.content.trees import TreeChanges
from engine.cache.memory import Remembered
from engine.cache.records import Record
from engine.digests import Digest
from engine.errors import EngineError
from engine.llb.definition import Vertex
from engine.ops.contract import CacheMap, Selection
from engine.results import LocalTree, Result, Snapshot
from engine.sources.contract import Resolved

if TYPE_CHECKING:
    from engine.solver.keys import DefinitionKeys, Facts

LocalQuestion = tuple[LocalTree, tuple[Selection, ...]]
"""Which content of which folder."""
Question = tuple[Result, tuple[Selection, ...]]
"""Which content of which result."""


class Records(Protocol):
    """What is known."""

    def find(self, keys: Iterable[str]) -> dict[str, Record]:
        """The complete records of those keys that have one."""
        ...

    def save(self, keys: Iterable[str], record: Record, *, vertex: str, name: str) -> None:
        """Writes a result under its keys."""
        ...

    def touch(self, identities: Iterable[str]) -> None:
        """Notes that results were used."""
        ...


class Memory(Protocol):
    """What targets were made of when they were last built; `project` tells those of the same name apart."""

    def fingerprints(self, project: str) -> Mapping[str, str]:
        """Of each target that is known of a project."""
        ...

    def load(self, project: str, targets: Iterable[str]) -> Mapping[str, Remembered]:
        """What is known of some targets."""
        ...

    def save(self, project: str, targets: Mapping[str, Remembered]) -> None:
        """Replaces what is known of some targets."""
        ...


class Desk(Protocol):
    """Where a thread does steps one after the other: what it saves is written together, and locked until then."""

    @property
    def written(self) -> int:
        """How often something was written meanwhile, which others may have found since."""
        ...

    def take(self, key: str) -> bool:
        """As `Services.try_lock`; held until what is saved under the key is written."""
        ...

    def run(self, vertex: Vertex, inputs: Sequence[Result]) -> Sequence[Result | None]:
        """Does the work of an op vertex; its inputs are here. Raises EngineError."""
        ...

    def save(self, key: str, also: str | None, record: Record, vertex: Vertex) -> None:
        """Has a result written under a key that was taken, and under another one."""
        ...

    def write_meanwhile(self) -> None:
        """Writes what was saved so far, from another thread. What cannot be written now is tried again in the end."""
        ...


class Services(Protocol):
    """Everything that the solver asks others to do."""

    @property
    def records(self) -> Records:
        """The records of the state folder."""
        ...

    async def resolve(self, vertex: Vertex) -> Resolved:
        """What a source vertex means now. Raises EngineError."""
        ...

    def cache_map(self, vertex: Vertex) -> CacheMap:
        """The identity of an op vertex. Raises EngineError for an op nobody can do."""
        ...

    async def local_checksums(self, questions: Sequence[LocalQuestion]) -> list[Digest | EngineError]:
        """The checksum of each, or why there is none, such as a file that is not there."""
        ...

    async def checksum(self, result: Result, selections: tuple[Selection, ...]) -> Digest:
        """The checksum of a part of a result, which is fetched for that if it is not here. Raises EngineError."""
        ...

    def missing_bytes(self, result: Snapshot) -> int | None:
        """How much would be fetched to bring a result here, as far as that is known; None if it is here."""
        ...

    async def ensure(self, snapshot: Snapshot) -> None:
        """Brings a result here. Raises EngineError."""
        ...

    async def run(self, vertex: Vertex, inputs: Sequence[Result]) -> Sequence[Result | None]:
        """Does the work of an op vertex. Raises EngineError."""
        ...

    def try_lock(self, key: str) -> AbstractAsyncContextManager[bool]:
        """Held while a key's work is done, so that nobody else does the same; False if somebody is at it already."""
        ...

    async def wait_lock(self, key: str) -> None:
        """Returns when nobody is at a key's work any more."""
        ...

    def works_in_row(self, vertex: Vertex) -> bool:
        """Whether an op vertex is done by a thread that waits for nobody: those may be done one after the other."""
        ...

    async def in_row(self, work: Callable[[], None]) -> None:
        """Calls a function in a thread that may do such work."""
        ...

    def at_desk(self) -> AbstractContextManager[Desk]:
        """Where such a thread works; leaving the block writes what is left. Raises EngineError if that fails."""
        ...

    @property
    def memory(self) -> Memory:
        """What is remembered of earlier builds."""
        ...

    async def compare(self, question: Question, before: Digest) -> TreeChanges | None:
        """How some content differs from what had another checksum; None if that is not known."""
        ...

    async def remember(self, questions: Sequence[Question]) -> None:
        """Keeps what was there, to compare it with later."""
        ...


class Importer(Protocol):
    """Results that others have exported. It is asked for what is not known here; it never fails, it only knows less."""

    async def known(self, vertices: Sequence[Vertex], facts: Facts, keys: DefinitionKeys) -> Mapping[str, Record]:
        """What is found by definition alone, by definition key; `vertices` are all that are wanted, inputs first."""
        ...

    def leads(self, vertex: Vertex, position: int) -> bool:
        """Whether the key of one input of an op vertex leads to something that may be the vertex's result."""
        ...

    async def by_content(self, vertex: Vertex, checksums: Sequence[Digest | None]) -> Record | None:
        """What is found for an op vertex once its inputs are there, or some of them; `checksums` tell for each input
        the content that the op takes from it, None where it counts by what made it, or is not there."""
        ...
