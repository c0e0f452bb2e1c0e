"""Builds told as events, with a clock of their own: what a view makes of them is the same in every run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from engine.digests import Digest
from engine.events import Event, LogChunk, Status, Stream, VertexCompleted, VertexKnown, VertexStarted

START = 1_700_000_000.0


class View(Protocol):
    def feed(self, event: Event) -> None: ...
    def render(self, now: float) -> str: ...
    def final(self, now: float) -> str: ...


def digest(number: int) -> Digest:
    return Digest(f"sha256:{number:064x}")


def known(number: int, name: str, *targets: str, inputs: tuple[int, ...] = ()) -> VertexKnown:
    return VertexKnown(digest(number), name, tuple(digest(i) for i in inputs), None, targets)


def started(number: int, at: float) -> VertexStarted:
    return VertexStarted(digest(number), START + at)


def done(number: int, at: float) -> VertexCompleted:
    return VertexCompleted(digest(number), START + at)


def cached(number: int, at: float) -> VertexCompleted:
    return VertexCompleted(digest(number), START + at, cached=True)


def failed(number: int, at: float, error: str) -> VertexCompleted:
    return VertexCompleted(digest(number), START + at, error=error)


def cancelled(number: int, at: float) -> VertexCompleted:
    return VertexCompleted(digest(number), START + at, cancelled=True)


def said(number: int, at: float, data: bytes) -> LogChunk:
    return LogChunk(digest(number), Stream.STDOUT, data, START + at)


def moved(number: int, at: float, id_: str, current: int, total: int, since: float, over: bool = False) -> Status:
    return Status(digest(number), id_, current, total, START + since, START + at, over)


def play(view: View, events: Iterable[Event], period: float = 0.1) -> str:
    """All that a view writes while events come in at their times and it is asked every `period` seconds."""
    now, out = START, []
    for event in events:
        at = getattr(event, "time", now)
        while now + period < at:
            now += period
            out.append(view.render(now))
        view.feed(event)
    return "".join([*out, view.final(now + period)])


def failing_build() -> list[Event]:
    """Two targets that share a base; one of them fails, which cancels what hangs on it."""
    error = 'process "/bin/sh -c make" did not complete successfully: exit code: 2'
    return [
        known(1, "[internal] load build definition from Dockerfile"),
        started(1, 0.0),
        moved(1, 0.02, "transferring dockerfile:", 154, 0, 0.0, over=True),
        done(1, 0.02),
        known(2, "[base 1/1] FROM busybox", "api", "docs"),
        known(3, "[build 1/2] RUN make", "api", inputs=(2,)),
        known(4, "[build 2/2] COPY a b", "api", inputs=(3,)),
        known(5, "[site 1/1] RUN mkdocs", "docs", inputs=(2,)),
        cached(2, 0.1),
        started(3, 0.1),
        started(5, 0.1),
        said(3, 0.4, b"cc -c main.c\ncc -c ut"),
        said(5, 0.5, b"\x1b[31mred\x1b[0m\x1b[2J building\x07\r\n"),
        said(3, 0.7, b"il.c\n"),
        done(5, 1.5),
        failed(3, 12.2, error),
        started(4, 12.2),
        cancelled(4, 12.2),
    ]
