"""`bakery explain`: why the steps of the last build, or an earlier one, ran or need not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bakery.cli.history import complete_build

if TYPE_CHECKING:
    from bakery.history.record import RecordedBuild, RecordedVertex
    from engine.events import Change

_EPILOG = """\b
Examples:
  bakery explain                     why steps of the last build ran
  bakery explain api                 those of the target api, in its last build
  bakery explain api/make            the steps of api with "make" in their name, those that were known as well
  bakery explain --build last~2 api  in an earlier build (see `bakery history ls`)"""


@click.command("explain", epilog=_EPILOG)
@click.argument("wanted", metavar="[TARGET[/STEP]]", default="")
@click.option("build", "-b", "--build", metavar="BUILD", shell_complete=complete_build, help="An earlier build.")
@click.option("form", "--format", type=click.Choice(["text", "json"]), default="text", help="How to write it.")
@click.option("root", "--root", metavar="DIR", envvar="BAKERY_ROOT", help="The state folder.")
def explain(wanted: str, build: str | None, form: str, root: str | None) -> None:
    """Say why steps of a build ran.

    Every reason was written down when it was decided: which file, instruction, variable, base image or earlier step was
    not as it was when the target was last built.
    """
    target, _, step = wanted.partition("/")
    found = _find(root, build, target)
    vertices = list(_chosen(found, target, step))
    if step and not vertices:
        from bakery.diagnostics import BakeryError

        raise BakeryError.of(
            f"no step of {target or 'that build'} has {step!r} in its name", hint="bakery history show"
        )
    if form == "json":
        click.echo(json.dumps(_as_json(found, vertices), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(found, vertices, target), nl=False)


def _find(root: str | None, name: str | None, target: str) -> RecordedBuild:
    """The build that is meant: the one that is named, else the last one of the target. Raises BakeryError."""
    from bakery.cli.apply_settings import state_folder
    from bakery.diagnostics import BakeryError, did_you_mean
    from bakery.history.shelf import Shelf

    shelf = Shelf(state_folder(root))
    found = shelf.open(name or "last")
    if not target or target in found.targets:
        return found
    others = shelf.list() if name is None else []
    for summary in others:
        if target in summary.targets:
            return shelf.open(summary.id)
    near = did_you_mean(target, {each for summary in others for each in summary.targets} | {*found.targets})
    raise BakeryError.of(
        f"no build of a target {target!r} is recorded"
        if name is None
        else f"build {found.id} has no target {target!r}",
        hint=f"did you mean {near!r}?" if near else "bakery history ls lists the builds",
    )


def _chosen(build: RecordedBuild, target: str, step: str) -> Iterable[RecordedVertex]:
    """The steps to be explained: those that did something, or all that are asked for by name."""
    for vertex in build.vertices:
        if vertex.internal or (target and target not in vertex.targets):
            continue
        decided = vertex.decided is not None or vertex.state in ("failed", "cancelled")
        if step.casefold() in vertex.name.casefold() if step else decided:
            yield vertex


def as_text(build: RecordedBuild, vertices: Iterable[RecordedVertex], target: str) -> str:
    """Each step with how it ended and why, in the order of the graph."""
    lines = [line for vertex in vertices for line in _lines(build, vertex, named=not target)]
    if not lines:
        return f"Build {build.id}: nothing had to run, for everything was known.\n"
    return f"Build {build.id}\n" + "".join(lines)


def _lines(build: RecordedBuild, vertex: RecordedVertex, named: bool) -> list[str]:
    from bakery.console.text import duration, printable
    from bakery.history.causes import root_cause
    from bakery.history.reasons import cause, why
    from engine.events import How

    owners = (
        f"{vertex.targets[0]}{f' +{len(vertex.targets) - 1}' if len(vertex.targets) > 1 else ''}  " if named else ""
    )
    title = printable(vertex.name.replace("\n", " ").encode())
    took = f" in {duration(vertex.seconds)}" if vertex.intervals else ""
    lines = [f"  {owners}{title}: {_ENDED.get(vertex.state, vertex.state)}{took}\n"]
    decided = vertex.decided
    if vertex.error and not vertex.cancelled:
        lines.append(f"      {printable(vertex.error.encode())}\n")
    if decided is None:
        return lines
    if decided.how is not How.RUN:
        return [*lines, f"      {why(decided)}\n"]
    lines.append(f"      because {cause(decided)}\n")
    for each in decided.changes:
        lines.append(f"        {printable(_detail(each).encode())}\n")
        if root := root_cause(build, vertex, each):
            lines.append(f"          for {printable(root.encode())}\n")
    if decided.more:
        lines.append(f"        and {decided.more:,} more\n")
    return lines


def _detail(one: Change) -> str:
    """A change with all that is known of it: of a file its mode and size, where these are what changed."""
    from bakery.history.reasons import change

    if one.kind == "file" and one.before and one.after and one.before != one.after:
        return f"file {one.name}: {one.before} → {one.after}"
    return change(one)


_ENDED = {"hit": "known", "idle": "not needed", "unfinished": "did not end"}


def _as_json(build: RecordedBuild, vertices: Iterable[RecordedVertex]) -> dict[str, Any]:
    steps = [
        {
            "name": vertex.name,
            "digest": vertex.digest,
            "targets": vertex.targets,
            "state": vertex.state,
            "seconds": round(vertex.seconds, 3),
            "how": vertex.decided.how.value if vertex.decided else "",
            "cause": vertex.decided.cause if vertex.decided else "",
            "changes": [asdict(change) for change in vertex.decided.changes] if vertex.decided else [],
            "more": vertex.decided.more if vertex.decided else 0,
            "error": vertex.error,
        }
        for vertex in vertices
    ]
    return {"build": build.id, "steps": steps}
