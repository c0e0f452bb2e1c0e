"""Watches that something happens. When nothing does for long, or a signal asks, it tells what everybody waits for."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from engine.digests import Digest, sha256
from engine.events import Event, Listener, LogChunk, Stream, VertexCompleted, VertexKnown, VertexStarted
from engine.solver.waits import Waits

SILENCE = 30.0
"""Seconds of silence after which it is told for the first time; then after twice as long, and so on."""
ASK = signal.SIGUSR1


class Watchdog:
    """Hears all events of a build on their way to the listener."""

    def __init__(self, listener: Listener, waits: Waits, clock: Callable[[], float] = time.time) -> None:
        self._listener = listener
        self._waits = waits
        self._clock = clock
        self._heard = trio.current_time()
        self._reports = 0

    def listen(self, event: Event) -> None:
        """Passes an event on."""
        self._heard = trio.current_time()
        self._listener(event)

    async def watch(self) -> None:
        """Tells of silence, until cancelled."""
        patience = SILENCE
        heard = self._heard
        while True:
            await trio.sleep_until(heard + patience)
            if self._heard == heard:
                self.report(f"nothing has happened for {patience:.0f} s")
                patience *= 2
            else:
                heard, patience = self._heard, SILENCE

    @contextmanager
    def hearing(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """From here on SIGUSR1 does not end the process; what is given tells what is waited for whenever it comes.

        Only the main thread can hear signals, and only one build at a time.
        """
        if threading.current_thread() is not threading.main_thread():
            yield trio.sleep_forever
            return
        with trio.open_signal_receiver(ASK) as signals:

            async def obey() -> None:
                async for _ in signals:
                    self.report("what this build waits for")

            yield obey

    def report(self, title: str) -> None:
        """Tells what everybody waits for, as a vertex with a log."""
        self._reports += 1
        vertex: Digest = sha256(f"watchdog {self._reports}".encode())
        now = self._clock()
        lines = self._waits.lines() or ["nobody waits for anything"]
        self._listener(VertexKnown(vertex, f"[internal] {title}"))
        self._listener(VertexStarted(vertex, now))
        self._listener(LogChunk(vertex, Stream.STDERR, "".join(f"{line}\n" for line in lines).encode(), now))
        self._listener(VertexCompleted(vertex, now))
