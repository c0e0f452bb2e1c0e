"""`bakery debug`: a shell where a step of a target fails, or in place of one."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from bakery.cli import examples
from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import debug_options, load_request
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from bakery.config.target import Project
    from bakery.graph.build import BuildOptions
    from engine.events import Listener
    from engine.request import BuildRequest, BuildResult, Shell


@click.command("debug", cls=SwitchCommand, epilog=examples.DEBUG)
@click.argument("place", metavar="TARGET[/STEP]")
@debug_options
def debug(place: str, **options: Any) -> int:
    """Open a shell in a step of a target.

    The shell has the step's file system as it was before the step, or after it has failed, with its mounts, secrets,
    environment and user. What is changed there goes nowhere. Without a step, the target is built and the shell opens
    where a step fails.
    """
    target, _, step = place.partition("/")
    request = load_request({**options, "names": [target]})
    settings = apply_settings(options, remote=bool(request.remote))
    from bakery import config
    from bakery.cli.complaints import report_warnings
    from bakery.cli.grants import check_grants
    from bakery.cli.hush import Hush
    from bakery.cli.run import build_options, result_code
    from bakery.console.display import make_display
    from engine.request import Shell

    project = config.load(request)
    report_warnings(project.warnings)
    how = build_options(options, check_grants(project, request), settings)
    names = [name for name, item in project.targets.items() if item.requested]
    with make_display("plain", sys.stderr, os.environ, targets=names, debug=False) as display:
        hush = Hush(display.listen)
        result = _build(project, how, hush.listen, step, Shell(hush.opening), names)
        if hush.opened:
            return 0
        display.finish(result)
    return result_code(result)


def _build(
    project: Project, options: BuildOptions, listener: Listener, step: str, shell: Shell, names: list[str]
) -> BuildResult:
    from bakery.diagnostics import BakeryError
    from bakery.graph.build import run_build
    from bakery.graph.looking import looking_into, without_outputs

    if step and len(names) != 1:
        raise BakeryError.of(
            f"{', '.join(names)} are several targets", hint="name one target to look into a step of it"
        )

    def narrowed(request: BuildRequest) -> BuildRequest:
        if not step:
            return without_outputs(request)
        return looking_into(request, names[0], step, shell)

    return run_build(project, replace(options, shell=shell, narrowed=narrowed), listener)
