"""A build from a resolved project to an exit code: display, engine, results."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery.cli.aftermath import Aftermath, check_places, folding, write_results
from bakery.cli.collect import collect_garbage
from bakery.cli.grants import check_grants
from bakery.cli.hush import Hush
from bakery.cli.recording import past_durations, recording, telling_all
from bakery.config.request import LoadRequest
from bakery.config.target import Project
from bakery.console.display import make_display
from bakery.console.errors import FAILED, INTERRUPTED
from bakery.console.summary import KEPT
from bakery.diagnostics import BakeryError
from bakery.graph.build import BuildOptions, run_build
from bakery.settings import Settings
from engine.request import BuildResult, OnError, Outcome, Shell, StepNetwork

if TYPE_CHECKING:
    from engine.sources.pins import Pins


def run(
    project: Project, request: LoadRequest, options: dict[str, Any], debug: bool, settings: Settings | None = None
) -> int:
    """Builds a project, shows how it goes on stderr, and returns the exit code.

    Raises BakeryError or EngineError for what keeps it from beginning.
    """
    check_places(options)
    _outlive_questions()
    allowed = check_grants(project, request)
    names = [target.name for target in project.targets.values()]
    settings = settings or Settings()
    how = build_options(options, allowed, settings)
    began = time.time()
    with (
        make_display(
            # A shell wants the terminal to itself.
            "plain" if options.get("debug_on_error") else options["progress"],
            sys.stderr,
            os.environ,
            targets=names,
            debug=debug,
            past=lambda: past_durations(how.root),
            folding=folding(os.environ, names),
        ) as display,
        recording(project, how.root, settings.history_keep, settings.history_space) as recorder,
    ):
        listen = telling_all(display.listen, recorder.listen)
        if options.get("debug_on_error"):
            hush = Hush(listen)
            listen, how = hush.listen, replace(how, shell=Shell(hush.opening))
        result = run_build(project, replace(how, id=recorder.id), listen)
        recorder.finish(result)
        display.finish(result)
        if not result.failed and not any(target.output or target.cache_to for target in project.targets.values()):
            display.advise(KEPT)
    collect_garbage(settings, how.root, result)
    if display.fault:
        raise display.fault
    about = Aftermath(recorder.root, recorder.id, time.time() - began, display.warnings, display.slowest(10))
    write_results(result, project, options, about)
    return result_code(result)


def _outlive_questions() -> None:
    """Keeps SIGUSR1, by which one asks what a build waits for, from ending it before the engine hears it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, lambda number, frame: None)


def build_options(options: dict[str, Any], allowed: frozenset[str], settings: Settings | None = None) -> BuildOptions:
    """How to build, from the parsed command line."""
    root = options.get("root")
    return BuildOptions(
        root=Path(root).absolute() if root else None,
        jobs=options.get("jobs"),
        jobs_per_target=options.get("jobs_per_target"),
        on_error=OnError(options.get("on_error") or OnError.KEEP_GOING.value),
        runtime=options.get("runtime") or "",
        allowed=allowed,
        cache_export=settings.cache_export if settings else None,
        timeout=options.get("timeout"),
        step_timeout=options.get("step_timeout"),
        step_network=StepNetwork(options.get("step_network") or StepNetwork.SHARED.value),
        provenance=_provenance(os.environ) if options.get("metadata_file") else "",
        pins=_locked_pins(tuple(options["files"])) if options.get("locked") else None,
    )


def _locked_pins(files: tuple[str, ...]) -> Pins:
    """The lock of the project, from which nothing may depart. Raises BakeryError if there is none."""
    from bakery.lock import NAME, read_lock
    from bakery.settings import project_folder
    from engine.sources.pins import Pins

    path = project_folder(files) / NAME
    known = read_lock(path)
    if known is None:
        raise BakeryError.of(f"--locked: there is no {path}", hint="write it with `bakery lock`")
    return Pins(known, strict=True)


def _provenance(env: Mapping[str, str]) -> str:
    """How much provenance goes into the metadata file, by buildx's variable."""
    mode = env.get("BUILDX_METADATA_PROVENANCE", "").lower()
    if mode in ("disabled", "0", "false", "f"):
        return ""
    return "max" if mode == "max" else "min"


def result_code(result: BuildResult) -> int:
    """0 if all is well; 130 if nothing failed, but was cancelled; else 1."""
    if not result.failed:
        return 0
    failed = any(target.outcome is Outcome.FAILED for target in result.targets.values())
    return FAILED if failed else INTERRUPTED
