"""`bakery build --watch`, and what its single builds are asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from bakery.config.request import LoadRequest
from bakery.config.target import Project
from bakery.settings import load_settings, project_folder


def watch(request: LoadRequest, options: dict[str, Any]) -> int:
    """Builds, and builds again what changes, until Ctrl-C. Returns the exit code."""
    if request.stdin is not None or request.remote:
        raise click.UsageError("--watch needs bake files that lie here: neither stdin nor a remote definition")
    import trio

    from bakery.console.text import printable
    from bakery.watch.command import Command
    from bakery.watch.loop import Watch

    def say(text: str) -> None:
        click.echo(printable(f"bakery: {text}".encode()), err=True)

    settings = load_settings(project_folder(request.files))
    root = settings.state_folder(Path(options["root"]) if options["root"] else None)
    files = [request.cwd.absolute() / name for name in (*request.files, *request.env_files)]
    trio.run(Watch(Command(sys.argv[1:]), request.cwd.absolute(), root, say, files).run)
    return 0


def print_fingerprints(project: Project, request: LoadRequest, options: dict[str, Any]) -> int:
    """What the targets come to now and which folders that depends on, as JSON on stdout. Returns the exit code."""
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options
    from bakery.graph.fingerprints import project_fingerprints

    allowed = check_grants(project, request)
    found = project_fingerprints(project, build_options(options, allowed))
    folders = sorted({str(folder) for folder in found.folders})
    # The files of the project are named from the working folder, and may lie outside of it.
    files = [str(request.cwd.absolute() / file.name) for file in project.files]
    click.echo(json.dumps({"targets": dict(found.targets), "folders": folders, "files": files}))
    return 0
