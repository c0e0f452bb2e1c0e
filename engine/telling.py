"""Work outside the graph, such as an export, told as a vertex of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from engine.digests import Digest, sha256
from engine.errors import EngineError
from engine.events import Listener, Status, VertexCompleted, VertexKnown, VertexStarted, Warned
from engine.exporters.context import Progress
from engine.state import State


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


@contextmanager
def told_what_is_found(state: State, listener: Listener) -> Iterator[None]:
    """Tells at the end what was found damaged or lost in the state folder, each once, as warnings."""
    try:
        yield
    finally:
        tell_what_is_found(state, listener)


def tell_what_is_found(state: State, listener: Listener) -> None:
    """Tells what was found so far."""
    if not state.found:
        return
    vertex, now = sha256(b"state folder"), time.time()
    listener(VertexKnown(vertex, "[internal] check the state folder"))
    listener(VertexStarted(vertex, now))
    for sentence in state.found:
        listener(Warned(vertex, sentence))
    listener(VertexCompleted(vertex, now))
    state.found.clear()


def tell_cached(listener: Listener, vertex: Digest, name: str, targets: tuple[str, ...] = ()) -> None:
    """Tells that a piece of work had been done before."""
    now = time.time()
    listener(VertexKnown(vertex, name, targets=targets))
    listener(VertexStarted(vertex, now))
    listener(VertexCompleted(vertex, now, cached=True))
