"""A drawing as one HTML page that needs nothing else: pan, zoom, search, and each box's details."""

from __future__ import annotations

import json
from importlib.resources import files

from bakery.drawing.data import as_data
from bakery.drawing.drawing import Drawing
from bakery.drawing.palette import CRITICAL, LEGEND, state_fill
from bakery.drawing.svg import as_inner_svg


def as_page(drawing: Drawing) -> str:
    """The whole page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    width, height, body = as_inner_svg(drawing)
    nodes = drawing.nodes.values()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_file("graph.html")).render(
        drawing=drawing,
        width=width,
        height=height,
        body=Markup(body),
        targets=sum(node.kind == "target" for node in nodes),
        steps=sum(node.kind not in ("target", "group") for node in nodes),
        shared=sum(node.shared for node in nodes),
        legend=[
            (state, state_fill(state), word, sum(node.state == state for node in nodes))
            for state, word in LEGEND
            if any(node.state == state for node in nodes)
        ],
        critical=CRITICAL if any(node.critical for node in nodes) else "",
        style=Markup(_file("graph.css")),
        script=Markup(_file("graph.js")),
        data=Markup(_embedded(as_data(drawing))),
    )


def _file(name: str) -> str:
    return (files("bakery.drawing") / name).read_text(encoding="utf-8")


def _embedded(value: object) -> str:
    """JSON inside a script element, where nothing may look like the element's end."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
