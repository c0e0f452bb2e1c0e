"""Keeping a display still while somebody else has the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bakery.console.display import PERIOD
from bakery.console.text import printable
from engine.events import Event, Listener


class Hush:
    """Passes events on to a display; while a shell is open it keeps them, and passes them on afterwards."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._kept: list[Event] = []
        self._open = False
        self.opened = 0
        """How many shells have been open."""

    def listen(self, event: Event) -> None:
        """The engine's listener."""
        if self._open:
            self._kept.append(event)
        else:
            self._listener(event)

    @contextmanager
    def opening(self, name: str) -> Iterator[None]:
        """While a shell is open in a step of that name; see `engine.request.Shell`."""
        self._open = True
        time.sleep(2 * PERIOD)  # a display writes that often: what it has heard is said before the shell speaks
        self.opened += 1
        place = f" in {printable(name.encode())}" if name else ""
        sys.stderr.write(f"\n--- a shell{place}, with its files, mounts and environment: leave it with `exit`\n")
        sys.stderr.flush()
        try:
            yield
        finally:
            self._open = False
            kept, self._kept = self._kept, []
            for event in kept:
                self._listener(event)
