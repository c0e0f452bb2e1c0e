"""A drawing as SVG: boxes in columns, curves between them, a legend. It stands alone, and in the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from bakery.drawing.drawing import Drawing, Node
from bakery.drawing.layout import POINT, Layout, lay_out
from bakery.drawing.palette import CRITICAL, LEGEND, LINE, fill, ink, is_pale, state_fill

_COLUMN, _ROW, _TALL, _MARGIN, _LEGEND = 90, 42, 30, 24, 34
_LETTER = 6.7
"""About the width of a letter; boxes are as wide as the longest text of their column."""
_LONGEST = 44
"""Letters of a label that are shown."""

_STYLE = """
text{font:12px system-ui,sans-serif;dominant-baseline:central}
path{fill:none}
.badge{font-size:10px;font-weight:600}
.label{font-size:10px;fill:#667080}
"""


def as_svg(drawing: Drawing) -> str:
    """A whole SVG file."""
    width, height, body = _drawn(drawing)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height + _LEGEND:.0f}" '
        f'viewBox="0 0 {width:.0f} {height + _LEGEND:.0f}">'
    )
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    legend = f'<g transform="translate({_MARGIN} {height})">{"".join(_legend(drawing))}</g>'
    return f"{head}<style>{_STYLE}</style>{ground}{body}{legend}</svg>\n"


def as_inner_svg(drawing: Drawing) -> tuple[float, float, str]:
    """Width, height and the elements of a drawing, without the frame and the legend."""
    return _drawn(drawing)


def _drawn(drawing: Drawing) -> tuple[float, float, str]:
    layout = lay_out(drawing.graph)
    frame = _Frame(drawing, layout)
    parts = ['<g id="edges">', *frame.edges(), '</g><g id="nodes">', *frame.nodes(), "</g>"]
    return frame.width, layout.height * _ROW + 2 * _MARGIN, "\n".join(parts)


class _Frame:
    """Columns and heights as pixels."""

    def __init__(self, drawing: Drawing, layout: Layout) -> None:
        self._drawing, self._layout = drawing, layout
        self._wide = [0.0] * layout.columns
        for name, (column, _) in layout.places.items():
            self._wide[column] = max(self._wide[column], _width(drawing.nodes[name]))
        self._left = [float(_MARGIN)] * layout.columns
        for column in range(1, layout.columns):
            self._left[column] = self._left[column - 1] + self._wide[column - 1] + _COLUMN
        self.width = (self._left[-1] + self._wide[-1] if self._left else 0.0) + _MARGIN
        self._number = {name: number for number, name in enumerate(drawing.nodes)}

    def nodes(self) -> Iterator[str]:
        """The boxes."""
        for name, (column, height) in self._layout.places.items():
            node = self._drawing.nodes[name]
            yield _box(node, self._number[name], self._left[column], self._middle(height), _width(node))

    def edges(self) -> Iterator[str]:
        """The curves; those of the critical path last, above the others."""
        graph = self._drawing.graph
        for start, end in sorted(graph.edges, key=lambda edge: edge in self._drawing.path):
            data = graph.edges[start, end]
            critical = (start, end) in self._drawing.path
            stroke = f'stroke="{CRITICAL}" stroke-width="2.5"' if critical else f'stroke="{LINE}"'
            dashed = ' stroke-dasharray="5 4"' if data["kind"] == "member" else ""
            points = self._points(start, end)
            ends = f'data-from="{self._number[start]}" data-to="{self._number[end]}"'
            yield f'<path {ends} {stroke}{dashed} d="{_curve(points)}"/>'
            if data["label"] and data["label"] != start:
                (x, y), (other_x, other_y) = points[-2], points[-1]
                at = f'x="{(x + other_x) / 2:.0f}" y="{(y + other_y) / 2 - 7:.0f}"'
                yield f'<text class="label" text-anchor="middle" {at}>{_shown(data["label"], 18)}</text>'

    def _points(self, start: str, end: str) -> list[tuple[float, float]]:
        """From the right of a box to the left of another; a point in a column passes it at one height."""
        (column, height), (last, last_height) = self._layout.places[start], self._layout.places[end]
        points = [(self._left[column] + _width(self._drawing.nodes[start]), self._middle(height))]
        for at, passing in self._layout.routes.get((start, end), ()):
            # Between the boxes above and below: each has its gap below it.
            y = _MARGIN + passing * _ROW + (POINT * _ROW - (_ROW - _TALL)) / 2
            points += [(self._left[at], y), (self._left[at] + self._wide[at], y)]
        return [*points, (self._left[last], self._middle(last_height))]

    def _middle(self, height: float) -> float:
        return _MARGIN + height * _ROW + _TALL / 2


def _curve(points: Sequence[tuple[float, float]]) -> str:
    words = [f"M{points[0][0]:.0f} {points[0][1]:.1f}"]
    for (x, y), (to_x, to_y) in pairwise(points):
        if abs(y - to_y) < 0.5:
            words.append(f"L{to_x:.0f} {to_y:.1f}")
        else:
            bend = min(_COLUMN, to_x - x) / 2
            words.append(f"C{x + bend:.0f} {y:.1f} {to_x - bend:.0f} {to_y:.1f} {to_x:.0f} {to_y:.1f}")
    return "".join(words)


def _width(node: Node) -> float:
    badge = 12 + 7 * len(f"×{len(node.owners)}") if node.shared else 0
    return min(len(node.label), _LONGEST) * _LETTER + 24 + badge


def _box(node: Node, number: int, left: float, middle: float, width: float) -> str:
    top = middle - _TALL / 2
    stroke = f'stroke="{CRITICAL}" stroke-width="3"' if node.critical else f'stroke="{LINE}"'
    round_ = {"target": 15, "group": 0}.get(node.kind, 4)
    dashed = ' stroke-dasharray="5 4"' if node.kind == "group" else ""
    shape = f'height="{_TALL}" rx="{round_}"'
    parts = [f'<g class="node{" pale" * is_pale(node)}" data-n="{number}"><title>{_title(node)}</title>']
    if node.shared:  # a second sheet behind the first
        parts.append(
            f'<rect x="{left + 4:.0f}" y="{top + 4:.1f}" width="{width:.0f}" {shape} class="sheet" fill="#fff" '
            f'stroke="{LINE}"/>'
        )
    parts.append(
        f'<rect x="{left:.0f}" y="{top:.1f}" width="{width:.0f}" {shape} fill="{fill(node)}" {stroke}{dashed}/>'
    )
    weight = ' font-weight="600"' if node.asked else ""
    colour = ink(node)
    parts.append(f'<text x="{left + 12:.0f}" y="{middle:.1f}" fill="{colour}"{weight}>{_shown(node.label)}</text>')
    if node.shared:
        at = f'x="{left + width - 8:.0f}" y="{middle:.1f}" text-anchor="end"'
        parts.append(f'<text class="badge" {at} fill="{colour}">×{len(node.owners)}</text>')
    return "".join([*parts, "</g>"])


def _title(node: Node) -> str:
    shared = f"\nshared by {', '.join(node.owners)}" if node.shared else ""
    return _clean(node.label + shared)


def _shown(text: str, most: int = _LONGEST) -> str:
    return _clean(text if len(text) <= most else text[: most - 1] + "…")


def _clean(text: str) -> str:
    """A text that XML can hold: it has no form for most control characters and for half of a surrogate pair."""
    allowed = "".join(c if c in "\n\t" or (c >= " " and not "\ud800" <= c <= "\udfff") else "�" for c in text)
    return escape(allowed, quote=True)


def _legend(drawing: Drawing) -> Iterator[str]:
    there = {node.state for node in drawing.nodes.values()}
    words = [(state_fill(state), LINE, word) for state, word in LEGEND if state in there]
    if any(node.critical for node in drawing.nodes.values()):
        words.append(("#fff", CRITICAL, "critical path"))
    at = 0.0
    for colour, line, word in words:
        box = 'y="2" width="22" height="14" rx="3" stroke-width="2"'
        yield f'<rect x="{at:.0f}" {box} fill="{colour}" stroke="{line}"/>'
        yield f'<text x="{at + 28:.0f}" y="9" fill="#1b1f24">{word}</text>'
        at += 50 + len(word) * _LETTER
    if any(node.shared for node in drawing.nodes.values()):
        yield f'<text x="{at:.0f}" y="9" fill="#1b1f24">×N: shared by N targets</text>'
