"""The Dockerfile frontend: one target's Dockerfile to definitions and image configs."""

from __future__ import annotations

from engine.errors import DefinitionError, UnsupportedError
from engine.frontends.contract import Bridge, FrontendRequest, FrontendResult
from engine.frontends.dockerfile import directives
from engine.frontends.dockerfile.instructions import Dockerfile
from engine.frontends.dockerfile.lower import contexts, options, reference
from engine.frontends.dockerfile.lower.convert import Converted, Job, convert
from engine.frontends.dockerfile.lower.scope import Observer
from engine.frontends.dockerfile.parser import parse
from engine.frontends.dockerfile.source import DockerfileError, Source
from engine.llb.ops import Platform

_OWN = frozenset({"docker.io/docker/dockerfile", "docker.io/docker/dockerfile-upstream"})
_SYNTAX_ARG = "BUILDKIT_SYNTAX"


class DockerfileFrontend:
    """Implements `engine.frontends.contract.Frontend`."""

    async def lower(self, request: FrontendRequest, bridge: Bridge, observer: Observer | None = None) -> FrontendResult:
        """All platforms of a target, converted at the same time.

        Args:
            request: the target.
            bridge: the engine, for what must be known beforehand.
            observer: is told of what the conversion comes across.

        Raises:
            DefinitionError: with places, for a Dockerfile or option that makes no sense.
            UnsupportedError: if the Dockerfile wants another frontend.
            EngineError: from the bridge.
        """
        job = await prepare(request, bridge, observer or Observer())
        targets: list[Platform | None] = list(job.options.platforms) or [None]
        converted = await _all(job, targets)
        return FrontendResult(
            tuple(one.result for one in converted),
            multi=job.options.multi,
            warnings=converted[0].warnings,
        )


async def prepare(request: FrontendRequest, bridge: Bridge, observer: Observer) -> Job:
    """Everything up to the point where platforms part. Raises as `DockerfileFrontend.lower`."""
    parsed = options.parse(request.options)
    context = await contexts.load(request, bridge)
    check_syntax(context.source, parsed.build_args.get(_SYNTAX_ARG, ""))
    return Job(request, bridge, parsed, context, read(context.source), observer)


def read(source: Source) -> Dockerfile:
    """The parsed text.

    Raises:
        DefinitionError: with places.
    """
    if not source.data:
        raise DefinitionError("the Dockerfile cannot be empty")
    try:
        dockerfile = parse(source.data)
    except DockerfileError as error:
        raise source.locate(error) from None
    if not dockerfile.stages:
        raise DefinitionError("dockerfile contains no stages to build")
    return dockerfile


def check_syntax(source: Source, argument: str) -> None:
    """Refuses a Dockerfile that is written for another frontend than this one.

    Raises:
        UnsupportedError: naming the frontend.
    """
    directive = directives.find_syntax(source.data)
    wanted = argument.split(" ", 1)[0] or (directive.value.split(" ", 1)[0] if directive else "")
    if not wanted:
        return
    try:
        name = reference.parse(wanted)
        known = f"{name.domain}/{name.path}" in _OWN
    except reference.BadReference:
        known = False
    if not known:
        places = (source.place(directive.line, directive.line),) if directive and not argument else ()
        raise UnsupportedError(
            f"the Dockerfile wants the frontend {wanted}, and only docker/dockerfile is built in",
            places=places,
            hint="remove the syntax line, or build this target with BuildKit",
        )


async def _all(job: Job, targets: list[Platform | None]) -> list[Converted]:
    if len(targets) == 1:
        return [await convert(job, targets[0])]
    import trio

    done: dict[int, Converted] = {}
    failed: dict[int, Exception] = {}

    async def one(at: int, platform: Platform | None) -> None:
        # Errors are kept, so that the first platform's is the one that is told, not the fastest's.
        try:
            done[at] = await convert(job, platform)
        except Exception as error:
            failed[at] = error

    async with trio.open_nursery() as nursery:
        for at, platform in enumerate(targets):
            nursery.start_soon(one, at, platform)
    if failed:
        raise failed[min(failed)]
    return [done[at] for at in range(len(targets))]
