"""What results are made of, without making them: roots with the same fingerprint give the same result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.digests import Digest
from engine.llb.definition import Edge, Vertex, walk
from engine.solver.services import Services
from engine.solver.solver import prepare


async def fingerprints(
    vertices: Mapping[Digest, Vertex], roots: Sequence[Edge], services: Services
) -> dict[Edge, str | None]:
    """The definition key of each root, with the output that it is; None for what cannot be known: a missing file.

    Nothing is looked up and nothing is recorded. Raises EngineError for an op that nobody can do.
    """
    order = list(walk(vertices, roots))
    prepared = await prepare(vertices, order, roots, services)
    save = prepared.keys.save
    return {root: f"{save[root.vertex]}@{root.index}" if root.vertex in save else None for root in roots}
