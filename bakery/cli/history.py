"""`bakery history`: the builds that were made with this state folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bakery.history.record import RecordedBuild, RecordedVertex
    from bakery.history.shelf import Shelf

F = TypeVar("F", bound=Callable[..., Any])

_EPILOG = """\b
Examples:
  bakery history ls                      the latest builds
  bakery history show                    the last one: times, hits, critical path
  bakery history logs last --failed      what failed steps wrote
  bakery history compare last~1 last     what went another way than before
  bakery history export last -o b.json   everything, for other programs
  bakery history rm --all                forget them all

BUILD is an ID, its beginning or end, `last`, or `last~N`."""


def _root_option(command: F) -> F:
    return click.option("root", "--root", metavar="DIR", envvar="BAKERY_ROOT", help="The state folder.")(command)


def _form_option(command: F) -> F:
    choice = click.Choice(["table", "json"])
    return click.option("form", "--format", type=choice, default="table", help="How to write it.")(command)


def complete_build(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of builds for the shell, the latest first; none where the settings cannot be read."""
    from bakery.diagnostics import BakeryError

    try:
        names = ["last", *reversed(shelf_of(context.params.get("root")).ids())]
    except BakeryError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def shelf_of(root: str | None) -> Shelf:
    """The builds of the state folder that a flag, the environment or the settings name. Raises BakeryError."""
    from bakery.cli.apply_settings import state_folder
    from bakery.history.shelf import Shelf

    return Shelf(state_folder(root))


@click.group("history", epilog=_EPILOG)
def history() -> None:
    """Look at the builds that were made."""


@history.command("ls")
@click.option("limit", "-n", "--limit", type=click.IntRange(min=1), default=20, help="How many builds at most.")
@click.option("everything", "-a", "--all", is_flag=True, help="All of them.")
@_form_option
@_root_option
def ls(limit: int, everything: bool, form: str, root: str | None) -> None:
    """List the latest builds, the newest first."""
    builds = shelf_of(root).list(None if everything else limit)
    if form == "json":
        _say_json([asdict(build) for build in builds])
        return
    from bakery.console import past

    click.echo(past.listing(builds), nl=False)


@history.command("show")
@click.argument("name", metavar="[BUILD]", default="last", shell_complete=complete_build)
@_form_option
@_root_option
def show(name: str, form: str, root: str | None) -> None:
    """Show one build: its targets, what was slow, and why it ran."""
    build = shelf_of(root).open(name)
    if form == "json":
        from bakery.history.export import as_json

        _say_json(as_json(build, logs=False))
        return
    from bakery.console import past

    click.echo(past.build(build), nl=False)


@history.command("logs")
@click.argument("name", metavar="[BUILD]", default="last", shell_complete=complete_build)
@click.option("step", "-s", "--step", metavar="TEXT", help="Only steps with this in their name.")
@click.option("target", "-t", "--target", metavar="NAME", help="Only steps of this target.")
@click.option("failed", "--failed", is_flag=True, help="Only steps that failed.")
@_root_option
def logs(name: str, step: str | None, target: str | None, failed: bool, root: str | None) -> None:
    """Print what the steps of a build wrote."""
    from bakery.console.text import printable
    from bakery.history.log_blocks import blocks

    build = shelf_of(root).open(name)
    wanted = {vertex.number for vertex in _chosen(build, step, target) if not failed or vertex.state == "failed"}
    said = False
    for vertex, lines in blocks(build, wanted):
        said = True
        click.echo(f"--- {printable(vertex.name.encode())} ({', '.join(vertex.targets) or 'internal'})")
        for line in lines:
            click.echo(printable(line.text, colours=sys.stdout.isatty()) if not line.gap else _gap(line.gap))
    if not said:
        click.echo(f"No step of build {build.id} that was asked for wrote anything.", err=True)


