"""What frontends warned of, told as events of the step that loads the Dockerfile, as BuildKit tells it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.digests import Digest, sha256
from engine.events import Listener, VertexCompleted, VertexKnown, VertexStarted, Warned

if TYPE_CHECKING:
    from bakery.graph.lower import Lowered
    from engine.frontends.contract import FrontendWarning


def tell_warnings(lowered: Mapping[str, Lowered], listener: Listener) -> None:
    """Tells each warning once, however many targets share the Dockerfile and the lines."""
    found: dict[FrontendWarning, list[str]] = {}
    for name, one in lowered.items():
        for warning in one.result.warnings:
            found.setdefault(warning, []).append(name)
    told: dict[Digest, str] = {}
    for warning, targets in found.items():
        source = warning.places[0].source if warning.places else None
        filename = source.filename if source else "Dockerfile"
        vertex = sha256(f"load build definition {filename}\0".encode() + (source.data if source else b""))
        if vertex not in told:
            told[vertex] = filename
            name = f"[internal] load build definition from {filename}"
            listener(VertexKnown(vertex, name, targets=tuple(targets)))
            listener(VertexStarted(vertex, time.time()))
        listener(_warned(vertex, warning))
    for vertex in told:
        listener(VertexCompleted(vertex, time.time()))


def _warned(vertex: Digest, warning: FrontendWarning) -> Warned:
    ranges = warning.places[0].ranges if warning.places else ()
    line = f" (line {ranges[0].start.line})" if ranges and ranges[0].start else ""
    short = f"{warning.rule}: {warning.detail}{line}"
    return Warned(vertex, short, (warning.description,), warning.url, places=warning.places)
