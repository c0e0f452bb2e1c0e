"""Definitions as JSON for people and for comparison: a list of vertices by number, without what a session puts in.

The form is that of `tests/vectors/dockerfile/README.md` (llb.json): depth first over the inputs, the terminal vertex
last; `digest` is null for what hangs on a local source, since a session's name is part of those digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.digests import Digest, sha256
from engine.llb.definition import COMMAND_KEY, Definition, Note, Vertex
from engine.llb.nodes import LOCAL_SCHEME
from engine.llb.ops import Input, LinuxResources, Op
from engine.llb.wire import encode, to_json

_SESSION_ATTRS = ("local.session", "local.unique", "oci.session")


def normal_form(definition: Definition) -> list[dict[str, Any]]:
    """The vertices of a definition as plain data; empty for an empty file system."""
    if definition.root is None:
        return []
    numbers: dict[Digest, int] = {}
    sessions: set[Digest] = set()
    groups: dict[str, int] = {}
    out = []
    notes = []
    for vertex in definition.walk():
        if _is_local(vertex) or any(edge.vertex in sessions for edge in vertex.inputs):
            sessions.add(vertex.digest)
        numbers[vertex.digest] = len(numbers)
        out.append(_vertex(vertex, numbers, groups, vertex.digest in sessions))
        notes.append(vertex.note)
    root = definition.root
    terminal = sha256(encode(Op(inputs=(Input(root.vertex, root.index),))))
    out.append(
        {
            "digest": None if root.vertex in sessions else terminal,
            "inputs": [[numbers[root.vertex], root.index]],
            "op": {},
            "caps": terminal_caps(notes),
        }
    )
    return out


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
