"""From a project to results: lower, merge, solve. What `bakery build` and `bakery llb` call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.graph.frontend_request import Surroundings
from bakery.graph.interrupt import InterruptStop
from bakery.graph.lower import Lowered, Lowerings, lower_targets, lower_what_can_be_had
from bakery.graph.merge import merge
from bakery.graph.output_check import check_outputs
from bakery.graph.outputs import agents, cache_sinks, cache_sources, exports, secrets
from bakery.graph.statements import attests
from bakery.graph.vcs import with_vcs
from bakery.graph.warnings import tell_warnings
from bakery.values import frozen
from engine.concurrency import MustWait, run_now
from engine.errors import DamagedState
from engine.events import TargetEnded
from engine.request import BuildRequest, BuildResult, OnError, Outcome, StepNetwork, TargetResult, Wanted
from engine.stop import is_interrupt

if TYPE_CHECKING:
    from bakery.config.target import Project, Target
    from engine.cache.export_policy import ExportPolicy
    from engine.engine import Engine
    from engine.events import Listener
    from engine.frontends.contract import Bridge, Frontend
    from engine.request import Shell
    from engine.solver.forecast import Forecast
    from engine.sources.pins import Pins


@frozen
class BuildOptions:
    """How a project is built on this machine. `root`: the state folder, None for the usual; `id`: the build's name."""

    root: Path | None = None
    jobs: int | None = None
    jobs_per_target: int | None = None
    on_error: OnError = OnError.KEEP_GOING
    runtime: str = ""
    allowed: frozenset[str] = frozenset()
    cwd: Path = field(default_factory=Path.cwd)
    id: str = ""
    cache_export: ExportPolicy | None = None
    provenance: str = ""
    """The provenance that results are to tell for the metadata file: `min`, `max` or none."""
    pins: Pins | None = None
    """What names of sources are to mean; None for what they mean now."""
    timeout: float | None = None
    step_timeout: float | None = None
    step_network: StepNetwork = StepNetwork.SHARED
    shell: Shell | None = None
    narrowed: Callable[[BuildRequest], BuildRequest] | None = None
    """What is made of the request before it is built."""


def run_build(project: Project, options: BuildOptions, listener: Listener) -> BuildResult:
    """Builds a project; returns when all that could be done is done.

    Raises:
        BakeryError, TargetError: for a project that cannot be turned into a graph.
        EngineError: when the engine cannot work at all. What fails for one target is in the result.
    """
    stop = InterruptStop()
    try:
        result = _run_build(project, options, listener, stop)
        if not any(isinstance(target.error, DamagedState) for target in result.targets.values()):
            return result
    except DamagedState:
        pass
    except BaseException as error:
        if not is_interrupt(error):
            raise
        # When the first was heard, there was something to cancel; this one came when all that was over.
        return _ended(project, Outcome.CANCELLED if stop.heard else Outcome.NOT_STARTED)
    # What can be saved of a damaged database is saved by whoever opens it next.
    return _run_build(project, options, listener, stop)


def lower_project(project: Project, options: BuildOptions) -> Mapping[str, Lowered]:
    """What the frontends make of each target, without building anything. Raises as `run_build`."""
    import trio

    return trio.run(_lower, project, options)


def _run_build(project: Project, options: BuildOptions, listener: Listener, stop: InterruptStop) -> BuildResult:
    """First what can be done without trio: if there is nothing to do, that is all."""
    from engine.engine import Engine

    with Engine.opened(options.root, listener=listener, runtime=options.runtime, pins=options.pins) as engine:
        request = _request_now(engine, project, options, stop)
        if request is not None and (known := engine.settle(request)) is not None:
            return known
        check_outputs(project, options.cwd)
        import trio

        return trio.run(_build, engine, project, options, request, stop)


def _request_now(engine: Engine, project: Project, options: BuildOptions, stop: InterruptStop) -> BuildRequest | None:
    """The request, if nothing has to be waited for to lower the targets. What goes wrong is told by who waits."""
    try:
        with engine.quiet():
            return run_now(_request, engine, project, options, stop)
    except (MustWait, Exception):
        return None


async def _build(
    engine: Engine, project: Project, options: BuildOptions, request: BuildRequest | None, stop: InterruptStop
) -> BuildResult:
    async with engine.connected():
        with stop.hearing():
            if request is not None:
                return await engine.solve(request)
            if options.on_error is not OnError.KEEP_GOING:
                with stop.ending():
                    request = await _request(engine, project, options, stop)
                return _ended(project, Outcome.NOT_STARTED) if request is None else await engine.solve(request)
            return await _build_what_can_be_had(engine, project, options, stop)


