"""The lines of `events.jsonl` and `logs.jsonl`: JSON arrays that begin with what happened.

    ["owners", k, [target, …]]                              a set of targets, numbered
    ["known", n, digest, name, [input n, …], k, group id, group name, weak]
    ["hit", n, time]                                        nothing was done for vertex n
    ["start", n, time]
    ["end", n, time, error, cancelled]
    ["move", n, part, bytes, total, started, time, completed]
    ["warn", n, short, [detail, …], url, level, file, line]
    ["why", n, how, cause, [[kind, name, before, after], …], more]
    ["target", name, time, outcome]
    ["log", n, time, stream, text]                          bytes that are no UTF-8 as lone surrogates
    ["gap", n, bytes]                                       so much of a log was left out here

Vertices and sets of targets are numbered in the order they are first named, which is what keeps the file small: a
vertex of a hundred targets has one number for them.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from engine.digests import Digest
from engine.events import (
    Decided,
    Event,
    LogChunk,
    Status,
    TargetEnded,
    VertexCompleted,
    VertexKnown,
    VertexStarted,
    Warned,
)

HEAD = 128 * 1024
TAIL = 128 * 1024
"""Bytes of a step's log that are kept: its beginning as it comes, and its end when it ends."""
TOTAL = 64 * 1024 * 1024
"""Bytes of all beginnings in one build; what comes after has only its end kept."""
_DUMP = json.JSONEncoder(separators=(",", ":")).encode
# A user's name and password in a URL, as a git or http source may have it.
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def without_credentials(text: str) -> str:
    """A text in which URLs have lost their user's name and password."""
    return _USERINFO.sub("", text) if "://" in text else text


class _Log:
    """What was kept of one vertex's log."""

    def __init__(self) -> None:
        self.written = 0
        self.left_out = 0
        self.tail: deque[LogChunk] = deque()
        self.tail_bytes = 0


class Encoder:
    """Turns events into lines. `events` and `logs` give what has come together since they were last asked."""

    def __init__(self) -> None:
        self._vertices: dict[Digest, int] = {}
        self._owners: dict[tuple[str, ...], int] = {}
        self._moves: dict[tuple[Digest, str], Status] = {}
        self._logs: dict[Digest, _Log] = {}
        self._all_heads = 0
        self._started: VertexStarted | None = None
        self._events: list[str] = []
        self._log_lines: list[str] = []
        self.worked = False
        """Whether anything was done at all, and not only found."""

    def events(self) -> str:
        """The lines for `events.jsonl`."""
        self._flush_start()
        text = "".join(self._events)
        self._events.clear()
        return text

    def logs(self) -> str:
        """The lines for `logs.jsonl`."""
        text = "".join(self._log_lines)
        self._log_lines.clear()
        return text

    def feed(self, event: Event) -> None:
        """Takes an event in."""
        match event:
            case VertexStarted():
                self._flush_start()
                self._started = event
            case VertexCompleted():
                self._complete(event)
            case VertexKnown():
                self._know(event)
            case LogChunk():
                self._log(event)
            case Status():
                self._move(event)
            case Warned():
                self._warn(event)
            case Decided():
                self._decide(event)
            case TargetEnded():
                self._say("target", event.name, _round(event.time), event.outcome)

    def finish(self) -> None:
        """What was held back to be told shorter."""
        self._flush_start()
        for status in self._moves.values():
            self._say_move(status)
        self._moves.clear()
        for digest in list(self._logs):
            self._end_log(digest)

    def _say(self, *line: object) -> None:
        self._events.append(_DUMP(line) + "\n")

    def _number(self, digest: Digest) -> int:
        return self._vertices.setdefault(digest, len(self._vertices))

    def _know(self, event: VertexKnown) -> None:
        owners = self._owners.get(event.targets)
        if owners is None:
            owners = self._owners[event.targets] = len(self._owners)
            self._say("owners", owners, event.targets)
        inputs = [self._number(digest) for digest in event.inputs]
        number, name = self._number(event.digest), without_credentials(event.name)
        group = (event.group.id, event.group.name, event.group.weak) if event.group else ()
        self._say("known", number, event.digest, name, inputs, owners, *group)

    def _flush_start(self) -> None:
        """A start that is not at once followed by a hit."""
        if self._started is not None:
            started, self._started = self._started, None
            self.worked = True
            self._say("start", self._number(started.digest), _round(started.time))

    def _complete(self, event: VertexCompleted) -> None:
        number = self._number(event.digest)
        if event.cached:
            if self._started and self._started.digest == event.digest:
                self._started = None
            self._flush_start()
            self._say("hit", number, _round(event.time))
            return
        self._flush_start()
        for key in [key for key in self._moves if key[0] == event.digest]:
            self._say_move(self._moves.pop(key))
        self._end_log(event.digest)
        self._say("end", number, _round(event.time), without_credentials(event.error), event.cancelled)

    def _move(self, event: Status) -> None:
        self._flush_start()
        if event.completed:
            self._moves.pop((event.digest, event.id), None)
            self._say_move(event)
        else:
            self._moves[event.digest, event.id] = event

    def _say_move(self, event: Status) -> None:
        part = without_credentials(event.id)
        times = (_round(event.started), _round(event.time))
        self._say("move", self._number(event.digest), part, event.current, event.total, *times, event.completed)

    def _warn(self, event: Warned) -> None:
        starts = [(p.source.filename, r.start.line) for p in event.places for r in p.ranges if r.start]
        file, line = starts[0] if starts else ("", 0)
        self._say("warn", self._number(event.digest), event.short, event.detail, event.url, event.level, file, line)

    def _decide(self, event: Decided) -> None:
        self._flush_start()
        changes = [(c.kind, without_credentials(c.name), _safe(c.before), _safe(c.after)) for c in event.changes]
        self._say("why", self._number(event.digest), event.how.value, event.cause, changes, event.more)

    def _log(self, chunk: LogChunk) -> None:
        log = self._logs.setdefault(chunk.digest, _Log())
        if log.written < HEAD and self._all_heads < TOTAL:
            log.written += len(chunk.data)
            self._all_heads += len(chunk.data)
            self._say_log(chunk)
            return
        log.tail.append(chunk)
        log.tail_bytes += len(chunk.data)
        while log.tail_bytes - len(log.tail[0].data) > TAIL:
            dropped = log.tail.popleft()
            log.tail_bytes -= len(dropped.data)
            log.left_out += len(dropped.data)

    def _say_log(self, chunk: LogChunk) -> None:
        text = chunk.data.decode("utf-8", "surrogateescape")
        line = ("log", self._number(chunk.digest), _round(chunk.time), int(chunk.stream), text)
        self._log_lines.append(_DUMP(line) + "\n")

    def _end_log(self, digest: Digest) -> None:
        log = self._logs.pop(digest, None)
        if log is None:
            return
        if log.left_out:
            self._log_lines.append(_DUMP(("gap", self._number(digest), log.left_out)) + "\n")
        for chunk in log.tail:
            self._say_log(chunk)


def parse(text: str) -> Iterator[list[Any]]:
    """The arrays of a file of lines. A line that a dying process left unfinished is passed over."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, list) and found:
            yield found


def _safe(text: str | None) -> str | None:
    return None if text is None else without_credentials(text)


def _round(time: float) -> float:
    return round(time, 4)
