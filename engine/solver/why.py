"""A reason with the names of the files behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.digests import Digest
from engine.events import Change
from engine.llb.definition import Vertex
from engine.results import Result
from engine.solver.keys import WHOLE, Facts, dependencies
from engine.solver.reasons import Reason, Reasons
from engine.solver.services import Question, Services
from engine.values import frozen


@frozen
class Taken:
    """What a step takes from an input that is there: a result, with the checksum if only some content of it counts.
    `identity` tells which result it is; `anew` says that it was made in this build."""

    result: Result
    identity: str
    checksum: Digest | None = None
    anew: bool = False

    @property
    def mark(self) -> str:
        """What tells it from what was taken before."""
        return self.checksum or f"result {self.identity}"


async def explained(
    vertex: Vertex, taken: Sequence[Taken], facts: Facts, reasons: Reasons, services: Services
) -> tuple[Reason, tuple[Change, ...], int]:
    """Why a vertex must run, everything that has changed, and how many files more than are told.

    `taken` are its inputs, none while these are not there. Raises EngineError if the files changed while they were
    looked at.
    """
    reason = reason_of(vertex, taken, reasons)
    changes, more = await changed_files(reason, vertex, taken, facts, services)
    return reason, (*reason.changes, *changes), more


def reason_of(vertex: Vertex, taken: Sequence[Taken], reasons: Reasons) -> Reason:
    """Why a vertex must run that takes this from its inputs; nothing while these are not there."""
    redone = (position for position, each in enumerate(taken) if each.anew)
    return reasons.why(vertex, redone, [each.mark for each in taken])


async def changed_files(
    reason: Reason, vertex: Vertex, taken: Sequence[Taken], facts: Facts, services: Services
) -> tuple[tuple[Change, ...], int]:
    """The files behind a reason, and how many more there are. Raises as `explained`."""
    changes: list[Change] = []
    more = 0
    for content in reason.files:
        found = await services.compare(_question(vertex, content.position, taken, facts), content.before)
        if found is not None:
            place = f" in {content.place}" if content.place else ""
            changes += [Change("file", path + place, before, after) for path, before, after in found.paths]
            more += found.more
    return tuple(changes), more


def questions(vertex: Vertex, taken: Sequence[Taken], facts: Facts) -> Iterable[Question]:
    """What is asked of the content of inputs."""
    return (
        _question(vertex, position, taken, facts) for position, each in enumerate(taken) if each.checksum is not None
    )


def _question(vertex: Vertex, position: int, taken: Sequence[Taken], facts: Facts) -> Question:
    edge, dependency = dependencies(vertex, facts.cache_maps)[position]
    result = taken[position].result if taken else facts.resolved[edge.vertex].result
    return result, dependency.content or WHOLE
