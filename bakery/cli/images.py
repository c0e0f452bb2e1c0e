"""`bakery images`: what is in registries and layouts, looked at, copied, tagged, compared, signed; nothing is built."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from bakery.cli.registries import printable, run
from bakery.cli.signing import sign_command, verify_command

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from engine.imagetools.copy import Goal
    from engine.imagetools.diff import ImageDiff
    from engine.llb.ops import Platform
    from engine.registry.client import Registries

_FORMAT = click.option("form", "--format", type=click.Choice(["text", "json"]), default="text", help="How to write it.")
_PLATFORM = click.option("platform", "--platform", metavar="OS/ARCH", help="Which image of an index.")

_EXAMPLES = """\b
An image is a name such as debian:12 or localhost:5000/app:1 in a registry, oci:FOLDER[:TAG] in an OCI layout, or
oci-archive:FILE[:TAG] in a tar of one.

\b
Examples:
  bakery images inspect debian:bookworm-slim
  bakery images copy debian:12 localhost:5000/mirror/debian:12
  bakery images tag localhost:5000/app:1.4.2 1.4 latest
  bakery images diff localhost:5000/app:1.4.1 localhost:5000/app:1.4.2
  bakery images sign --key cosign.key localhost:5000/app:1.4.2
  bakery images verify --key cosign.pub localhost:5000/app:1.4.2"""


@click.group("images", epilog=_EXAMPLES)
def images() -> None:
    """Look at, copy, tag, compare and sign images."""


@images.command("inspect")
@click.argument("image")
@_FORMAT
def inspect_command(image: str, form: str) -> None:
    """Show an image: its platforms, layers, configs and attestations."""

    async def show(registries: Registries) -> None:
        from engine.imagetools.inspect import as_json, inspect, lines
        from engine.imagetools.place import open_place

        found = await inspect(open_place(image, registries))
        if form == "json":
            click.echo(json.dumps(as_json(found), indent=2, ensure_ascii=False))
            return
        for word, text in lines(found):
            click.echo(f"{word + ':':<16}{printable(text)}" if word else "")

    run(show)


@images.command("copy")
@click.argument("source")
@click.argument("goal")
@click.option("wanted", "--platform", multiple=True, metavar="OS/ARCH", help="Copy only these images of an index.")
@click.option("quiet", "-q", "--quiet", is_flag=True, help="Print only the digest.")
def copy_command(source: str, goal: str, wanted: tuple[str, ...], quiet: bool) -> None:
    """Copy an image with all its platforms and attestations; only what is not there already is sent."""
    chosen = [_platform(text) for text in wanted]

    async def work(registries: Registries) -> None:
        from engine.imagetools.copy import copy
        from engine.imagetools.place import open_place

        with _goal(goal, registries) as target:
            copied = await copy(open_place(source, registries), target, chosen)
        click.echo(copied.root.digest)
        if not quiet:
            click.echo(f"{copied.blobs} blobs with {copied.bytes} bytes were sent", err=True)

    run(work)


@images.command("tag")
@click.argument("image")
@click.argument("names", nargs=-1, required=True, metavar="TAG...")
def tag_command(image: str, names: tuple[str, ...]) -> None:
    """Give an image further tags in its repository, or whole names anywhere."""

    async def work(registries: Registries) -> None:
        from engine.imagetools.copy import copy
        from engine.imagetools.place import open_place

        for name in names:
            goal = _sibling(image, name)
            with _goal(goal, registries) as target:
                copied = await copy(open_place(image, registries), target)
            click.echo(f"{goal} {copied.root.digest}")

    run(work)


@images.command("diff")
@click.argument("one")
@click.argument("other")
@_PLATFORM
@_FORMAT
@click.option("times", "--times", is_flag=True, help="Files that differ in their time only are shown, too.")
def diff_command(one: str, other: str, platform: str | None, form: str, times: bool) -> int:
    """Show what changed between two images by config, layer and file; exits with 1 if anything did."""
    wanted = _platform(platform) if platform else None

    async def work(registries: Registries) -> int:
        from engine.imagetools.diff import as_json, diff
        from engine.imagetools.inspect import inspect
        from engine.imagetools.place import open_place

        sides = []
        for name in (one, other):
            place = open_place(name, registries)
            sides.append((place, (await inspect(place)).choose(wanted)))
        found = await diff(sides[0], sides[1], times=times)
        if form == "json":
            click.echo(json.dumps(as_json(found), indent=2, ensure_ascii=False))
        else:
            click.echo(diff_text(found), nl=False)
        return 0 if found.empty else 1

    return run(work)


_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def diff_text(found: ImageDiff) -> str:
    """A difference for people: one line for each thing that changed."""
    lines = []
    for change in found.config:
        before, after = (json.dumps(v, ensure_ascii=False) for v in (change.before, change.after))
        mark = "+" if change.before is None else "-" if change.after is None else "~"
        values = after if mark == "+" else before if mark == "-" else f"{before} → {after}"
        lines.append(f"{mark} config {change.key}: {values}")
    lines += [f"- layer {layer.digest} ({layer.size} bytes)" for layer in found.removed]
    lines += [f"+ layer {layer.digest} ({layer.size} bytes)" for layer in found.added]
    for file in found.files:
        how = f" ({', '.join(file.how)})" if file.how else ""
        lines.append(f"{_MARKS[file.what]} file {file.path}{how}")
    return "".join(printable(line) + "\n" for line in lines)


def _sibling(image: str, name: str) -> str:
    """Another tag of an image's repository or layout, or a name that is whole by itself."""
    from engine.imagetools.place import registry_reference, split_layout

    if "/" in name or ":" in name:
        return name
    layout = split_layout(image)
    return f"oci:{layout[0]}:{name}" if layout else f"{registry_reference(image).name}:{name}"


def _goal(text: str, registries: Registries) -> AbstractContextManager[Goal]:
    from engine.imagetools.archive import archive_goal
    from engine.imagetools.copy import LayoutGoal, RegistryGoal
    from engine.imagetools.place import is_archive, registry_reference, split_layout

    layout = split_layout(text)
    if layout is None:
        return nullcontext(RegistryGoal(registry_reference(text), registries))
    path, reference = layout
    if is_archive(text):
        return archive_goal(path, reference)
    if path.is_file():
        raise click.BadParameter(
            f"{path} is a file; write oci-archive:{path} to replace it, or name a layout folder", param_hint="GOAL"
        )
    return nullcontext(LayoutGoal(path, reference))


def _platform(text: str) -> Platform:
    from engine import platforms

    try:
        return platforms.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--platform") from None


images.add_command(sign_command)
images.add_command(verify_command)
