"""A recorded build for other programs: everything as one JSON object, or as a trace that Perfetto and Chrome show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bakery.history.critical_path import critical_path
from bakery.history.reasons import why
from bakery.history.record import RecordedBuild, RecordedTarget, RecordedVertex

Json = dict[str, Any]


def as_json(build: RecordedBuild, *, logs: bool = True) -> Json:
    """All there is, with the log of each vertex as text."""
    said: dict[int, list[Json]] = {}
    if logs:
        for vertex, line in build.logs():
            gap = {"gap": line.gap} if line.gap else {}
            text = line.text.decode("utf-8", "replace")
            said.setdefault(vertex.number, []).append({"time": line.time, "stream": line.stream, "text": text} | gap)
    path = [hop.vertex.digest for hop in critical_path(build.vertices)]
    return {
        "id": build.id,
        "state": build.summary.state,
        "began": build.began,
        "ended": build.ended,
        "facts": {key: value for key, value in build.facts.items() if key not in ("id", "began", "targets")},
        "changed": build.result.get("changed"),
        "error": build.error,
        "targets": [_target(target) for target in build.targets.values()],
        "critical_path": path,
        "vertices": [_vertex(vertex, build) | {"log": said.get(vertex.number, [])} for vertex in build.vertices],
    }


def as_trace(build: RecordedBuild) -> Json:
    """The Trace Event Format (Google, "Trace Event Format", v2): one row for each step that ran at the same time."""
    events: list[Json] = []
    rows: list[float] = []
    work = [(start, end, v) for v in build.vertices for start, end in v.intervals if not v.weak]
    for start, end, vertex in sorted(work, key=lambda item: item[:2]):
        row = next((number for number, free in enumerate(rows) if free <= start), len(rows))
        rows[row : row + 1] = [end]
        times = {"ts": round((start - build.began) * 1e6), "dur": round((end - start) * 1e6)}
        about = {"targets": ", ".join(vertex.targets), "state": vertex.state, "digest": vertex.digest}
        event = {"ph": "X", "name": vertex.name, "cat": vertex.state, "pid": 1, "tid": row + 1, **times, "args": about}
        events.append(event)
    return {"displayTimeUnit": "ms", "otherData": {"build": build.id}, "traceEvents": events}


def _target(target: RecordedTarget) -> Json:
    return asdict(target)


def _vertex(vertex: RecordedVertex, build: RecordedBuild) -> Json:
    found: Json = {
        "digest": vertex.digest,
        "name": vertex.name,
        "inputs": [build.vertices[number].digest for number in vertex.inputs if number < len(build.vertices)],
        "targets": list(vertex.targets),
        "state": vertex.state,
        "seconds": round(vertex.seconds, 4),
        "intervals": [list(interval) for interval in vertex.intervals],
    }
    optional: Json = {
        "error": vertex.error,
        "why": why(vertex.decided),
        "transfers": [asdict(moved) for moved in vertex.moves],
        "warnings": [asdict(warning) for warning in vertex.warnings],
    }
    return found | {key: value for key, value in optional.items() if value}
