"""The Dockerfile frontend: one target's Dockerfile to definitions and image configs."""

from __future__ import annotations

from dataclasses import replace

from engine.concurrency import all_at_once
from engine.errors import DefinitionError
from engine.frontends.contract import Bridge, FrontendRequest, FrontendResult
from engine.frontends.dockerfile import directives, syntax
from engine.frontends.dockerfile.expand import Expander
from engine.frontends.dockerfile.instructions import Dockerfile
from engine.frontends.dockerfile.lint import options as lint_options
from engine.frontends.dockerfile.lint import written
from engine.frontends.dockerfile.lint.linter import Linter
from engine.frontends.dockerfile.lint.options import BadCheckOption, CheckOptions
from engine.frontends.dockerfile.lint.report import Report
from engine.frontends.dockerfile.lower import contexts, options
from engine.frontends.dockerfile.lower.args import predefined
from engine.frontends.dockerfile.lower.convert import Converted, Job, build_platform, convert, target_stage
from engine.frontends.dockerfile.lower.scope import Observer
from engine.frontends.dockerfile.parser import parse
from engine.frontends.dockerfile.source import DockerfileError, Source
from engine.llb.ops import Platform

_CHECK_ARG = "BUILDKIT_DOCKERFILE_CHECK"
_SBOM = "attest:sbom"


class DockerfileFrontend:
    """Implements `engine.frontends.contract.Frontend`."""

    async def lower(self, request: FrontendRequest, bridge: Bridge, observer: Observer | None = None) -> FrontendResult:
        """All platforms of a target, converted at the same time, the first of them checked.

        Args:
            request: the target.
            bridge: the engine, for what must be known beforehand.
            observer: is told of what the conversion comes across; without it, that is checked.

        Raises:
            DefinitionError: with places, for a Dockerfile or option that makes no sense, or one that a check fails.
            UnsupportedError: if the Dockerfile wants another frontend.
            EngineError: from the bridge.
        """
        job, report = await prepare(request, bridge, observer or Observer())
        if observer is None:
            job = linted(job, report)
        if _SBOM in request.options:
            from engine.frontends.dockerfile.lower.scan import find_generator

            generator = await find_generator(request, bridge, build_platform(job), job.options.resolve_mode)
            job = replace(job, generator=generator)
        targets: list[Platform | None] = list(job.options.platforms) or [None]
        converted = await _all(job, targets)
        report.raise_if_wanted()
        return FrontendResult(
            tuple(one.result for one in converted),
            multi=job.options.multi,
            warnings=tuple(report.warnings),
            epoch=converted[0].epoch,
        )


async def prepare(request: FrontendRequest, bridge: Bridge, observer: Observer) -> tuple[Job, Report]:
    """Everything up to the point where platforms part, and where checks report; what they find in the text comes later.

    Raises as `DockerfileFrontend.lower`.
    """
    parsed = options.parse(request.options)
    context = await contexts.load(request, bridge)
    labs = syntax.wants_labs(context.source, parsed.build_args.get(syntax.ARGUMENT, ""))
    report = Report(context.source, check_options(parsed, context.source))
    return Job(request, bridge, parsed, context, read(context.source), observer, labs), report


def linted(job: Job, report: Report) -> Job:
    """Checks the file as it is written; gives the job with its conversion watched by the other checks."""
    written.check(report, job.dockerfile)
    build = build_platform(job)
    known = predefined(build, build, job.options.build_args, target_stage(job))
    written.check_default_bases(report, job.dockerfile, known, Expander(job.dockerfile.escape))
    return replace(job, observer=Linter(report, job.context, job.dockerfile.args))


def check_options(parsed: options.Options, source: Source) -> CheckOptions:
    """What is checked: the build argument says, else the file's directive.

    Raises:
        DefinitionError: for options that make no sense.
    """
    argument = parsed.build_args.get(_CHECK_ARG)
    try:
        if argument is not None:
            return lint_options.parse(argument)
        directive = directives.find("check", source.data)
        # As the peer has it: a directive's value ends at the first blank.
        return lint_options.parse(directive.value.partition(" ")[0] if directive else "")
    except BadCheckOption as error:
        what = "check options" if argument is None else f"build-arg:{_CHECK_ARG}"
        raise DefinitionError(f"failed to parse {what}: {error}") from None


def read(source: Source) -> Dockerfile:
    """The parsed text.

    Raises:
        DefinitionError: with places.
    """
    if not source.data:
        raise source.locate(DockerfileError("the Dockerfile cannot be empty"))
    try:
        dockerfile = parse(source.data)
    except DockerfileError as error:
        raise source.locate(error) from None
    if not dockerfile.stages:
        raise source.locate(DockerfileError("dockerfile contains no stages to build"))
    return dockerfile


async def _all(job: Job, targets: list[Platform | None]) -> list[Converted]:
    if len(targets) == 1:
        return [await convert(job, targets[0])]
    silent = replace(job, observer=Observer())
    done: dict[int, Converted] = {}
    failed: dict[int, Exception] = {}

    async def one(asked: tuple[int, Platform | None]) -> None:
        at, platform = asked
        # Errors are kept, so that the first platform's is the one that is told, not the fastest's.
        try:
            done[at] = await convert(silent if at else job, platform)
        except Exception as error:
            failed[at] = error

    await all_at_once(one, enumerate(targets))
    if failed:
        raise failed[min(failed)]
    return [done[at] for at in range(len(targets))]
