"""Targets, what links them, and the groups they are in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx

from bakery.drawing.drawing import Drawing, Node
from bakery.graph.frontend_request import links
from bakery.graph.lower import check_links

if TYPE_CHECKING:
    from bakery.config.target import Project, Target

_GROUP = "group "
"""Begins the ID of a group's node: a group may have the name of a target."""


def draw_targets(project: Project, hidden: Iterable[str] = ()) -> Drawing:
    """All targets of a project, and the groups that lead to them but for those hidden.

    Raises:
        BakeryError: where links lead in a circle, or to a target that is not there.
    """
    check_links(project)
    graph: nx.DiGraph[str] = nx.DiGraph()
    nodes = {name: _target(target) for name, target in project.targets.items()}
    graph.add_nodes_from(nodes)
    for target in project.targets.values():
        _add_links(graph, target)
    for group in (group for name, group in project.groups.items() if name not in hidden):
        node = _GROUP + group.name
        nodes[node] = Node(node, group.name, "group", details=_said({"description": group.description}))
        for member in group.targets:
            inner = _GROUP + member
            known = inner if member in project.groups and member != group.name else member
            if known in nodes or known == inner:
                graph.add_edge(known, node, kind="member", label="")
    graph.remove_nodes_from([node for node in graph if node not in nodes])
    nodes = {name: replace(node, owners=_users(graph, name, nodes)) for name, node in nodes.items()}
    return Drawing("targets", nodes, graph)


def _add_links(graph: nx.DiGraph[str], target: Target) -> None:
    for context, name in links(target).items():
        graph.add_edge(name, target.name, kind="needs", label=context)
    for name in target.combine:
        graph.add_edge(name, target.name, kind="needs", label="platforms")


def _users(graph: nx.DiGraph[str], name: str, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """The targets that link to a target, if there are several."""
    users = tuple(user for user in graph.successors(name) if nodes[user].kind == "target")
    return users if len(users) > 1 else ()


def _target(target: Target) -> Node:
    inline = target.dockerfile_inline is not None
    details = {
        "description": target.description,
        "context": target.context,
        "Dockerfile": "inline" if inline else "" if target.combine else target.dockerfile,
        "stage": target.target or "",
        "platforms": ", ".join(target.platforms),
        "tags": ", ".join(target.tags),
        "outputs": ", ".join(entry.type for entry in target.output),
        "declared at": f"{target.span.file.name}:{target.span.start.line}" if target.span else "",
    }
    return Node(target.name, target.name, "target", asked=target.requested, details=_said(details))


def _said(details: Mapping[str, str]) -> dict[str, str]:
    return {what: text for what, text in details.items() if text}
