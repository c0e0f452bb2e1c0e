"""A drawing in the language of Graphviz (https://graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

import re

from bakery.drawing.drawing import Drawing, Node
from bakery.drawing.palette import CRITICAL, LINE, fill, ink

_SHAPES = {"group": "folder", "target": "box3d", "source": "cylinder", "file": "note", "step": "box"}


def as_dot(drawing: Drawing) -> str:
    """The text of a `.dot` file."""
    lines = [f"digraph {quoted(drawing.title)} {{", "  rankdir=LR", '  node [fontname="sans-serif" fontsize=11]']
    number = {name: f"n{n}" for n, name in enumerate(drawing.nodes)}
    lines += [f"  {number[name]} [{_attributes(node)}]" for name, node in drawing.nodes.items()]
    for start, end, data in drawing.graph.edges(data=True):
        words = [f"label={quoted(data['label'])}"] if data["label"] else []
        if data["kind"] == "member":
            words.append("style=dashed")
        if (start, end) in drawing.path:
            words.append(f'color="{CRITICAL}" penwidth=3')
        lines.append(f"  {number[start]} -> {number[end]}" + (f" [{' '.join(words)}]" if words else ""))
    return "\n".join([*lines, "}"]) + "\n"


def _attributes(node: Node) -> str:
    words = [
        f"label={quoted(node.label)}",
        f"shape={_SHAPES[node.kind]}",
        f'style=filled fillcolor="{fill(node)}" fontcolor="{ink(node)}"',
        f'color="{CRITICAL}" penwidth=3' if node.critical else f'color="{LINE}"',
    ]
    if node.shared:
        words.append(f"peripheries=2 tooltip={quoted('shared by ' + ', '.join(node.owners))}")
    return " ".join(words)


def quoted(text: str) -> str:
    """A text as a quoted ID, where a backslash would begin an escape."""
    clean = re.sub(r"[\x00-\x1f\x7f]", " ", text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'
