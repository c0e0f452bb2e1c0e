"""Which step first: the one with the longest expected way to the end, by how long steps took before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from engine.digests import Digest
from engine.llb.definition import Vertex

UNKNOWN_RUN = 2.0
"""Seconds that a RUN is expected to take of which nothing is known, nor of any other."""
UNKNOWN_OTHER = 0.05


def expected_seconds(vertices: Iterable[Vertex], known: Mapping[Digest, float]) -> dict[Digest, float]:
    """How long each vertex will take: as long as before, else as long as most of its kind."""
    vertices = list(vertices)
    runs = sorted(known[v.digest] for v in vertices if v.op.exec is not None and v.digest in known)
    usual = runs[len(runs) // 2] if runs else UNKNOWN_RUN
    return {v.digest: known.get(v.digest, usual if v.op.exec is not None else UNKNOWN_OTHER) for v in vertices}


class Priorities:
    """Seconds from the start of a vertex to the end of all that waits for it. Worked out when first asked for.

    `runs` are the vertices that are to run, inputs first; what is known already takes no time. networkx has the longest
    path of a graph (see `engine.solver.forecast`), but not one from each vertex, which here is one pass backwards.
    """

    def __init__(
        self, vertices: Mapping[Digest, Vertex], runs: Sequence[Digest], seconds: Mapping[Digest, float]
    ) -> None:
        self._vertices = vertices
        self._runs = runs
        self._seconds = seconds

    def of(self, vertex: Digest) -> float:
        """How urgent a vertex is, in seconds."""
        return self._ways.get(vertex, 0.0)

    @cached_property
    def _ways(self) -> dict[Digest, float]:
        after = dict.fromkeys(self._runs, 0.0)
        ways: dict[Digest, float] = {}
        for digest in reversed(self._runs):
            ways[digest] = after[digest] + self._seconds.get(digest, 0.0)
            for edge in self._vertices[digest].inputs:
                if edge.vertex in after:
                    after[edge.vertex] = max(after[edge.vertex], ways[digest])
        return ways
