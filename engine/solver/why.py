"""A reason with the names of the files behind it."""

from __future__ import annotations

from collections.abc import Iterable

from engine.events import Change
from engine.llb.definition import Vertex
from engine.results import LocalTree
from engine.solver.keys import WHOLE, Facts, dependencies
from engine.solver.reasons import Reason, Reasons
from engine.solver.services import Services


async def explained(
    vertex: Vertex, redone: Iterable[int], facts: Facts, reasons: Reasons, services: Services
) -> tuple[Reason, tuple[Change, ...], int]:
    """Why a vertex must run, everything that has changed, and how many files more than are told.

    `redone` are the positions of inputs that were made anew in this build. Raises EngineError if the files changed
    while they were looked at.
    """
    reason = reasons.why(vertex, redone)
    changes, more = list(reason.changes), 0
    if reason.files:
        inputs = dependencies(vertex, facts.cache_maps)
        for position, before in reason.files:
            edge, dependency = inputs[position]
            tree = facts.resolved[edge.vertex].result
            assert isinstance(tree, LocalTree)
            found = await services.compare((tree, dependency.content or WHOLE), before)
            if found is not None:
                changes += [Change("file", *paths) for paths in found.paths]
                more += found.more
    return reason, tuple(changes), more
