"""What colours say."""

from __future__ import annotations

from bakery.drawing.drawing import Node

CRITICAL = "#d9480f"
LINE = "#8a94a3"
_STATES = {
    "ran": "#2f6fad",
    "hit": "#9fc3ae",
    "failed": "#c8372d",
    "cancelled": "#dcae3c",
    "unfinished": "#7d8fd1",
    "idle": "#e3e6ea",
}
_UNKNOWN = {"group": "#efe7f7", "target": "#d9e6f5", "source": "#eef1e6", "file": "#f5f6f8", "step": "#f5f6f8"}
_DARK = frozenset({"ran", "failed"})

LEGEND = (("ran", "run"), ("hit", "cached"), ("failed", "failed"), ("cancelled", "cancelled"), ("idle", "not needed"))
"""States in the order of a legend, with what they are called there."""


def fill(node: Node) -> str:
    """The colour of a box."""
    return _STATES.get(node.state) or _UNKNOWN[node.kind]


def is_pale(node: Node) -> bool:
    """Whether its colour says nothing of a state, and may be another on a dark ground."""
    return node.state not in _STATES or node.state == "idle"


def state_fill(state: str) -> str:
    """The colour of a state."""
    return _STATES[state]


def ink(node: Node) -> str:
    """The colour of its text, which is well to read on it."""
    return "#ffffff" if node.state in _DARK else "#1b1f24"
