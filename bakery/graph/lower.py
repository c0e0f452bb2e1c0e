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
from engine.errors import EngineError, SourceError
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


@frozen
class Lowerings:
    """What became of targets: those that were lowered, those of which something cannot be had, and those that are made
    from such ones."""

    done: Mapping[str, Lowered]
    failed: Mapping[str, TargetError]
    left: tuple[str, ...]


async def lower_targets(
    project: Project, frontend: Frontend, bridge: Callable[[Target], Bridge], around: Surroundings
) -> Mapping[str, Lowered]:
    """What the frontend makes of each target.

    Raises:
        BakeryError: for links that make no sense.
        TargetError: for the first target that fails; the others are cancelled then.
    """

    def fail(error: TargetError) -> None:
        raise error

    return (await _lower(project, frontend, bridge, around, fail)).done


async def lower_what_can_be_had(
    project: Project, frontend: Frontend, bridge: Callable[[Target], Bridge], around: Surroundings
) -> Lowerings:
    """The same, but one that lacks a source, such as an image that no registry has, does not keep others from going on.

    Raises:
        BakeryError: for links that make no sense.
        TargetError: for the first target that is written wrong: that would rather be known before anything is built.
    """

    def fail(error: TargetError) -> None:
        if not isinstance(error.error, SourceError):
            raise error

    return await _lower(project, frontend, bridge, around, fail)


async def _lower(
    project: Project,
    frontend: Frontend,
    bridge: Callable[[Target], Bridge],
    around: Surroundings,
    fail: Callable[[TargetError], None],
) -> Lowerings:
    order = check_links(project)
    done: dict[str, Lowered] = {}
    failed: dict[str, TargetError] = {}
    ended = {name: Moment() for name in project.targets}

    async def one(name: str) -> None:
        target = project.targets[name]
        for needed in needs(target):
            await ended[needed].wait()
        if all(needed in done for needed in needs(target)):
            try:
                done[name] = await lowered(target)
            except (BakeryError, EngineError) as error:
                failed[name] = TargetError(target, error)
                fail(failed[name])
        ended[name].set()

    async def lowered(target: Target) -> Lowered:
        results = {name: done[name].result for name in needs(target)}
        if target.combine:
            return Lowered(FrontendRequest({}, {}), combined(target, results))
        request = frontend_request(target, results, around)
        return Lowered(request, await frontend.lower(request, bridge(target)))

    await all_at_once(one, order)
    return Lowerings(
        {name: done[name] for name in project.targets if name in done},
        {name: failed[name] for name in project.targets if name in failed},
        tuple(name for name in project.targets if name not in done and name not in failed),
    )
