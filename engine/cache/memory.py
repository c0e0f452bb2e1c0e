"""What is remembered of targets between builds, apart from results: a text for each, that the solver understands."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Mapping

from engine.state import State
from engine.values import frozen

_SCHEMA = """CREATE TABLE IF NOT EXISTS targets (
    project TEXT NOT NULL,
    target TEXT NOT NULL,
    fingerprint TEXT NOT NULL,  -- of what the target was when it was last built
    steps BLOB NOT NULL,        -- deflated
    seen REAL NOT NULL,
    PRIMARY KEY (project, target)
) WITHOUT ROWID"""
_CHUNK = 500
_KEEP = 90 * 86400.0
"""Seconds after which a target that nobody builds is forgotten."""


@frozen
class Remembered:
    """What a target was when it was last built: a fingerprint to tell it by, and its steps as text."""

    fingerprint: str
    steps: str


class TargetMemory:
    """The memory of a state folder. `project` tells targets of the same name apart, by the folder they are built in."""

    def __init__(self, state: State, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        state.write(_SCHEMA)

    def fingerprints(self, project: str) -> dict[str, str]:
        """The fingerprint of each target that is known of a project."""
        return dict(self._state.query("SELECT target, fingerprint FROM targets WHERE project = ?", project))

    def load(self, project: str, targets: Iterable[str]) -> dict[str, Remembered]:
        """What is known of some targets."""
        wanted, out = list(targets), {}
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            rows = self._state.query(
                "SELECT target, fingerprint, steps FROM targets WHERE project = ?"
                f" AND target IN ({','.join('?' * len(part))})",
                project,
                *part,
            )
            out.update({name: Remembered(mark, zlib.decompress(steps).decode()) for name, mark, steps in rows})
        return out

    def save(self, project: str, targets: Mapping[str, Remembered]) -> None:
        """Writes down what targets are now. Raises StateError."""
        now = self._clock()
        self._state.write("DELETE FROM targets WHERE seen < ?", now - _KEEP)
        self._state.write_many(
            "INSERT OR REPLACE INTO targets (project, target, fingerprint, steps, seen) VALUES (?, ?, ?, ?, ?)",
            [
                (project, name, each.fingerprint, zlib.compress(each.steps.encode(), 1), now)
                for name, each in targets.items()
            ],
        )
