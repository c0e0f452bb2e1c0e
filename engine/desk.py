"""Where a thread does file steps in a row: what is done is recorded together, under locks held until that is so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from engine.cache.records import Record, RecordStore
from engine.errors import EngineError
from engine.key_locks import HeldKeys
from engine.ledger import Ledger
from engine.llb.definition import Vertex
from engine.results import Result

Run = Callable[[Vertex, Sequence[Result], Ledger], Sequence[Result | None]]
"""Does the work of a vertex; what there is to record of it goes into the ledger."""


class Desk:
    """`engine.solver.services.Desk` for one thread. Another one may `write_meanwhile`."""

    def __init__(self, run: Run, records: RecordStore, locks: HeldKeys, ledger: Ledger) -> None:
        self._run = run
        self._records = records
        self._locks = locks
        self._ledger = ledger
        self._guard = threading.Lock()
        self._saved: list[str] = []
        self.written = 0

    def take(self, key: str) -> bool:
        """Locks a key until what is saved under it is written; False if somebody else is at it."""
        return self._locks.take(key)

    def run(self, vertex: Vertex, inputs: Sequence[Result]) -> Sequence[Result | None]:
        """Does the work of a vertex whose inputs are here. Raises EngineError."""
        return self._run(vertex, inputs, self._ledger)

    def save(self, key: str, also: str | None, record: Record, vertex: Vertex) -> None:
        """Has a result written under a key that was taken, and under another one."""
        keys = (key,) if also is None else (key, also)
        self._records.enter(self._ledger, keys, record, vertex=vertex.digest, name=vertex.name)
        self._saved.append(key)

    def write_meanwhile(self) -> None:
        """Writes what was saved so far and unlocks its keys, unless somebody is at it. What fails is tried again."""
        if not self._saved or not self._guard.acquire(blocking=False):
            return
        try:
            saved, self._saved = self._saved, []  # what is saved from now on may come too late for this transaction
            self.written += 1
            self._ledger.write()
            self._locks.free(saved)
        except EngineError:
            return  # told by `close`
        finally:
            self._guard.release()

    def close(self) -> None:
        """Writes what is left and unlocks all keys. Raises StateError."""
        with self._guard:
            self._saved.clear()  # who comes later to write meanwhile has nothing to unlock any more
            try:
                self._ledger.write()
            finally:
                self._locks.close()
