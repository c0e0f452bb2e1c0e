"""A recorded build as an OpenTelemetry trace, in the JSON form of OTLP (opentelemetry-proto, trace v1).

One span for the build, below it one for each target, below that one for each step that was worked on; a step that
several targets want is told once, under the first of them. IDs are made from the build's, so that a trace sent twice is
the same trace. Attribute names follow OpenTelemetry's conventions where there are any (`vcs.*`, `cicd.*`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from bakery.history.reasons import why
from bakery.history.record import RecordedBuild, RecordedVertex
from bakery.values import frozen
from bakery.version import VERSION

Json = dict[str, Any]
_INTERNAL, _ERROR = 1, 2


@frozen
class Parent:
    """The span that a build belongs to, from a `traceparent` with its `tracestate` (W3C Trace Context)."""

    trace: str
    span: str
    state: str = ""


def as_otlp(build: RecordedBuild, resource: Mapping[str, str], parent: Parent | None = None) -> Json:
    """An `ExportTraceServiceRequest`. `resource` describes who sends it, `service.name` among the rest."""
    trace = parent.trace if parent else _digest(build.id)[:32]
    spans = list(_Spans(build, trace, parent).all())
    scope = {"name": "bakery", "version": VERSION}
    return {
        "resourceSpans": [
            {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [{"scope": scope, "spans": spans}]}
        ]
    }


class _Spans:
    def __init__(self, build: RecordedBuild, trace: str, parent: Parent | None) -> None:
        self._build = build
        self._trace = trace
        self._parent = parent.span if parent else ""
        self._state = parent.state if parent else ""
        self._worked = [vertex for vertex in build.vertices if vertex.intervals and not vertex.weak]

    def all(self) -> Iterable[Json]:
        """Parents before their children."""
        build, root = self._build, self._id("build")
        ended = max([build.ended, *(vertex.left for vertex in self._worked)])
        git = {"vcs.ref.head.revision": build.summary.commit, "vcs.ref.head.name": build.summary.branch}
        about = {"bakery.build": build.id, "bakery.result": build.summary.state, **git}
        problem = build.error or ("a target failed" if build.summary.state == "failed" else "")
        yield self._span(root, self._parent, "bakery build", build.began, ended, about, problem)
        for name in build.targets:
            yield from self._target(name, root)
        for vertex in self._worked:
            parent = self._id(f"target {vertex.targets[0]}") if vertex.targets else root
            yield self._step(vertex, parent)

    def _target(self, name: str, root: str) -> Iterable[Json]:
        mine = [vertex for vertex in self._worked if name in vertex.targets]
        if not mine:
            return
        target = self._build.targets[name]
        about: Json = {"bakery.target": name, "bakery.result": target.outcome}
        about |= {"bakery.steps": target.steps, "bakery.hits": target.hits, **target.metadata}
        times = min(vertex.began for vertex in mine), max(vertex.left for vertex in mine)
        yield self._span(self._id(f"target {name}"), root, f"target {name}", *times, about, target.error)

    def _step(self, vertex: RecordedVertex, parent: str) -> Json:
        about = {
            "bakery.digest": vertex.digest,
            "bakery.targets": ",".join(vertex.targets),
            "bakery.why": why(vertex.decided),
        }
        about["bakery.result"] = vertex.state
        return self._span(self._id(vertex.digest), parent, vertex.name, vertex.began, vertex.left, about, vertex.error)

    def _span(
        self, id_: str, parent: str, name: str, began: float, ended: float, about: Mapping[str, Any], problem: str
    ) -> Json:
        found: Json = {
            "traceId": self._trace,
            "spanId": id_,
            "name": name,
            "kind": _INTERNAL,
            "startTimeUnixNano": str(round(began * 1e6) * 1000),
            "endTimeUnixNano": str(round(ended * 1e6) * 1000),
            "attributes": _attributes(about),
        }
        if parent:
            found["parentSpanId"] = parent
        if self._state:
            found["traceState"] = self._state
        if problem:
            found["status"] = {"code": _ERROR, "message": problem}
        return found

    def _id(self, name: str) -> str:
        return _digest(f"{self._build.id} {name}")[:16]


def _attributes(values: Mapping[str, Any]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value not in ("", None)]


def _value(value: object) -> Json:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
