"""What became of everything in a recorded build: states, times and the critical path, for the nodes of a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx

from bakery.drawing.drawing import Drawing, Node
from bakery.history.critical_path import critical_path

if TYPE_CHECKING:
    from pathlib import Path

    from bakery.history.critical_path import Hop
    from bakery.history.record import RecordedBuild
    from bakery.history.shelf import Shelf

_STATES = {"cached": "hit", "succeeded": "ran", "failed": "failed", "cancelled": "cancelled"}
"""What the outcome of a target is as the state of a node."""


def last_build(shelf: Shelf, folder: Path, drawing: Drawing) -> RecordedBuild | None:
    """The latest build of a folder that had one of the targets drawn."""
    names = {node.label for node in drawing.nodes.values() if node.kind == "target"}
    for summary in shelf.list():
        if summary.folder == str(folder) and names & {*summary.targets}:
            return shelf.open(summary.id)
    return None


def with_outcomes(drawing: Drawing, build: RecordedBuild) -> Drawing:
    """The same drawing with what a build made of its nodes; those it did not have stay as they are."""
    path = critical_path(build.vertices)
    steps = {hop.vertex.digest: at for at, hop in enumerate(path)}
    targets = _critical_targets(drawing, path)
    nodes: dict[str, Node] = {}
    for name, node in drawing.nodes.items():
        if node.kind == "target":
            nodes[name] = _target(node, build, node.label in targets)
        elif vertex := build.by_digest.get(name):
            nodes[name] = replace(node, state=vertex.state, critical=name in steps, seconds=vertex.seconds)
            if vertex.error:
                nodes[name] = replace(nodes[name], details={**node.details, "error": vertex.error})
        else:
            nodes[name] = node
    order = {name: (steps.get(name, -1), node.seconds) for name, node in nodes.items() if node.critical}
    return replace(drawing, nodes=nodes, build=build.id, path=_path(drawing.graph, order))


def _path(graph: nx.DiGraph[str], order: Mapping[str, tuple[int, float]]) -> frozenset[tuple[str, str]]:
    """The edges that lead to each critical node from what it waited for: of several, what came last."""
    before = {end: [start for start in graph.predecessors(end) if start in order] for end in order}
    return frozenset((max(starts, key=order.__getitem__), end) for end, starts in before.items() if starts)


def _target(node: Node, build: RecordedBuild, critical: bool) -> Node:
    ended = build.targets.get(node.label)
    if ended is None or not ended.outcome:
        return node
    details = {**node.details, "steps": f"{ended.steps}, {ended.hits} of them cached"} if ended.steps else node.details
    if ended.error:
        details = {**details, "error": ended.error}
    state = _STATES.get(ended.outcome, "cancelled")
    return replace(node, state=state, critical=critical, seconds=ended.seconds, details=details)


def _critical_targets(drawing: Drawing, path: list[Hop]) -> set[str]:
    """The targets that the path ends in, and those on the way to them that have a step on it."""
    having = {name for hop in path for name in hop.vertex.targets}
    last = next((hop.vertex.targets for hop in reversed(path) if hop.vertex.targets), ())
    found = set(last)
    for name in last:
        if name in drawing.graph:
            found |= {other for other in nx.ancestors(drawing.graph, name) if other in having}
    return found
