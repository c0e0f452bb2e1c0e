"""Progress as data: one JSON object a line, in the shape of BuildKit's `SolveStatus`."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Collection
from typing import Any

from bakery.console.text import rfc3339
from bakery.console.titles import titled
from bakery.values import record
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
from engine.llb.definition import Place
from engine.llb.ops import Position

CANCELLED = "context canceled"
"""The error that BuildKit's readers know a cancelled vertex by."""

Record = dict[str, Any]


@record
class _Vertex:
    base: Record
    started: float | None = None


class RawJsonView:
    """Takes events in; `render` gives their lines. `targets`: what is built, which names of steps carry if several."""

    def __init__(self, targets: Collection[str] = ()) -> None:
        self._several = len(targets) > 1
        self._vertices: dict[Digest, _Vertex] = {}
        self._out: list[str] = []

    def feed(self, event: Event) -> None:
        """Take an event in."""
        record = self._record(event)
        if record:
            self._out.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")

    def render(self, now: float) -> str:
        """The lines of what was fed since the last call."""
        text = "".join(self._out)
        self._out.clear()
        return text

    final = render

    def _record(self, event: Event) -> Record:
        match event:
            case VertexKnown() | VertexStarted() | VertexCompleted():
                return {"vertexes": [self._vertex(event)]}
            case Status():
                return {"statuses": [_status(event)]}
            case LogChunk():
                log = {"vertex": event.digest, "stream": int(event.stream)}
                return {"logs": [{**log, "data": _base64(event.data), "timestamp": rfc3339(event.time)}]}
            case Warned():
                return {"warnings": [warning_record(event)]}
            case Decided() | TargetEnded():
                return {}  # the peer's format has no word for it

    def _vertex(self, event: VertexKnown | VertexStarted | VertexCompleted) -> Record:
        vertex = self._vertices.setdefault(event.digest, _Vertex({"digest": event.digest}))
        match event:
            case VertexKnown():
                vertex.base = _known(event, titled(event.name, event.targets) if self._several else event.name)
                return vertex.base
            case VertexStarted():
                vertex.started = event.time
                return {**vertex.base, "started": rfc3339(event.time)}
            case VertexCompleted():
                started = event.time if vertex.started is None else vertex.started
                vertex.started = None
                record = {**vertex.base, "started": rfc3339(started), "completed": rfc3339(event.time)}
                error = event.error or (CANCELLED if event.cancelled else "")
                if event.cancelled and not error.endswith(CANCELLED):
                    error = f"{error}: {CANCELLED}"
                return record | ({"cached": True} if event.cached else {}) | ({"error": error} if error else {})


def _known(event: VertexKnown, name: str) -> Record:
    record: Record = {"digest": event.digest}
    if event.inputs:
        record["inputs"] = list(event.inputs)
    record["name"] = name
    if event.group:
        group = {"id": event.group.id, "name": event.group.name, "weak": event.group.weak}
        record["progressGroup"] = {key: value for key, value in group.items() if value}
    return record


def _status(event: Status) -> Record:
    record: Record = {"id": event.id, "vertex": event.digest}
    if event.total:
        record["total"] = event.total
    record |= {"current": event.current, "timestamp": rfc3339(event.time), "started": rfc3339(event.started)}
    return record | ({"completed": rfc3339(event.time)} if event.completed else {})


def warning_record(event: Warned) -> Record:
    """A warning in BuildKit's shape (`VertexWarning`), as `--metadata-file` has it, too."""
    record: Record = {"vertex": event.digest, "level": event.level, "short": _base64(event.short.encode())}
    if event.detail:
        record["detail"] = [_base64(line.encode()) for line in event.detail]
    if event.url:
        record["url"] = event.url
    if event.places:
        record |= _place(event.places[0])
    return record


def _place(place: Place) -> Record:
    source = {"filename": place.source.filename, "data": _base64(place.source.data)}
    ranges = [{"start": _position(r.start), "end": _position(r.end)} for r in place.ranges]
    return {"sourceInfo": {**source, "language": place.source.language}, "range": ranges}


def _position(position: Position | None) -> Record:
    if position is None:
        return {}
    return {"line": position.line} | ({"character": position.character} if position.character else {})


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
