"""What each task is waiting for, kept for the one who asks why nothing happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.values import frozen


@frozen
class Wait:
    """Somebody who waits: for what, and since when."""

    who: str
    reason: Callable[[], str]
    since: float


class Waits:
    """Everybody who waits now, the longest first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waits: dict[object, Wait] = {}

    @contextmanager
    def noted(self, who: str, reason: Callable[[], str]) -> Iterator[None]:
        """Somebody waits inside the block. `reason` is only called when somebody asks."""
        key = object()
        self._waits[key] = Wait(who, reason, self._clock())
        try:
            yield
        finally:
            del self._waits[key]

    def lines(self) -> list[str]:
        """A line for each who waits."""
        now = self._clock()
        return [f"{w.who}: {w.reason()} for {max(0.0, now - w.since):.0f} s" for w in self._waits.values()]
