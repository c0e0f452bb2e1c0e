"""A drawing as plain data, for other programs and for the page."""

from __future__ import annotations

import json
from typing import Any

from bakery.drawing.drawing import Drawing, Node


def as_data(drawing: Drawing) -> dict[str, Any]:
    """Nodes, and edges from what is needed to what needs it, by ID."""
    edges = [
        {"from": start, "to": end, "kind": data["kind"]}
        | ({"label": data["label"]} if data["label"] else {})
        | ({"critical": True} if (start, end) in drawing.path else {})
        for start, end, data in drawing.graph.edges(data=True)
    ]
    return {
        "drawn": drawing.title,
        "build": drawing.build,
        "nodes": [_node(node) for node in drawing.nodes.values()],
        "edges": edges,
    }


def as_json(drawing: Drawing) -> str:
    """The same as a text."""
    return json.dumps(as_data(drawing), indent=2, ensure_ascii=False) + "\n"


def _node(node: Node) -> dict[str, Any]:
    found = {
        "id": node.id,
        "label": node.label,
        "kind": node.kind,
        "state": node.state,
        "critical": node.critical,
        "seconds": round(node.seconds, 3),
        "asked": node.asked,
        "sharedBy": list(node.owners) if node.shared else [],
        "details": dict(node.details),
    }
    return {key: value for key, value in found.items() if value or key in ("id", "label")}
