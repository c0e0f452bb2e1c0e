"""Work outside the graph, such as an export, told as a vertex of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from engine.digests import Digest
from engine.errors import EngineError
from engine.events import Listener, Status, VertexCompleted, VertexKnown, VertexStarted
from engine.exporters.context import Progress


@contextmanager
def telling(listener: Listener, vertex: Digest, name: str, targets: tuple[str, ...] = ()) -> Iterator[Progress]:
    """Tells that a piece of work starts, how far its parts are, and how it ends."""
    listener(VertexKnown(vertex, name, targets=targets))
    listener(VertexStarted(vertex, time.time()))
    begun: dict[str, float] = {}

    def progress(part: str, done: int, total: int, complete: bool) -> None:
        now = time.time()
        listener(Status(vertex, part, done, total, begun.setdefault(part, now), now, complete))

    try:
        yield progress
    except EngineError as error:
        listener(VertexCompleted(vertex, time.time(), error=error.message))
        raise
    except trio.Cancelled:
        listener(VertexCompleted(vertex, time.time(), error="context canceled", cancelled=True))
        raise
    listener(VertexCompleted(vertex, time.time()))


def tell_cached(listener: Listener, vertex: Digest, name: str, targets: tuple[str, ...] = ()) -> None:
    """Tells that a piece of work had been done before."""
    now = time.time()
    listener(VertexKnown(vertex, name, targets=targets))
    listener(VertexStarted(vertex, now))
    listener(VertexCompleted(vertex, now, cached=True))
