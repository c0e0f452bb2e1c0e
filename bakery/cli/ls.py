"""`bakery ls`: what the bake files declare."""

from __future__ import annotations

import json
from typing import Any

import click

from bakery.cli import examples
from bakery.cli.build_options import definition_options, load_request
from bakery.config.target import Listing, NamedDescription, VariableInfo
from bakery.console.declared import table


@click.command("ls", epilog=examples.LS)
@definition_options
@click.option("form", "--format", type=click.Choice(["table", "json"]), default="table", help="How to write it.")
def ls(form: str, **options: Any) -> None:
    """List targets, groups and variables."""
    from bakery import config
    from bakery.cli.complaints import report_warnings

    listing = config.list_declared(load_request(options))
    report_warnings(listing.warnings)
    click.echo(_json(listing) if form == "json" else table(listing), nl=False)


def _json(listing: Listing) -> str:
    targets = [_named(target) for target in listing.targets if target.group is None]
    groups = [_named(group) | {"targets": list(group.group)} for group in listing.targets if group.group is not None]
    data = {"targets": targets, "groups": groups, "variables": [_variable(v) for v in listing.variables]}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _named(item: NamedDescription) -> dict[str, Any]:
    return {"name": item.name} | ({"description": item.description} if item.description else {})


def _variable(item: VariableInfo) -> dict[str, Any]:
    found = {"name": item.name, "type": item.type, "value": item.value, "description": item.description}
    return {key: value for key, value in found.items() if value or key == "value"}
