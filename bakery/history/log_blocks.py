"""The logs of a build by step, in the order in which the steps first wrote."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bakery.history.record import LogLine, RecordedBuild, RecordedVertex


def blocks(build: RecordedBuild, wanted: Collection[int]) -> Iterator[tuple[RecordedVertex, list[LogLine]]]:
    """Each vertex with all its lines; only those whose numbers are wanted and that wrote anything."""
    found: dict[int, list[LogLine]] = {}
    for vertex, line in build.logs():
        if vertex.number in wanted:
            found.setdefault(vertex.number, []).append(line)
    for number, lines in found.items():
        yield build.vertices[number], lines
