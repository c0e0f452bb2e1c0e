"""`bakery lock`: writes down what the images, git refs and URLs of targets mean now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from bakery.lock import Meanings

_EXAMPLES = """\b
Examples:
  bakery lock              write bakery.lock, what is in it already stays as it is
  bakery lock --update     look at everything anew
  bakery lock --check      change nothing; exit with 1 if anything has moved or is missing
  bakery build --locked    build with exactly what is in bakery.lock"""


@click.command("lock", cls=SwitchCommand, epilog=_EXAMPLES)
@lower_options
@click.option("update", "--update", is_flag=True, help="Look at everything anew, and forget what is not used any more.")
@click.option("check", "--check", is_flag=True, help="Change nothing; exit with 1 if the lock is not up to date.")
@click.option("form", "--format", type=click.Choice(["text", "json"]), default="text", help="How to tell of changes.")
def lock(update: bool, check: bool, form: str, **options: Any) -> int:
    """Write down what images, git refs and URLs mean.

    What they mean now goes into bakery.lock; nothing is built. Without targets: all that the bake files declare.
    """
    from bakery import config
    from bakery.cli.complaints import report_warnings
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options
    from bakery.graph.resolve import resolve_project
    from bakery.lock import NAME, read_lock, write_lock
    from bakery.settings import project_folder

    every = not options["names"]
    if every:
        listing = config.list_declared(load_request(options))
        options["names"] = tuple(target.name for target in listing.targets if target.group is None)
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    project = config.load(request)
    report_warnings(project.warnings)
    allowed = check_grants(project, request)
    path = project_folder(options["files"]) / NAME
    old = read_lock(path) or {}
    known = {} if update or check else old
    found = resolve_project(project, build_options(options, allowed), known)
    # Where only some targets were asked for, the entries of the others stay.
    new = found if every and (update or check) else old | found
    changes = _changes(old, new)
    if form == "json":
        click.echo(json.dumps(changes, indent=2, ensure_ascii=False))
    else:
        for change in changes:
            click.echo(_line(change))
    if check:
        return 1 if changes else 0
    if changes or not path.exists():
        write_lock(path, new)
    return 0


def _changes(old: Meanings, new: Meanings) -> list[dict[str, str | None]]:
    """What is different in a new lock, by kind and name."""
    keys = sorted(old.keys() | new.keys(), key=lambda key: (key[0].value, key[1]))
    return [
        {"kind": key[0].value, "name": key[1], "before": old.get(key), "after": new.get(key)}
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _line(change: dict[str, str | None]) -> str:
    before, after = change["before"], change["after"]
    if before is None:
        return f"+ {change['name']} {after}"
    if after is None:
        return f"- {change['name']} {before}"
    return f"~ {change['name']} {before} → {after}"
