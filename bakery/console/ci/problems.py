"""What went wrong or was noticed, with the file and line that a service can point at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError
from bakery.values import frozen
from engine.errors import EngineError, StepError
from engine.events import Warned
from engine.llb.definition import Place
from engine.request import BuildResult, Outcome, TargetResult

TAIL_LINES = 20


@frozen
class Problem:
    """One thing to point at. `file` is relative to the folder of the checkout, empty if there is none; lines from 1."""

    level: str
    title: str
    message: str
    file: str = ""
    line: int = 0
    end_line: int = 0


def problems(result: BuildResult, warnings: Sequence[Warned], project: Project, top: Path) -> list[Problem]:
    """Each failed target, then each warning once. `top` is the folder of the checkout."""
    files = {target.name: dockerfile(target) for target in project.targets.values()}
    return [*_failures(result, files, top), *_warnings(warnings, files, top)]


def dockerfile(target: Target) -> Path | None:
    """Where a target's Dockerfile is on this machine; None if it is elsewhere or inline."""
    from bakery.graph.frontend_request import is_remote

    if target.dockerfile_inline is not None or is_remote(target.context):
        return None
    if target.dockerfile.startswith("cwd://"):
        return Path(target.dockerfile.removeprefix("cwd://"))
    return Path(target.context.removeprefix("cwd://")) / target.dockerfile


def log_tail(target: TargetResult) -> list[str]:
    """The last lines that the step said which failed a target."""
    error = target.error
    if not isinstance(error, StepError) or not error.log:
        return []
    return error.log.decode("utf-8", "replace").rstrip("\n").split("\n")[-TAIL_LINES:]


def problem_of(error: BaseException, title: str, file: Path | None, top: Path, log: Sequence[str] = ()) -> Problem:
    """One error. `file` is the Dockerfile of the target that it broke, if there is one."""
    message = "\n".join([str(error), *log])
    match error:
        case EngineError(places=(place, *_)):
            return _at("error", title, message, place, file, top)
        case BakeryError() if error.diagnostics and (span := error.diagnostics[0].span):
            return Problem(
                "error", title, message, _relative(Path(span.file.name), top), span.start.line, span.end.line
            )
        case _:
            return Problem("error", title, message)


def _failures(result: BuildResult, files: Mapping[str, Path | None], top: Path) -> Iterator[Problem]:
    for target in result.targets.values():
        if target.outcome is Outcome.FAILED and target.error is not None:
            title = f"target {target.name} failed"
            yield problem_of(target.error, title, files.get(target.name), top, log_tail(target))


def _warnings(warnings: Sequence[Warned], files: Mapping[str, Path | None], top: Path) -> Iterator[Problem]:
    seen = set()
    for warning in warnings:
        message = "\n".join([warning.short, *warning.detail, warning.url]).rstrip("\n")
        place = warning.places[0] if warning.places else None
        file = next((f for f in files.values() if f and place and _is(f, place)), None)
        problem = _at("warning", "build check", message, place, file, top)
        if problem not in seen:
            seen.add(problem)
            yield problem


def _at(level: str, title: str, message: str, place: Place | None, file: Path | None, top: Path) -> Problem:
    lines = [range_ for range_ in place.ranges if range_.start] if place else []
    if not lines or file is None or place is None or not _is(file, place):
        return Problem(level, title, message)
    starts = [range_.start.line for range_ in lines if range_.start]
    ends = [(range_.end or range_.start).line for range_ in lines if range_.start]
    return Problem(level, title, message, _relative(file, top), min(starts), max(ends))


def _is(file: Path, place: Place) -> bool:
    """Whether a place is in a file: a frontend knows a Dockerfile by its name alone."""
    return Path(place.source.filename).name == file.name


def _relative(file: Path, top: Path) -> str:
    return os.path.relpath(file.absolute(), top)
