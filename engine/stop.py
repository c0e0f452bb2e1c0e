"""Ending a build from outside, so that it still says how each target ended."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is nothing but the user's Ctrl-C, which may come as a group of several."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_interrupt(part) for part in error.exceptions)
    return isinstance(error, KeyboardInterrupt)


class Stop:
    """A wish that may come at any time. What is at work is cancelled then, and cleaned up as always."""

    def __init__(self) -> None:
        self.wished = False
        self._scopes: list[trio.CancelScope] = []

    def wish(self) -> None:
        """Ends what is being done. To be called in trio's thread."""
        self.wished = True
        for scope in self._scopes:
            scope.cancel()

    @contextmanager
    def ending(self, deadline: float = math.inf) -> Iterator[trio.CancelScope]:
        """A block that is cancelled when somebody wishes so, or at `deadline` on trio's clock."""
        import trio

        with trio.CancelScope(deadline=deadline) as scope:
            self._scopes.append(scope)
            try:
                if self.wished:
                    scope.cancel()
                yield scope
            finally:
                self._scopes.remove(scope)
