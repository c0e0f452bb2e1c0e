"""`bakery inspect`: what this machine can build, and with what."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bakery.cli import examples
from bakery.cli.open_state import open_state, root_option
from bakery.version import VERSION

if TYPE_CHECKING:
    from engine.sandbox.machine import Machine


@click.command("inspect", epilog=examples.INSPECT)
@click.option("form", "--format", type=click.Choice(["table", "json"]), default="table", help="How to write it.")
@root_option
def inspect(form: str, root: str | None) -> None:
    """Show what this machine can build, and with what.

    Platforms are those whose steps run here: on this processor, by an emulator that is registered for the machine, or
    by one that bakery registers for its steps alone.
    """
    from engine.sandbox.machine import inspect_machine

    with open_state(root) as state:
        machine = inspect_machine(state)
    if form == "json":
        click.echo(json.dumps({"version": VERSION, "python": platform.python_version(), **asdict(machine)}, indent=2))
    else:
        click.echo(as_text(machine), nl=False)


def as_text(machine: Machine) -> str:
    """What people read."""
    from bakery.console.text import binary_size

    found = [(r.name, f"{r.version} ({r.path})" if r.path else "not here") for r in machine.runtimes]
    rows = [
        ("bakery", [f"{VERSION} (Python {platform.python_version()})"]),
        ("machine", [f"{machine.system} {machine.kernel}, {machine.architecture}"]),
        ("", [f"{machine.cores} cores, {binary_size(machine.memory)} of memory"]),
        ("users of steps", [machine.users, *([machine.why_not] if machine.why_not else [])]),
        ("runtimes", [f"{name:12}{text}" for name, text in found]),
        ("platforms", [f"{p.platform:16}{p.how}" for p in machine.platforms]),
        ("state folder", [machine.root, f"{binary_size(machine.free)} free, snapshots by {machine.snapshots}"]),
    ]
    lines = [f"{name if number == 0 else '':16}{text}\n" for name, texts in rows for number, text in enumerate(texts)]
    return "".join(lines)
