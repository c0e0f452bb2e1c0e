"""What the sources of a project mean, found out without building anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bakery.graph.build import BuildOptions, build_request, lower_with
from engine.sources.pins import PinKind, Pins

if TYPE_CHECKING:
    from bakery.config.target import Project


def resolve_project(
    project: Project, options: BuildOptions, known: Mapping[tuple[PinKind, str], str]
) -> dict[tuple[PinKind, str], str]:
    """The meaning of each image, git ref and URL that the targets use; what is `known` is taken as it is.

    Raises:
        BakeryError, TargetError: for a project that cannot be turned into a graph.
        EngineError: if a source cannot be had.
    """
    import trio

    pins = Pins(known)
    trio.run(_resolve, project, replace(options, pins=pins))
    return dict(pins.seen)


async def _resolve(project: Project, options: BuildOptions) -> None:
    from engine.engine import Engine

    async with Engine.open(options.root, pins=options.pins) as engine:
        lowered = await lower_with(engine, project, options)
        await engine.resolve(build_request(project, lowered, options))
