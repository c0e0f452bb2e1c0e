"""What can be asked of a Dockerfile besides a build: its checks, what a target can be given, which targets it has.

As the peer does, these look at the machine's own platform only.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import DefinitionError, EngineError
from engine.frontends.contract import Bridge, FrontendRequest, FrontendWarning
from engine.frontends.dockerfile import frontend
from engine.frontends.dockerfile.facts import Facts, facts
from engine.frontends.dockerfile.lint import written
from engine.frontends.dockerfile.lint.report import Report
from engine.frontends.dockerfile.lower import contexts, options
from engine.frontends.dockerfile.lower.convert import convert
from engine.frontends.dockerfile.lower.scope import Observer
from engine.frontends.dockerfile.outline import Outline, Outliner
from engine.llb.definition import Place
from engine.llb.ops import SourceInfo


@dataclass(frozen=True, slots=True)
class Checked:
    """What checks found. `error`: why the file cannot be built, or is not to be for what was found; `facts` are of a
    file that can be read.
    """

    source: SourceInfo
    warnings: tuple[FrontendWarning, ...]
    error: EngineError | None = None
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class TargetStage:
    """A stage that can be built by its name; of the last one that can be empty. `base` as written."""

    name: str
    default: bool
    description: str
    base: str
    platform: str
    place: Place


@dataclass(frozen=True, slots=True)
class TargetList:
    """The stages of a Dockerfile."""

    source: SourceInfo
    stages: tuple[TargetStage, ...]


async def check(request: FrontendRequest, bridge: Bridge) -> Checked:
    """All checks of a Dockerfile; of all its stages where no target is named.

    Raises:
        EngineError: if there is no Dockerfile to check.
    """
    parsed = options.parse(request.options)
    context = await contexts.load(request, bridge)
    source = context.source
    try:
        report = Report(source, frontend.check_options(parsed, source))
    except DefinitionError as error:
        return Checked(source.info, (), error)
    try:
        job, _ = await frontend.prepare(request, bridge, Observer())
    except EngineError as error:
        written.check_broken(report, source.data)
        return _checked(report, source.info, error)
    spoken_of = facts(job.dockerfile)
    try:
        job = frontend.linted(job, report)
        await convert(job, None, every_stage=not job.options.target)
        report.raise_if_wanted()
    except EngineError as error:
        return _checked(report, source.info, error, spoken_of)
    return _checked(report, source.info, facts=spoken_of)


def _checked(
    report: Report, source: SourceInfo, error: EngineError | None = None, facts: Facts | None = None
) -> Checked:
    found = sorted(report.warnings, key=_line)
    return Checked(source, tuple(found), error, facts)


def _line(warning: FrontendWarning) -> int:
    ranges = warning.places[0].ranges if warning.places else ()
    return ranges[0].start.line if ranges and ranges[0].start else 0


async def outline(request: FrontendRequest, bridge: Bridge) -> Outline:
    """What a target can be given: arguments, secrets, agents.

    Raises:
        EngineError: for a Dockerfile that cannot be built.
    """
    job, _ = await frontend.prepare(request, bridge, Observer())
    outliner = Outliner(job)
    converted = await convert(outliner.job, None)
    return outliner.outline(converted.stage)


async def targets(request: FrontendRequest, bridge: Bridge) -> TargetList:
    """The stages that can be built.

    Raises:
        EngineError: for a Dockerfile that cannot be read.
    """
    job, _ = await frontend.prepare(request, bridge, Observer())
    last = job.dockerfile.stages[-1]
    return TargetList(
        job.context.source.info,
        tuple(
            TargetStage(
                stage.start.name,
                stage is last,
                stage.start.description,
                stage.start.base,
                stage.start.platform,
                job.context.source.place(*stage.start.lines),
            )
            for stage in job.dockerfile.stages
        ),
    )
