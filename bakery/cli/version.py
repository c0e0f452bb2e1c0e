"""`bakery version`."""

from __future__ import annotations

import json
import platform

import click

from bakery.cli import examples
from bakery.version import VERSION


@click.command("version", epilog=examples.VERSION)
@click.option("form", "--format", type=click.Choice(["text", "json"]), default="text", help="How to write it.")
def version(form: str) -> None:
    """Show the version, and what it runs on."""
    facts = {
        "version": VERSION,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "kernel": platform.release(),
    }
    if form == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    system = f"{facts['system']} {facts['kernel']} {facts['machine']}"
    click.echo(f"bakery {VERSION} (Python {facts['python']}, {system})")
