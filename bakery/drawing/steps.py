"""The steps of all targets as one graph: what several of them need is there once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import networkx as nx

from bakery.drawing.drawing import Drawing, Node
from bakery.graph.merge import merge
from engine.llb.definition import walk

if TYPE_CHECKING:
    from bakery.graph.lower import Lowered
    from engine.digests import Digest
    from engine.llb.definition import Edge, Vertex

_RESULT = "target "
"""Begins the ID of the node that stands for a target's result."""


def draw_steps(lowered: Mapping[str, Lowered]) -> Drawing:
    """The steps that targets come to, each once, and a node for each target's result."""
    vertices = merge(p.definition for one in lowered.values() for p in one.result.platforms)
    roots = {name: [p.edge for p in one.result.platforms if p.edge] for name, one in lowered.items()}
    return draw_vertices(vertices, roots)


def draw_vertices(vertices: Mapping[Digest, Vertex], roots: Mapping[str, Iterable[Edge]]) -> Drawing:
    """The vertices that lead to results, with the results by target."""
    owners: dict[str, list[str]] = {}
    graph: nx.DiGraph[str] = nx.DiGraph()
    nodes: dict[str, Node] = {}
    for name, edges in roots.items():
        known = list(edges)
        for vertex in walk(vertices, known):
            owners.setdefault(vertex.digest, []).append(name)
        node = _RESULT + name
        nodes[node] = Node(node, name, "target", asked=True)
        graph.add_node(node)
        for edge in known:
            graph.add_edge(edge.vertex, node, kind="needs", label="")
    for digest, names in owners.items():
        vertex = vertices[digest]  # type: ignore[index]
        nodes[digest] = _step(vertex, tuple(names))
        for edge in vertex.inputs:
            graph.add_edge(edge.vertex, digest, kind="needs", label="")
    return Drawing("steps", nodes, graph)


def _step(vertex: Vertex, owners: tuple[str, ...]) -> Node:
    note, op = vertex.note, vertex.op
    platform = op.platform
    kind = "source" if op.source else "file" if op.file or op.merge or op.diff else "step"
    details = {
        "instruction": note.command,
        "target": owners[0] if len(owners) == 1 else "",
        "source": op.source.identifier if op.source else "",
        "written at": _place(vertex),
        "platform": "/".join(filter(None, (platform.os, platform.architecture, platform.variant))) if platform else "",
        "digest": vertex.digest,
    }
    label = " ".join(vertex.name.split())
    return Node(vertex.digest, label, kind, owners, details={what: text for what, text in details.items() if text})


def _place(vertex: Vertex) -> str:
    for place in vertex.note.places:
        for lines in place.ranges:
            if lines.start:
                return f"{place.source.filename}:{lines.start.line}"
    return ""
