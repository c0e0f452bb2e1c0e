"""A drawing as a flowchart of Mermaid (https://mermaid.js.org/syntax/flowchart.html), as Markdown pages show it."""

from __future__ import annotations

import re

from bakery.drawing.drawing import Drawing, Node
from bakery.drawing.palette import CRITICAL, fill, ink

_SHAPES = {
    "group": ("[[", "]]"),
    "target": ("([", "])"),
    "source": ("[(", ")]"),
    "file": ("[", "]"),
    "step": ("[", "]"),
}


def as_mermaid(drawing: Drawing) -> str:
    """The text of a `.mmd` file, or of a block ```mermaid in Markdown."""
    number = {name: f"n{n}" for n, name in enumerate(drawing.nodes)}
    lines = ["flowchart LR"]
    lines += [f"  {number[name]}{_box(node)}" for name, node in drawing.nodes.items()]
    critical = []
    for at, (start, end, data) in enumerate(drawing.graph.edges(data=True)):
        arrow = "-.->" if data["kind"] == "member" else "-->"
        label = f'|"{escaped(data["label"])}"|' if data["label"] else ""
        lines.append(f"  {number[start]} {arrow}{label} {number[end]}")
        if (start, end) in drawing.path:
            critical.append(str(at))
    lines += [f"  style {number[name]} {_style(node)}" for name, node in drawing.nodes.items()]
    if critical:
        lines.append(f"  linkStyle {','.join(critical)} stroke:{CRITICAL},stroke-width:3px")
    return "\n".join(lines) + "\n"


def _box(node: Node) -> str:
    start, end = _SHAPES[node.kind]
    shared = f" ×{len(node.owners)}" if node.shared else ""
    return f'{start}"{escaped(node.label)}{shared}"{end}'


def _style(node: Node) -> str:
    words = [f"fill:{fill(node)}", f"color:{ink(node)}"]
    if node.critical:
        words.append(f"stroke:{CRITICAL}")
    if node.critical or node.shared:
        words.append("stroke-width:3px")
    return ",".join(words)


def escaped(text: str) -> str:
    """A text for within quotes; what has a meaning there becomes an entity, by number."""
    clean = re.sub(r"[\x00-\x1f\x7f]", " ", text)
    return re.sub(r'[#&"<>`\\]', lambda match: f"#{ord(match[0])};", clean)
