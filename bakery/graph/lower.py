"""All targets of a project through their frontends, at the same time; a target that links to others waits for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError
from bakery.graph.combine import combined, needs
from bakery.graph.frontend_request import Surroundings, frontend_request
from bakery.values import frozen
from engine.concurrency import Moment, all_at_once
from engine.errors import EngineError
from engine.frontends.contract import Bridge, Frontend, FrontendRequest, FrontendResult

if TYPE_CHECKING:
    from bakery.config.target import Project, Target


@frozen
class Lowered:
    """What a frontend was asked for a target, and what it made of it."""

    request: FrontendRequest
    result: FrontendResult


class TargetError(Exception):
    """A target that could not be lowered, and why."""

    def __init__(self, target: Target, error: BakeryError | EngineError) -> None:
        super().__init__(f"target {target.name}: {error}")
        self.target = target
        self.error = error


def check_links(project: Project) -> list[str]:
    """The names of the targets, linked ones first.

    Raises BakeryError where targets link to each other in a circle, or to a target that is not there.
    """
    order = TopologicalSorter({name: set(needs(target)) for name, target in project.targets.items()})
    try:
        names = list(order.static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        first = project.targets.get(error.args[1][0])
        raise BakeryError.of(
            f"targets link to each other in a circle: {circle}", span=first.span if first else None
        ) from None
    for name in names:
        if name not in project.targets:
            wanting = next(t for t in project.targets.values() if name in needs(t))
            raise BakeryError.of(f"failed to find target {name}", f"{wanting.name} links to it", wanting.span)
    return names


async def lower_targets(
    project: Project, frontend: Frontend, bridge: Callable[[Target], Bridge], around: Surroundings
) -> Mapping[str, Lowered]:
    """What the frontend makes of each target.

    Raises:
        BakeryError: for links that make no sense.
        TargetError: for the first target that fails; the others are cancelled then.
    """
    order = check_links(project)
    done: dict[str, Lowered] = {}
    ended = {name: Moment() for name in project.targets}

    async def one(name: str) -> None:
        target = project.targets[name]
        for needed in needs(target):
            await ended[needed].wait()
        try:
            results = {name: done[name].result for name in needs(target)}
            if target.combine:
                done[target.name] = Lowered(FrontendRequest({}, {}), combined(target, results))
            else:
                request = frontend_request(target, results, around)
                done[target.name] = Lowered(request, await frontend.lower(request, bridge(target)))
        except (BakeryError, EngineError) as error:
            raise TargetError(target, error) from None
        ended[name].set()

    await all_at_once(one, order)
    return {name: done[name] for name in project.targets}
