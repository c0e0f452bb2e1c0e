"""What is known: cache keys, and the results that they stand for.

One result may be found under several keys (its definition key, its content key); all of them carry the same identity.
A record is written only when its layers are in place, and read only while they are all still recorded.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from engine.disks import is_gone
from engine.ledger import Ledger
from engine.results import LayerID, Snapshot
from engine.state import State
from engine.values import frozen

_SAVE = (
    "INSERT OR REPLACE INTO records (key, result, identity, vertex, name, created, used, seconds)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_CHUNK = 500
"""Keys in one SELECT; SQLite takes at least 999 parameters."""


@frozen
class Record:
    """A known result: one snapshot for each output, None for an empty one.

    `identity` names this very result: what was made by one run of one step, whatever key finds it. `seconds` is how
    long that run took.
    """

    results: tuple[Snapshot | None, ...]
    identity: str
    seconds: float = 0.0


def new_identity() -> str:
    """A name for a result that has just been made."""
    return os.urandom(16).hex()


def new_identities() -> Iterator[str]:
    """Names for results that are recorded together: neighbours in the database, which is written by pages."""
    first = os.urandom(12).hex()
    return (f"{first}{number:08x}" for number in count())


class RecordStore:
    """The records of a state folder."""

    def __init__(self, state: State, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    def find(self, keys: Iterable[str]) -> dict[str, Record]:
        """The records of those keys that are known, each complete. Their layers stay as long as this lease."""
        with self._state.lease.taking():
            found = self._read(keys)
            wanted = {layer for record in found.values() for layer in _layers(record)}
            missing, lost = self._missing(wanted)
            self._state.lease.hold(wanted - missing)
        if lost:
            self._forget(lost)
            self._state.found.append(f"{len(lost)} layers of earlier builds were gone from {self._state.layers}")
        return {key: record for key, record in found.items() if not missing.intersection(_layers(record))}

    def _forget(self, layers: set[LayerID]) -> None:
        """Forgets layers that cannot be had again, and all results that need them."""
        with self._state.transaction():
            self._state.forget_layers(layers)
            self._state.write_many(
                "DELETE FROM records WHERE ?1 NOT IN (SELECT id FROM layers) AND json_valid(result) AND EXISTS ("
                " SELECT 1 FROM json_each(result) snapshot, json_each(snapshot.value) layer"
                " WHERE snapshot.type = 'array' AND layer.value = ?1)",
                [(layer,) for layer in layers],
            )

    def _read(self, keys: Iterable[str]) -> dict[str, Record]:
        wanted = list(dict.fromkeys(keys))
        rows: list[tuple[str, str, str, float]] = []
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            marks = ",".join("?" * len(part))
            rows += self._state.query(
                f"SELECT key, result, identity, seconds FROM records WHERE key IN ({marks})", *part
            )
        return {key: Record(_parse(result), identity, seconds) for key, result, identity, seconds in rows}

    def save(self, keys: Iterable[str], record: Record, *, vertex: str, name: str) -> None:
        """Writes a result under its keys; what they stood for before is forgotten."""
        ledger = Ledger(self._state)
        self.enter(ledger, keys, record, vertex=vertex, name=name)
        ledger.write()

    def enter(self, ledger: Ledger, keys: Iterable[str], record: Record, *, vertex: str, name: str) -> None:
        """As `save`, when the ledger is written."""
        now, result = self._clock(), _format(record.results)
        rest = (result, record.identity, vertex, name, now, now, record.seconds)
        ledger.enter(*((_SAVE, (key, *rest)) for key in dict.fromkeys(keys)))

    def touch(self, identities: Iterable[str]) -> None:
        """Notes that results were used, with their layers: garbage collection takes the longest unused first."""
        now, names = self._clock(), list(dict.fromkeys(identities))
        self._state.write_many(
            "UPDATE records SET used = ?, uses = uses + 1 WHERE identity = ?", [(now, name) for name in names]
        )

    def _missing(self, layers: set[LayerID]) -> tuple[set[LayerID], set[LayerID]]:
        """The layers that are not recorded, or whose files somebody has taken away (the second set) for good."""
        unpacked: dict[LayerID, bool] = {}
        wanted = list(layers)
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            marks = ",".join("?" * len(part))
            # A layer that came with an image can be fetched again.
            unpacked.update(
                self._state.query(f"SELECT id, unpacked AND diff_id IS NULL FROM layers WHERE id IN ({marks})", *part)
            )
        lost = _not_there([layer for layer, is_here in unpacked.items() if is_here], self._state.layers)
        return (layers - unpacked.keys()) | lost, lost


def _not_there(layers: Sequence[LayerID], folder: Path) -> set[LayerID]:
    """Which of these have no content. Of many, it costs less to list all that are there; whose content alone is gone is
    found out when somebody reads it.
    """
    if len(layers) > _CHUNK:
        return set(layers).difference(os.listdir(folder))
    return {layer for layer in layers if is_gone(f"{folder}/{layer}/fs")}


def _layers(record: Record) -> list[LayerID]:
    return [layer for snapshot in record.results if snapshot for layer in snapshot.layers]


def _format(results: Sequence[Snapshot | None]) -> str:
    return json.dumps([list(s.layers) if s is not None else None for s in results], separators=(",", ":"))


def _parse(text: str) -> tuple[Snapshot | None, ...]:
    return tuple(None if layers is None else Snapshot(tuple(map(LayerID, layers))) for layers in json.loads(text))
