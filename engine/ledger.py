"""Changes of the database that wait to be made together: most of what a small change costs is its transaction."""

from __future__ import annotations

import threading
from typing import Any

from engine.state import State

Change = tuple[str, tuple[Any, ...]]
"""A statement with its values."""


class Ledger:
    """What somebody has to record. Any number of threads may use it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._guard = threading.Lock()
        self._changes: dict[str, list[tuple[Any, ...]]] = {}

    def enter(self, *changes: Change) -> None:
        """Takes changes in that belong together; `write` makes all of them, or none."""
        with self._guard:
            for sql, values in changes:
                self._changes.setdefault(sql, []).append(values)

    def write(self) -> None:
        """Makes all changes in one transaction, in no certain order. Those that fail are kept. Raises StateError."""
        with self._guard:
            if not self._changes:
                return
            with self._state.transaction():
                for sql, rows in self._changes.items():
                    self._state.write_many(sql, rows)
            self._changes.clear()
