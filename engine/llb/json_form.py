"""Definitions as JSON for people and for comparison: a list of vertices by number, without what a session puts in.

The form is that of `tests/vectors/dockerfile/README.md` (llb.json): depth first over the inputs, the terminal vertex
last; `digest` is null for what hangs on a local source, since a session's name is part of those digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.digests import Digest, sha256
from engine.llb.definition import COMMAND_KEY, Definition, Edge, Note, Vertex, walk
from engine.llb.nodes import LOCAL_SCHEME
from engine.llb.ops import Input, LinuxResources, Op
from engine.llb.wire import encode, to_json

_SESSION_ATTRS = ("local.session", "local.unique", "oci.session")


def normal_form(definition: Definition) -> list[dict[str, Any]]:
    """The vertices of a definition as plain data; empty for an empty file system."""
    if definition.root is None:
        return []
    listing = _Listing(definition.walk())
    return [*listing.vertices, listing.terminal(definition.root)]


def merged_form(vertices: Mapping[Digest, Vertex], results: Mapping[str, Edge]) -> list[dict[str, Any]]:
    """One graph with many results: every vertex once, then a terminal vertex for each result with its name."""
    listing = _Listing(walk(vertices, results.values()))
    return [*listing.vertices, *({"result": name} | listing.terminal(edge) for name, edge in results.items())]


class _Listing:
    """Vertices by number, in the order of a walk."""

    def __init__(self, walked: Iterable[Vertex]) -> None:
        self.vertices: list[dict[str, Any]] = []
        self._numbers: dict[Digest, int] = {}
        self._sessions: set[Digest] = set()
        self._notes: list[Note] = []
        groups: dict[str, int] = {}
        for vertex in walked:
            if _is_local(vertex) or any(edge.vertex in self._sessions for edge in vertex.inputs):
                self._sessions.add(vertex.digest)
            self._numbers[vertex.digest] = len(self._numbers)
            self.vertices.append(_vertex(vertex, self._numbers, groups, vertex.digest in self._sessions))
            self._notes.append(vertex.note)

    def terminal(self, root: Edge) -> dict[str, Any]:
        """The vertex that names a result."""
        digest = sha256(encode(Op(inputs=(Input(root.vertex, root.index),))))
        return {
            "digest": None if root.vertex in self._sessions else digest,
            "inputs": [[self._numbers[root.vertex], root.index]],
            "op": {},
            "caps": terminal_caps(self._notes),
        }


def platform_forms(definitions: Mapping[str, Definition]) -> dict[str, list[dict[str, Any]]]:
    """Several platforms' definitions by their names (`linux/amd64`)."""
    return {name: normal_form(definition) for name, definition in definitions.items()}


def terminal_caps(notes: list[Note]) -> list[str]:
    """What a server must know to read notes such as these."""
    caps = {"constraints", "platform"}
    if any(note.ignore_cache for note in notes):
        caps.add("meta.ignorecache")
    if any(note.name or note.command or note.description for note in notes):
        caps.add("meta.description")
    if any(note.export_cache is not None for note in notes):
        caps.add("meta.exportcache")
    return sorted(caps)


def _is_local(vertex: Vertex) -> bool:
    source = vertex.op.source
    return source is not None and (
        source.identifier.startswith(LOCAL_SCHEME) or any(key in source.attrs for key in _SESSION_ATTRS)
    )


def _vertex(vertex: Vertex, numbers: dict[Digest, int], groups: dict[str, int], session: bool) -> dict[str, Any]:
    note = vertex.note
    op = to_json(vertex.op)
    op.pop("inputs", None)
    _drop_session(op)
    out: dict[str, Any] = {
        "digest": None if session else vertex.digest,
        "inputs": [[numbers[edge.vertex], edge.index] for edge in vertex.inputs],
        "op": op,
    }
    if note.name:
        out["name"] = note.name
    if note.command or COMMAND_KEY in note.description:
        out["command"] = note.command
    if note.group:
        number = groups.setdefault(note.group.id, len(groups))
        out["group"] = {"number": number, "name": note.group.name, "weak": note.group.weak}
    if note.ignore_cache:
        out["ignore_cache"] = True
    if note.resources:
        out["linux_resources"] = _resources(note.resources)
    if note.caps:
        out["caps"] = sorted(note.caps)
    lines = [[r.start.line if r.start else None, r.end.line if r.end else None] for p in note.places for r in p.ranges]
    if lines:
        out["lines"] = lines
    return out


def _drop_session(op: dict[str, Any]) -> None:
    source = op.get("source", {})
    attrs = {k: v for k, v in source.get("attrs", {}).items() if k not in _SESSION_ATTRS}
    if attrs:
        source["attrs"] = attrs
    else:
        source.pop("attrs", None)


def _resources(limits: LinuxResources) -> dict[str, str]:
    return {key: str(value) for key, value in to_json(limits).items()}
