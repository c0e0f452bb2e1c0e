"""Ctrl-C during a build: the first one ends it in good order, a second one at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.stop import Stop


class InterruptStop(Stop):
    """The wish to stop that a SIGINT is."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = False
        """Whether the first SIGINT is, or was, such a wish. One before that is a KeyboardInterrupt, as usual."""

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Inside the block the first SIGINT is a wish to stop; those after it are KeyboardInterrupts again."""
        import trio

        if threading.current_thread() is not threading.main_thread():
            yield  # signals come to the main thread alone
            return
        watcher = trio.CancelScope()

        async def watch() -> None:
            with watcher, trio.open_signal_receiver(signal.SIGINT) as signals:
                self.heard = True
                async for _ in signals:
                    self.wish()
                    return

        trio.lowlevel.spawn_system_task(watch)
        try:
            yield
        finally:
            watcher.cancel()
