"""`bakery export`: the last build's results to further outputs, without solving anything again."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakery.cli.apply_settings import apply_settings

if TYPE_CHECKING:
    from engine.exporters.contract import Export

_EPILOG = """\b
Examples:
  bakery export api --output type=oci,dest=api.tar
  bakery export api --tag registry.example.org/api:2 --push
  bakery export --output type=docker     all targets of the last build

A target's result is found by the folder it was built in. Attestations belong to the build that made an image."""

_NAMED = ("image", "registry", "oci", "docker")


@click.command("export", epilog=_EPILOG)
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option("outputs", "-o", "--output", multiple=True, metavar="OUTPUT", help="Where to, as in a target's `output`.")
@click.option("tags", "-t", "--tag", multiple=True, metavar="NAME", help="A name for the image.")
@click.option("push", "--push", is_flag=True, help="Short for --output=type=registry.")
@click.option("progress", "--progress", metavar="MODE", help="How to show progress; auto if nothing is set.")
@click.option("root", "--root", metavar="DIR", envvar="BAKERY_ROOT", help="The state folder.")
def export(
    targets: tuple[str, ...],
    outputs: tuple[str, ...],
    tags: tuple[str, ...],
    push: bool,
    progress: str | None,
    root: str | None,
) -> int:
    """Send results of the last build to further outputs."""
    wanted = _exports((*outputs, *(("type=registry",) if push else ())), tags)
    options = {"root": root, "progress": progress}
    apply_settings(options)
    import trio

    from bakery.cli.run import result_code
    from bakery.console.display import make_display
    from engine.engine import Engine
    from engine.request import BuildResult

    folder = Path(options["root"]).absolute() if options["root"] else None
    project = str(Path.cwd())
    mode = str(options["progress"])
    with make_display(mode, sys.stderr, os.environ, targets=list(targets)) as display:

        async def run() -> BuildResult:
            async with Engine.open(folder, listener=display.listen) as engine:
                return await engine.export(project, targets, wanted)

        result = trio.run(run)
        display.finish(result)
    return result_code(result)


def _exports(outputs: tuple[str, ...], tags: tuple[str, ...]) -> tuple[Export, ...]:
    """Raises UsageError, BadParameter."""
    from bakery.config.entries import parse_output
    from engine.exporters.contract import Export

    if not outputs:
        raise click.UsageError("say where to: --output type=oci,dest=FILE, --output type=local,dest=DIR, or --push")
    found: list[Export] = []
    for text in outputs:
        try:
            entries = parse_output(text)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--output") from None
        for entry in entries:
            attributes = dict(entry.attrs)
            if tags and entry.type in _NAMED:
                attributes.setdefault("name", ",".join(tags))
            if entry.dest:
                attributes["dest"] = entry.dest if entry.dest == "-" else str(Path.cwd() / entry.dest)
            made = Export(entry.type, attributes)
            found.append(
                replace(made, type="image", attributes={**attributes, "push": "true"})
                if entry.type == "registry"
                else made
            )
            if found[-1].attributes.get("push") == "true" and "name" not in attributes:
                raise click.BadParameter("tag is needed when pushing to registry: give --tag", param_hint="--output")
    return tuple(found)
