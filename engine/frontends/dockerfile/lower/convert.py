"""One platform of a Dockerfile, from the parsed text to a definition and an image config."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine import platforms
from engine.errors import DefinitionError, EngineError
from engine.frontends.contract import Bridge, FrontendRequest, PlatformResult
from engine.frontends.dockerfile.dockerignore import BadPattern, IgnoreMatcher
from engine.frontends.dockerfile.expand import Expander
from engine.frontends.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    CopyFiles,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Labels,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from engine.frontends.dockerfile.lower import args, epoch, metadata, transfer
from engine.frontends.dockerfile.lower import platform as spelling
from engine.frontends.dockerfile.lower.config import DEFAULT_PATH
from engine.frontends.dockerfile.lower.contexts import Context
from engine.frontends.dockerfile.lower.options import Options
from engine.frontends.dockerfile.lower.plan import Plan
from engine.frontends.dockerfile.lower.run import lower_run
from engine.frontends.dockerfile.lower.scope import Observer, Scope
from engine.frontends.dockerfile.lower.stage import Command, Stage, Stages, follow_paths
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb.nodes import Deferred, Output
from engine.llb.ops import Platform
from engine.llb.state import Env as Variables
from engine.llb.state import State
from engine.values import frozen, replace

if TYPE_CHECKING:
    from engine.frontends.dockerfile.lower.scan import Generator


@frozen
class Job:
    """What all platforms of a target have in common. `labs`: the Dockerfile asks for the labs channel."""

    request: FrontendRequest
    bridge: Bridge
    options: Options
    context: Context
    dockerfile: Dockerfile
    observer: Observer
    labs: bool
    generator: Generator | None = None
    """What writes the SBOM, unless the engine does that itself."""


@frozen
class Converted:
    """A platform's result, and the stage that it is among all stages."""

    result: PlatformResult
    stage: Stage
    stages: Stages
    epoch: int | None


async def convert(job: Job, target: Platform | None, *, every_stage: bool = False) -> Converted:
    """Lowers a Dockerfile for a platform (None: the machine's own, unless the base image is for another).

    Args:
        job: what to lower.
        target: the platform.
        every_stage: look at all stages, not only those that the target needs; for checks.

    Raises:
        DefinitionError: with places, for a Dockerfile that makes no sense.
        EngineError: from the bridge.
    """
    try:
        return await _convert(job, target, every_stage)
    except DockerfileError as error:
        raise job.context.source.locate(error) from None


async def _convert(job: Job, target: Platform | None, every_stage: bool) -> Converted:
    used: set[str] = set()
    plan, scope = await _plan(job, target, used)
    plan.read(job.dockerfile)
    wanted = plan.target()
    plan.connect()
    needed = await plan.resolve(wanted, every=every_stage)
    try:
        IgnoreMatcher.of(job.context.ignored)
    except BadPattern as error:
        raise DefinitionError(str(error)) from None
    for stage in plan.stages.all:
        if every_stage or (stage in needed and not stage.dispatched):
            _lower_stage(scope, stage)
            used |= stage.context_paths
    wanted.paths.add("/")
    wanted.image.add_labels(job.options.labels)
    _set_platform(plan, wanted)
    platform = platforms.normalize(plan.scope.platform)
    result = PlatformResult(
        id=spelling.format_all(platform),
        platform=_as_exported(platform, wanted.image.platform),
        definition=wanted.state.define(scope.platform),
        config=wanted.image.to_json(),
        base_config=wanted.base_config,
    )
    if job.generator is not None and result.definition.root is not None:
        from engine.frontends.dockerfile.lower.scan import scan

        result = replace(result, scan=scan(job.generator, result.id, wanted, scope))
    return Converted(result, wanted, plan.stages, scope.epoch)


def _as_exported(platform: Platform, image: Platform) -> Platform:
    """The platform as an index tells it: of which Windows an image is stands in its base, if nobody asked for one."""
    if platform.os != "windows" or image.os != "windows":
        return platform
    return replace(
        platform,
        os_version=platform.os_version or image.os_version,
        os_features=platform.os_features or image.os_features,
    )


def build_platform(job: Job) -> Platform:
    """The machine's own platform."""
    return job.request.default_platform or job.bridge.worker_platforms()[0]


def target_stage(job: Job) -> str:
    """The stage that is wanted, as written; empty for the last where it has no name."""
    return job.options.target or job.dockerfile.stages[-1].start.name


