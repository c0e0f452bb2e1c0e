"""What is asked of targets instead of building them: their checks, what they can be given, which stages they have."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError
from bakery.graph.frontend_request import frontend_request, links
from bakery.graph.lower import check_links
from bakery.graph.outputs import secrets
from bakery.values import frozen
from engine.errors import EngineError

if TYPE_CHECKING:
    from bakery.config.target import Project, Target
    from bakery.graph.build import BuildOptions
    from engine.frontends.contract import Bridge, FrontendRequest, FrontendResult
    from engine.frontends.dockerfile.outline import Outline
    from engine.frontends.dockerfile.subrequests import Checked, TargetList

CALLS = ("check", "outline", "targets")


@frozen
class Answer:
    """What a target answered, or why it did not. `filename`: its Dockerfile as the user knows it."""

    target: Target
    filename: str
    value: Checked | Outline | TargetList | None = None
    error: BakeryError | EngineError | None = None


def ask_project(project: Project, options: BuildOptions, calls: Mapping[str, str]) -> dict[str, Answer]:
    """Asks targets: `calls` has for each name one of `CALLS`.

    Raises:
        BakeryError: for links between targets that make no sense.
        EngineError: when the engine cannot work at all. What fails for one target is in its answer.
    """
    import trio

    return trio.run(_ask_project, project, options, calls)


async def _ask_project(project: Project, options: BuildOptions, calls: Mapping[str, str]) -> dict[str, Answer]:
    import trio

    from bakery.graph.frontend_request import Surroundings
    from engine.engine import Engine

    check_links(project)
    around = Surroundings(options.cwd, project.remote_context)
    needed = {name for target in project.targets.values() for name in links(target).values()}
    lowered: dict[str, FrontendResult | BakeryError | EngineError] = {}
    ended = {name: trio.Event() for name in needed}
    answers: dict[str, Answer] = {}

    async def one(target: Target) -> None:
        below: dict[str, FrontendResult] = {}
        filename = shown_filename(target, options.cwd)
        try:
            for name in links(target).values():
                await ended[name].wait()
                below[name] = _made(lowered[name])
            request = frontend_request(target, below, around)
            bridge = engine.bridge(secrets(target.secret, options.cwd))
            if target.name in needed:
                lowered[target.name] = await _lowered(engine.frontend.lower(request, bridge))
            if call := calls.get(target.name):
                answers[target.name] = Answer(target, filename, await _asked(call, request, bridge))
        except (BakeryError, EngineError) as error:
            lowered.setdefault(target.name, error)
            answers[target.name] = Answer(target, filename, error=error)
        if target.name in needed:
            ended[target.name].set()

    async with Engine.open(options.root) as engine, trio.open_nursery() as nursery:
        for target in project.targets.values():
            nursery.start_soon(one, target)
    return {name: answers[name] for name in project.targets if name in calls}


async def _lowered(lowering: Awaitable[FrontendResult]) -> FrontendResult | EngineError:
    try:
        return await lowering
    except EngineError as error:
        return error


def _made(result: FrontendResult | BakeryError | EngineError) -> FrontendResult:
    if isinstance(result, Exception):
        raise result
    return result


async def _asked(call: str, request: FrontendRequest, bridge: Bridge) -> Checked | Outline | TargetList:
    from engine.frontends.dockerfile import subrequests

    match call:
        case "check":
            return await subrequests.check(request, bridge)
        case "outline":
            return await subrequests.outline(request, bridge)
        case _:
            return await subrequests.targets(request, bridge)


def shown_filename(target: Target, cwd: Path) -> str:
    """A target's Dockerfile: relative to the working folder where it lies below it; empty if it is no file here."""
    from bakery.graph.frontend_request import is_remote

    if target.dockerfile_inline is not None or is_remote(target.context):
        return ""
    below = cwd if target.dockerfile.startswith("cwd://") else cwd / target.context.removeprefix("cwd://")
    path = os.path.normpath(below / target.dockerfile.removeprefix("cwd://"))
    short = os.path.relpath(path, cwd)
    return path if short.startswith("..") else short
