"""Steps that are recorded together: all or nothing, and locked for others until they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.cache.records import Record, RecordStore, new_identity
from engine.desk import Desk
from engine.errors import StateError
from engine.key_locks import KeyLocks
from engine.leases import names_in_use
from engine.ledger import Ledger
from engine.llb.definition import Note, Vertex
from engine.llb.ops import PassthroughOp
from engine.results import Result, Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import State

KEYS = [f"{number:x}" * 64 for number in range(1, 7)]
STEP = Vertex.make(PassthroughOp(id="step", outputs=(0,)), note=Note(name="step"))


class Place:
    """A state folder with one desk, as a row has it."""

    def __init__(self, root: Path) -> None:
        self.state = State.open(root)
        self.records = RecordStore(self.state)
        self.store = SnapshotStore(self.state)
        self.locks = KeyLocks(self.state.locks)
        self.ledger = Ledger(self.state)
        self.desk = Desk(self._run, self.records, self.locks.several(), self.ledger)

    def _run(self, vertex: Vertex, inputs: Sequence[Result], ledger: Ledger) -> Sequence[Result | None]:
        base = inputs[0]
        assert isinstance(base, Snapshot)
        with self.store.new_layer(base, ledger) as layer:
            return [layer.commit(vertex.name)]

    def row(self, keys: Sequence[str]) -> Snapshot:
        """Steps one upon the other; the last result."""
        result: Snapshot = Snapshot()
        for key in keys:
            assert self.desk.take(key)
            (made,) = self.desk.run(STEP, [result])
            assert isinstance(made, Snapshot)
            result = made
            self.desk.save(key, None, Record((result,), new_identity()), STEP)
        return result

    def is_locked(self, key: str) -> bool:
        with KeyLocks(self.state.locks).trying(key) as held:
            return not held

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The transactions that are made meanwhile."""
        began: list[str] = []
        with self.state.exclusive() as connection:
            connection.set_trace_callback(lambda sql: began.append(sql) if sql.startswith("BEGIN") else None)
        try:
            yield began
        finally:
            with self.state.exclusive() as connection:
                connection.set_trace_callback(None)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.store.close()
    made.state.close()


def test_a_row_of_six_steps_is_one_transaction(place: Place) -> None:
    with place.counted() as began:
        result = place.row(KEYS)
        assert not place.records.find(KEYS)
        place.desk.close()
    assert len(began) == 1
    assert place.records.find(KEYS)[KEYS[-1]].results == (result,)


def test_keys_are_locked_until_what_is_saved_under_them_is_there(place: Place) -> None:
    place.row(KEYS[:2])
    assert place.desk.take(KEYS[2])
    assert [place.is_locked(key) for key in KEYS[:4]] == [True, True, True, False]
    before = place.desk.written
    place.desk.write_meanwhile()
    assert place.desk.written > before
    assert list(place.records.find(KEYS)) == KEYS[:2]
    assert [place.is_locked(key) for key in KEYS[:3]] == [False, False, True], "the third is still at work"
    place.desk.close()
    assert not place.is_locked(KEYS[2])


def test_who_writes_meanwhile_never_waits_for_who_writes(place: Place) -> None:
    place.row(KEYS[:1])
    with place.state.transaction():
        closing = threading.Thread(target=place.desk.close)
        closing.start()
        while not place.desk._guard.locked():
            pass
        place.desk.write_meanwhile()
        assert not place.records.find(KEYS)
    closing.join()
    assert list(place.records.find(KEYS)) == KEYS[:1]


def test_what_cannot_be_written_meanwhile_is_told_in_the_end(place: Place) -> None:
    place.row(KEYS[:2])
    with place.state.exclusive() as connection:
        connection.execute("PRAGMA query_only = ON")
    place.desk.write_meanwhile()
    assert place.is_locked(KEYS[0])
    with pytest.raises(StateError, match="readonly"):
        place.desk.close()
    assert not place.is_locked(KEYS[0])
    with place.state.exclusive() as connection:
        connection.execute("PRAGMA query_only = OFF")
    assert not place.records.find(KEYS)


def test_who_writes_too_late_unlocks_nothing(place: Place) -> None:
    place.row(KEYS[:1])
    place.desk.close()
    other = place.locks.several()  # with the same descriptor
    assert other.take(KEYS[0])
    place.desk.write_meanwhile()
    assert place.is_locked(KEYS[0])
    other.close()


def test_layers_that_are_not_yet_recorded_are_in_use(place: Place) -> None:
    result = place.row(KEYS[:2])
    assert set(result.layers) <= names_in_use(place.state.locks)
    place.desk.close()
