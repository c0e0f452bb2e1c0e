"""What the page's script draws: vertices with their times since the build began, and what they wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bakery.console.text import printable
from bakery.history.critical_path import Hop
from bakery.history.log_blocks import blocks
from bakery.history.reasons import change, why
from bakery.history.record import LogLine, RecordedBuild, RecordedVertex

LINES_EACH = 400
"""Lines of one step's log, the last ones; the failed steps' are all there."""
BYTES_ALL = 8 * 1024 * 1024
Json = dict[str, Any]


def timeline(build: RecordedBuild, path: Iterable[Hop]) -> Json:
    """Everything the script needs, as data. Numbers are kept short: a page of 3,000 vertices is about a megabyte."""
    critical = {hop.vertex.number: hop.waited for hop in path}
    names = list(build.targets)
    order = {name: number for number, name in enumerate(names)}
    shown = [vertex for vertex in build.vertices if vertex.state != "idle" and not (vertex.weak and not vertex.error)]
    return {
        "seconds": round(max(build.ended - build.began, 0.001), 3),
        "targets": [[name, target.outcome] for name, target in build.targets.items()],
        "vertices": [_vertex(vertex, build.began, order, critical) for vertex in shown],
        "logs": logs(build, {vertex.number for vertex in shown}),
    }


def logs(build: RecordedBuild, wanted: set[int]) -> dict[int, list[str]]:
    """The last lines of each step's log; of all together no more than the page can bear."""
    found: dict[int, list[str]] = {}
    room = BYTES_ALL
    by_state = sorted(blocks(build, wanted), key=lambda block: block[0].state != "failed")
    for vertex, lines in by_state:
        kept = lines if vertex.state == "failed" else lines[-LINES_EACH:]
        texts = [_line(line, vertex.began) for line in kept]
        if len(kept) < len(lines):
            texts.insert(0, f"… {len(lines) - len(kept):,} lines before")
        room -= sum(map(len, texts))
        if room < 0:
            break
        found[vertex.number] = texts
    return found


def _line(line: LogLine, began: float) -> str:
    if line.gap:
        return f"… {line.gap:,} bytes left out"
    return f"{max(0.0, line.time - began):8.2f}  {printable(line.text)}"


def _vertex(vertex: RecordedVertex, began: float, order: dict[str, int], critical: dict[int, float]) -> Json:
    decided = vertex.decided
    found: Json = {
        "n": vertex.number,
        "name": printable(vertex.name.replace("\n", " ").encode("utf-8", "replace")),
        "digest": vertex.digest,
        "state": vertex.state,
        "owners": [order[name] for name in vertex.targets if name in order],
        "inputs": list(vertex.inputs),
        "at": [[round(start - began, 3), round(end - began, 3)] for start, end in sorted(vertex.intervals)]
        or [[round(vertex.ended - began, 3)] * 2],
        "took": round(vertex.seconds, 3),
    }
    optional: Json = {
        "critical": vertex.number in critical,
        "waited": round(critical.get(vertex.number, 0.0), 3),
        "why": why(decided),
        "changes": [change(each) for each in decided.changes] if decided else [],
        "error": vertex.error,
        "moves": [[m.part, m.bytes, m.total, round(m.ended - m.began, 3)] for m in vertex.moves],
        "warnings": [warning.short for warning in vertex.warnings],
    }
    return found | {key: value for key, value in optional.items() if value}