@history.command("compare")
@click.argument("before", metavar="[BUILD]", required=False, shell_complete=complete_build)
@click.argument("after", metavar="[BUILD]", default="last", shell_complete=complete_build)
@_form_option
@_root_option
def compare(before: str | None, after: str, form: str, root: str | None) -> None:
    """Show what went another way in a later build than in an earlier one.

    Without arguments: the last build, and the one before it of the same targets in the same folder. With one: that
    build and the last.
    """
    from bakery.diagnostics import BakeryError
    from bakery.history import comparison

    shelf = shelf_of(root)
    later = shelf.open(after)
    if before is None:
        before = shelf.before(later.id)
    if before is None:
        raise BakeryError.of(
            f"there is no build before {later.id} of the same targets in the same folder",
            hint="name two builds: bakery history compare BUILD BUILD",
        )
    found = comparison.compare(shelf.open(before), later)
    if form == "json":
        _say_json(_comparison_json(found))
        return
    from bakery.console import past

    click.echo(past.comparison(found), nl=False)


@history.command("export")
@click.argument("name", metavar="[BUILD]", default="last", shell_complete=complete_build)
@click.option("output", "-o", "--output", metavar="FILE", default="-", help="Where to; `-` is stdout.")
@click.option(
    "form",
    "--format",
    type=click.Choice(["json", "trace", "otlp"]),
    default="json",
    help="json: all there is; trace: for Perfetto or chrome://tracing; otlp: OpenTelemetry's JSON.",
)
@_root_option
def export(name: str, output: str, form: str, root: str | None) -> None:
    """Write a build for other programs."""
    build = shelf_of(root).open(name)
    text = json.dumps(_exported(build, form), ensure_ascii=False) + "\n"
    with click.open_file(output, "w", encoding="utf-8", errors="replace", atomic=output != "-") as file:
        file.write(text)


@history.command("rm")
@click.argument("names", metavar="[BUILD]...", nargs=-1, shell_complete=complete_build)
@click.option("everything", "-a", "--all", is_flag=True, help="All builds.")
@click.option("keep", "--keep", type=click.IntRange(min=0), metavar="N", help="All but the latest N.")
@_root_option
def rm(names: tuple[str, ...], everything: bool, keep: int | None, root: str | None) -> int:
    """Forget builds. What they made stays in the cache."""
    if bool(names) + everything + (keep is not None) != 1:
        raise click.UsageError("name builds, or use --all, or --keep N")
    shelf = shelf_of(root)
    if names:
        going = [id_ for id_ in map(shelf.find, names) if not shelf.remove(id_)]
        for id_ in going:
            click.echo(f"{id_} is still going", err=True)
        return 1 if going else 0
    click.echo(f"{shelf.prune(keep or 0)} removed")
    return 0


def _exported(build: RecordedBuild, form: str) -> dict[str, Any]:
    if form == "otlp":
        from bakery.history.otlp import as_otlp

        return as_otlp(build, {"service.name": "bakery"})
    from bakery.history.export import as_json, as_trace

    return as_json(build) if form == "json" else as_trace(build)


def _chosen(build: RecordedBuild, step: str | None, target: str | None) -> list[RecordedVertex]:
    from bakery.diagnostics import BakeryError, did_you_mean

    if target is not None and target not in build.targets:
        near = did_you_mean(target, build.targets)
        raise BakeryError.of(
            f"build {build.id} has no target {target!r}", hint=f"did you mean {near!r}?" if near else ""
        )
    found = [v for v in build.vertices if target is None or target in v.targets]
    if step is not None:
        found = [v for v in found if step.lower() in v.name.lower()]
        if not found:
            raise BakeryError.of(f"build {build.id} has no step with {step!r} in its name")
    return found


def _comparison_json(found: Any) -> dict[str, Any]:
    return {
        "before": found.before.id,
        "after": found.after.id,
        "conditions": {key: {"before": old, "after": new} for key, (old, new) in found.conditions.items()},
        "targets": [asdict(pair) for pair in found.targets],
        "steps": [
            {
                "name": pair.name,
                "targets": pair.targets,
                "before": pair.before.state if pair.before else None,
                "after": pair.after.state if pair.after else None,
                "gained": round(pair.gained, 4),
            }
            for pair in found.steps
        ],
    }


def _gap(count: int) -> str:
    return f"[{count:,} bytes left out]"


def _say_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
