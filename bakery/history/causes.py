"""What is at the bottom of a change: from a step that others build on down to one that has a reason of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.history.reasons import change, why
from engine.events import Change, How

if TYPE_CHECKING:
    from bakery.history.record import RecordedBuild, RecordedVertex

NAMED = 3
"""Changes of another step that are named in its users' lines."""


def root_cause(build: RecordedBuild, vertex: RecordedVertex, one: Change) -> str:
    """Why a step below changed, by which a step had to run; empty where that is not known, or the change no step's."""
    if one.kind != "step":
        return ""
    found, below = None, _named(build, vertex, {one.name})
    while below:  # inputs have lower numbers: this ends
        found = below[0]
        changes = found.decided.changes if found.decided else ()
        below = _named(build, found, {each.name for each in changes if each.kind == "step"})
    if found is None or found.decided is None or found.decided.how is not How.RUN:
        return ""
    own = [change(each) for each in found.decided.changes if each.kind != "step"]
    more = len(own[NAMED:]) + found.decided.more
    text = ", ".join(own[:NAMED]) + (f" and {more:,} more" if more else "")
    return (f"{found.name}: " if found.name != one.name else "") + (text if own else why(found.decided))


def _named(build: RecordedBuild, vertex: RecordedVertex, names: set[str]) -> list[RecordedVertex]:
    inputs = (build.vertices[number] for number in vertex.inputs if number < vertex.number)
    return [each for each in inputs if each.name in names]
