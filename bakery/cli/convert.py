"""`bakery convert`: definitions from one format to another."""

from __future__ import annotations

from typing import Any

import click

from bakery.cli import examples
from bakery.cli.build_options import definition_options, load_request


@click.command("convert", epilog=examples.CONVERT)
@definition_options
@click.option("to", "--to", type=click.Choice(["hcl", "json", "yaml"]), default="hcl", help="The format to write.")
def convert(to: str, **options: Any) -> None:
    """Write a definition in another format to stdout: Compose, JSON or YAML to HCL, and back."""
    from bakery.config.convert import convert_files
    from bakery.config.discover import Format

    click.echo(convert_files(load_request(options), Format[to.upper()]), nl=False)