async def _build_what_can_be_had(
    engine: Engine, project: Project, options: BuildOptions, stop: InterruptStop
) -> BuildResult:
    """The targets of which everything can be had. Raises TargetError if there are none."""
    ended: list[Lowerings] = []
    with stop.ending():
        ended.append(await lower_what_can_be_had(project, *_frontend_of(engine, project, options)))
    if not ended:
        return _ended(project, Outcome.NOT_STARTED)
    (found,) = ended
    if not found.done:
        raise next(iter(found.failed.values()))
    lost = {name: TargetResult(name, Outcome.FAILED, error=failure.error) for name, failure in found.failed.items()}
    lost |= {name: TargetResult(name, Outcome.NOT_STARTED) for name in found.left}
    for result in lost.values():
        engine.listener(TargetEnded(result.name, time.time(), result.outcome.value))
    there = replace(project, targets={name: project.targets[name] for name in found.done})
    built = await engine.solve(_request_of(engine, there, found.done, options, stop))
    return BuildResult({name: lost.get(name) or built.targets[name] for name in project.targets}, built.stopped)


async def _request(engine: Engine, project: Project, options: BuildOptions, stop: InterruptStop) -> BuildRequest:
    return _request_of(engine, project, await lower_with(engine, project, options), options, stop)


def _request_of(
    engine: Engine, project: Project, results: Mapping[str, Lowered], options: BuildOptions, stop: InterruptStop
) -> BuildRequest:
    tell_warnings(results, engine.listener)
    request = replace(build_request(project, results, options), stop=stop)
    return options.narrowed(request) if options.narrowed else request


def _ended(project: Project, outcome: Outcome) -> BuildResult:
    """What a build comes to that is interrupted where nothing is known of single targets."""
    return BuildResult({name: TargetResult(name, outcome) for name in project.targets}, stopped=True)


def forecast(project: Project, options: BuildOptions) -> Forecast:
    """What `run_build` would do. Raises as `run_build`."""
    import trio

    check_outputs(project, options.cwd)
    return trio.run(_forecast, project, options)


async def _forecast(project: Project, options: BuildOptions) -> Forecast:
    from engine.engine import Engine

    async with Engine.open(options.root, runtime=options.runtime) as engine:
        results = await lower_with(engine, project, options)
        return await engine.forecast(build_request(project, results, options))


async def _lower(project: Project, options: BuildOptions) -> Mapping[str, Lowered]:
    from engine.engine import Engine

    async with Engine.open(options.root, pins=options.pins) as engine:
        return await lower_with(engine, project, options)


async def lower_with(engine: Engine, project: Project, options: BuildOptions) -> Mapping[str, Lowered]:
    """What the frontends make of each target, in an engine that is open. Raises as `run_build`."""
    return await lower_targets(project, *_frontend_of(engine, project, options))


def _frontend_of(
    engine: Engine, project: Project, options: BuildOptions
) -> tuple[Frontend, Callable[[Target], Bridge], Surroundings]:
    """The frontend, what it may ask for a target, and what all targets have around them."""

    def bridge(target: Target) -> Bridge:
        return engine.bridge(secrets(target.secret, options.cwd))

    return engine.frontend, bridge, Surroundings(options.cwd, project.remote_context)


def build_request(project: Project, results: Mapping[str, Lowered], options: BuildOptions) -> BuildRequest:
    """All targets as one request. Raises BakeryError for outputs that make no sense."""
    platforms = [platform for lowered in results.values() for platform in lowered.result.platforms]
    folders = {f.session: f.path for lowered in results.values() for f in lowered.request.locals.values()}
    return BuildRequest(
        vertices=merge(found for platform in platforms for found in platform.definitions),
        wanted=tuple(_wanted(target, results[name], options) for name, target in project.targets.items()),
        folders=folders,
        allowed=options.allowed,
        jobs=options.jobs,
        jobs_each=options.jobs_per_target,
        on_error=options.on_error,
        project=str(options.cwd),
        id=options.id,
        cache_export=options.cache_export,
        timeout=options.timeout,
        step_timeout=options.step_timeout,
        step_network=options.step_network,
        shell=options.shell,
    )


def _wanted(target: Target, lowered: Lowered, options: BuildOptions) -> Wanted:
    return Wanted(
        name=target.name,
        platforms=lowered.result.platforms,
        multi=lowered.result.multi,
        exports=exports(target, options.cwd),
        cache_from=cache_sources(target, options.cwd),
        cache_to=cache_sinks(target, options.cwd),
        secrets=secrets(target.secret, options.cwd),
        ssh=agents(target.ssh, options.cwd),
        entitlements=frozenset(target.entitlements),
        epoch=lowered.result.epoch,
        attests=attests(target),
        request=with_vcs(target, lowered.request),
        provenance=options.provenance,
    )
