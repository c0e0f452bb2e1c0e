"""The steps of a build as `max` provenance tells them: the LLB by number, where each was written, and its layers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine import oci
from engine.attestations.materials import without_password
from engine.digests import Digest, sha256
from engine.exporters.contract import BuildFacts
from engine.llb.definition import Definition, Edge, Vertex
from engine.llb.go_json import go_json
from engine.llb.ops import Input, Op, SourceInfo
from engine.llb.wire import encode

_SESSION = ("local.session", "local.unique")


def build_config(vertices: Sequence[Vertex], definition: Definition) -> dict[str, Any]:
    """All vertices in the order of a walk, the terminal one last; none for an empty file system."""
    if definition.root is None:
        return {}
    numbers = {vertex.digest: number for number, vertex in enumerate(vertices)}
    steps = [_step(numbers[v.digest], v.op, _inputs(v.inputs, numbers)) for v in vertices]
    root = definition.root
    terminal = Op(inputs=(Input(root.vertex, root.index),))
    steps.append(_step(len(vertices), terminal, _inputs([root], numbers)))
    mapping = {**numbers, sha256(encode(terminal)): len(vertices)}
    return {
        "llbDefinition": steps,
        "digestMapping": {digest: f"step{number}" for digest, number in sorted(mapping.items())},
    }


def _inputs(edges: Sequence[Edge], numbers: Mapping[Digest, int]) -> list[str]:
    return [f"step{numbers[edge.vertex]}:{edge.index}" for edge in edges]


def _step(number: int, op: Op, inputs: list[str]) -> dict[str, Any]:
    fields = json.loads(go_json(replace(op, inputs=())))
    source = fields.get("Op", {}).get("source", {})
    attrs = source.pop("attrs", {})
    if kept := {key: without_password(value) for key, value in attrs.items() if key not in _SESSION}:
        source["attrs"] = kept
    if "identifier" in source:
        source["identifier"] = without_password(source["identifier"])
    for action in fields.get("Op", {}).get("file", {}).get("actions", []):
        for key in ("input", "secondaryInput", "output"):
            action.setdefault(key, 0)  # these Go writes even when they are zero
    return {"id": f"step{number}", "op": fields} | ({"inputs": inputs} if inputs else {})


def step_sources(vertices: Sequence[Vertex]) -> dict[str, Any]:
    """The texts that steps were written in, and each step's lines."""
    texts: list[SourceInfo] = []
    locations: dict[str, Any] = {}
    for number, vertex in enumerate(vertices):
        found = []
        for place in vertex.note.places:
            if place.source not in texts:
                texts.append(place.source)
            index = texts.index(place.source)
            ranges = [json.loads(go_json(item)) for item in place.ranges]
            found.append(({"sourceIndex": index} if index else {}) | {"ranges": ranges})
        locations[f"step{number}"] = {"locations": found} if found else {}
    if not texts:
        return {}
    return {"locations": locations, "infos": [_info(text) for text in texts]}


def _info(text: SourceInfo) -> dict[str, Any]:
    fields = {"filename": text.filename, "language": text.language, "data": base64.b64encode(text.data).decode()}
    return {key: value for key, value in fields.items() if value}


def step_layers(
    facts: BuildFacts, vertices: Sequence[Vertex], layers: Sequence[oci.Descriptor]
) -> dict[str, list[list[dict[str, Any]]]]:
    """The layers of the image as far as each step had brought them; nothing where that cannot be told.

    Each step of the line from the base image to the result adds one layer, so the numbers must come out.
    """
    numbers = {vertex.digest: number for number, vertex in enumerate(vertices)}
    line: list[Edge] = []
    edge = facts.definition.root
    while edge is not None:
        line.append(edge)
        edge = _below(facts.definition.vertices[edge.vertex], edge.index)
    base = facts.bases.get(line[-1].vertex) if line else None
    brought = 1 if base is None else base
    if not line or brought + len(line) - 1 != len(layers):
        return {}
    fields = [oci.descriptor_fields(replace(layer, annotations={})) for layer in layers]
    return {
        f"step{numbers[edge.vertex]}:{edge.index}": [fields[: brought + position]]
        for position, edge in enumerate(reversed(line))
        if brought + position
    }


def _below(vertex: Vertex, index: int) -> Edge | None:
    """What an output of a vertex was laid over, if it is a step over one file system."""
    op = vertex.op
    number = -1
    if op.exec:
        number = next((mount.input for mount in op.exec.mounts if mount.output == index), -1)
    elif op.file:
        action = next((a for a in op.file.actions if a.output == index), None)
        number = action.input if action else -1
        while action and number >= len(vertex.inputs):  # the output of an earlier action
            action = op.file.actions[number - len(vertex.inputs)]
            number = action.input
    return vertex.inputs[number] if 0 <= number < len(vertex.inputs) else None
