"""The chain of work that a build had to wait for: shortening anything else would not have made it end sooner.

It is followed backwards from the work that ended last. What a vertex waited for is the input that ended last; inputs
that were found are passed through to theirs. Work without inputs, such as an export, waited for what its targets did
before it; a first step for the reading of its Dockerfile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bakery.history.record import RecordedVertex
from bakery.values import frozen

_SAME_TIME = 0.001


@frozen
class Hop:
    """One piece of work on the way; `waited`: seconds between the end of what it needed and its own beginning."""

    vertex: RecordedVertex
    waited: float


def critical_path(vertices: Sequence[RecordedVertex]) -> list[Hop]:
    """The chain, in order of time; empty if nothing was done."""
    worked = [vertex for vertex in vertices if vertex.intervals]
    if not worked:
        return []
    found: list[Hop] = []
    seen: set[int] = set()
    at: RecordedVertex | None = max(worked, key=lambda vertex: vertex.left)
    while at is not None:
        seen.add(at.number)
        before = _awaited(at, vertices, worked, seen)
        found.append(Hop(at, max(0.0, at.began - before.left) if before else 0.0))
        at = before
    return found[::-1]


def _awaited(
    vertex: RecordedVertex, vertices: Sequence[RecordedVertex], worked: Sequence[RecordedVertex], seen: set[int]
) -> RecordedVertex | None:
    candidates = list(_worked_inputs(vertex, vertices))
    if not candidates:
        names = set(vertex.targets)
        candidates = [
            other
            for other in worked
            if other.left <= vertex.began + _SAME_TIME and (not names or not other.targets or names & {*other.targets})
        ]
    candidates = [other for other in candidates if other.number not in seen and other.left <= vertex.left]
    return max(candidates, key=lambda other: other.left, default=None)


def _worked_inputs(vertex: RecordedVertex, vertices: Sequence[RecordedVertex]) -> Iterator[RecordedVertex]:
    seen: set[int] = set()
    stack = list(vertex.inputs)
    while stack:
        number = stack.pop()
        if number in seen or number >= len(vertices):
            continue
        seen.add(number)
        found = vertices[number]
        if found.intervals:
            yield found
        else:
            stack += found.inputs