async def _plan(job: Job, target: Platform | None, used: set[str]) -> tuple[Plan, Scope]:
    build = build_platform(job)
    platform = build if target is None else target
    expander = Expander(job.dockerfile.escape)
    given = dict(job.options.build_args)
    known = args.predefined(build, platform, given, target_stage(job))
    known = args.global_values(known, job.dockerfile.args, given, expander)
    time, known = await _epoch(job, given, known, expander)
    scope = Scope(
        source=job.context.source,
        options=job.options,
        build_args=given,
        expander=expander,
        platform=platform,
        global_args=known,
        build_context=State(Output(Deferred(lambda: job.context.state(follow_paths(used)).output))),
        epoch=time,
        observer=job.observer,
        labs=job.labs,
    )
    return Plan(scope, job.request, job.bridge, Stages(), build, target is None), scope


async def _epoch(job: Job, given: dict[str, str], known: Variables, expander: Expander) -> tuple[int | None, Variables]:
    """The fixed time, and the ARG with it in place of what it was said to be."""
    value = given.get(epoch.KEY) if epoch.KEY in given else known.get(epoch.KEY) or None
    if value is None:
        return None, known
    mode = job.options.resolve_mode
    epochs = epoch.Epochs(job.request, job.bridge, job.context, job.dockerfile, given, known, expander, mode)
    time = await epochs.resolve(value)
    if epoch.KEY in given:
        if time is None:
            del given[epoch.KEY]
        else:
            given[epoch.KEY] = str(time)
    if known.get(epoch.KEY) is not None:
        known = known.without(epoch.KEY) if time is None else known.set(epoch.KEY, str(time))
    return time, known


def _lower_stage(scope: Scope, stage: Stage) -> None:
    stage.inherit()
    stage.dispatched = True
    if stage.platform is None:
        stage.platform = scope.platform
    if not stage.image.has_env("PATH") and stage.platform.os != "windows":
        stage.image.set_env("PATH", DEFAULT_PATH)
    state = stage.state
    for item in stage.image.env:
        key, _, value = item.partition("=")
        state = state.set_env(key, value)
    if scope.options.hostname:
        state = state.hostname(scope.options.hostname)
    stage.state = state.with_network(scope.options.network)
    try:
        if stage.image.text("WorkingDir"):
            metadata.enter(stage, stage.image.text("WorkingDir"))
    except DockerfileError as error:
        raise (error.at(*stage.lines) if stage.lines else error) from None
    if user := stage.image.text("User"):
        stage.state = stage.state.user(user)
    for command in stage.commands:
        _lower_command(scope, stage, command)


def _lower_command(scope: Scope, stage: Stage, command: Command) -> None:
    instruction = command.instruction
    stage.on_build = command.on_build
    scope.observer.lowering(instruction, stage)
    try:
        if isinstance(instruction, Run):
            lower_run(scope, stage, instruction, command)
        elif isinstance(instruction, CopyFiles):
            transfer.lower_copy(scope, stage, instruction, command)
        else:
            _LOWERINGS[type(instruction)](scope, stage, instruction)
    except DockerfileError as error:
        raise error.at(*instruction.lines) from None
    except EngineError as error:
        raise error.at(scope.places(instruction)) from None
    scope.observer.lowered(instruction, stage)


_LOWERINGS: dict[type, Callable[..., None]] = {
    Add: transfer.lower_add,
    Arg: args.lower_arg,
    Cmd: metadata.lower_cmd,
    Entrypoint: metadata.lower_entrypoint,
    Env: metadata.lower_env,
    Expose: metadata.lower_expose,
    Healthcheck: metadata.lower_healthcheck,
    Labels: metadata.lower_labels,
    Maintainer: metadata.lower_maintainer,
    Onbuild: metadata.lower_onbuild,
    Shell: metadata.lower_shell,
    StopSignal: metadata.lower_stop_signal,
    User: metadata.lower_user,
    Volume: metadata.lower_volume,
    Workdir: metadata.lower_workdir,
}


def _set_platform(plan: Plan, stage: Stage) -> None:
    """Says of the image what was asked for; without that, what its base says."""
    found, wanted = stage.image.platform, plan.scope.platform
    if not plan.implicit:
        other = (wanted.os, wanted.architecture) != (found.os, found.architecture)
        found = replace(
            found,
            os=wanted.os,
            architecture=wanted.architecture,
            variant=wanted.variant if wanted.variant or other else found.variant,
            os_version=wanted.os_version if wanted.os_version or other else found.os_version,
            os_features=wanted.os_features or found.os_features,
        )
    stage.image.platform = platforms.normalize(found if found.os else replace(found, os=platforms.host().os))
