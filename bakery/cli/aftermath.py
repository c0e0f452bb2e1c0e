"""What is written about a build once it has ended: files that were asked for, and what a CI service shows."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakery.cli.metadata import write_metadata
from bakery.config.target import Project
from bakery.console.display import Folding
from bakery.diagnostics import BakeryError
from bakery.values import frozen
from engine.events import Warned
from engine.request import BuildResult

_NO = ("0", "false")


@frozen
class Aftermath:
    """What is known of a build besides its results: the state folder, its ID and time, warnings, the slowest steps."""

    root: Path
    build: str
    seconds: float
    warnings: Sequence[Warned] = ()
    slowest: Sequence[tuple[str, float]] = ()


def folding(env: Mapping[str, str], names: Sequence[str]) -> Folding | None:
    """What a CI service takes as the beginning and the end of the progress, so that it can be folded."""
    title = f"bakery build {' '.join(names[:5])}{' …' if len(names) > 5 else ''}"
    if env.get("GITHUB_ACTIONS") == "true":
        import secrets

        from bakery.console.ci import github

        word = secrets.token_hex(16)
        stop, go_on = github.stop_commands(word), github.go_on_with_commands(word)
        return Folding(
            begin=lambda: github.group(title) + stop,
            end=lambda: go_on + github.end_group() + stop,
            over=lambda: go_on,
        )
    if env.get("GITLAB_CI") == "true":
        from bakery.console.ci import gitlab

        return Folding(lambda: gitlab.section(title, time.time()), lambda: gitlab.end_section(time.time()))
    return None


def check_places(options: Mapping[str, Any]) -> None:
    """Whether the files that are written last have a folder to lie in. Raises BakeryError, before anything is built."""
    for name in ("metadata_file", "junit"):
        if (value := options.get(name)) and not Path(value).absolute().parent.is_dir():
            option = f"--{name.replace('_', '-')}"
            raise BakeryError.of(f"{option}: there is no folder {Path(value).parent}", hint="make it first")


def write_results(result: BuildResult, project: Project, options: Mapping[str, Any], about: Aftermath) -> None:
    """Writes what the options and the environment ask for. Raises BakeryError for a file that cannot be written."""
    env = os.environ
    if options["metadata_file"]:
        wanted = env.get("BUILDX_METADATA_WARNINGS", "").lower() in ("1", "true")
        write_metadata(Path(options["metadata_file"]), result, about.warnings if wanted else (), build=about.build)
    if options.get("junit"):
        from bakery.console.ci.junit import junit

        _write("--junit", Path(options["junit"]), junit(result, about.seconds), "w")
    if env.get("GITHUB_ACTIONS") == "true":
        _tell_github(result, project, about, env)
    if any(name.startswith("OTEL_EXPORTER_OTLP_") for name in env):
        _send_trace(about, env)


def _tell_github(result: BuildResult, project: Project, about: Aftermath, env: Mapping[str, str]) -> None:
    from bakery.console.ci import github
    from bakery.console.ci.problems import problems

    if github.wants_annotations(env):
        sys.stderr.write(github.annotate(problems(result, about.warnings, project, github.checkout(env))))
    path = env.get("GITHUB_STEP_SUMMARY")
    if path and env.get("DOCKER_BUILD_SUMMARY", "").lower() not in _NO:
        _write(
            "GITHUB_STEP_SUMMARY", Path(path), github.summary(result, about.warnings, about.slowest, about.build), "a"
        )


def _send_trace(about: Aftermath, env: Mapping[str, str]) -> None:
    from bakery.cli.traces import send_trace
    from bakery.history.shelf import Shelf

    try:
        build = Shelf(about.root).open(about.build)
    except BakeryError:  # nothing could be recorded
        return
    if problem := send_trace(build, env):
        sys.stderr.write(f"WARNING: {problem}\n")


def _write(asked: str, path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise BakeryError.of(f"{asked}: {path}: {(error.strerror or 'cannot be written').lower()}") from None
