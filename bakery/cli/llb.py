"""`bakery llb`: what the targets come to, as LLB, without building anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options

if TYPE_CHECKING:
    from bakery.graph.lower import Lowered


@click.command("llb")
@lower_options
@click.option(
    "form", "--format", type=click.Choice(["json", "pb"]), default="json", help="JSON for people, or BuildKit's bytes."
)
def llb(form: str, **options: Any) -> None:
    """Print the graph of targets as LLB, without building.

    JSON of one target with one platform is a list of vertices; several platforms are an object by platform, and
    several targets an object by target. `--format pb` writes one definition as `buildctl build` reads it.
    """
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    from bakery import config
    from bakery.cli.grants import check_grants
    from bakery.cli.report import report_warnings
    from bakery.cli.run import build_options
    from bakery.graph.build import lower_project

    project = config.load(request)
    report_warnings(project.warnings)
    allowed = check_grants(project, request)
    lowered = lower_project(project, build_options(options, allowed))
    wanted = {name: lowered[name] for name, target in project.targets.items() if target.requested}
    if form == "pb":
        _write_pb(wanted)
    else:
        click.echo(json.dumps(as_json(wanted), indent=2, ensure_ascii=False))


def as_json(lowered: Mapping[str, Lowered]) -> Any:
    """The normal form of every target, with as few levels around it as there is something to tell apart."""
    from engine.llb.json_form import normal_form, platform_forms

    forms: dict[str, Any] = {}
    for name, one in lowered.items():
        platforms = one.result.platforms
        if len(platforms) == 1:
            forms[name] = normal_form(platforms[0].definition)
        else:
            forms[name] = platform_forms({platform.id: platform.definition for platform in platforms})
    return next(iter(forms.values())) if len(forms) == 1 else forms


def _write_pb(lowered: Mapping[str, Lowered]) -> None:
    from engine.llb.wire import encode

    definitions = [platform.definition for one in lowered.values() for platform in one.result.platforms]
    if len(definitions) != 1:
        raise click.UsageError(
            f"--format pb holds one definition, and these are {len(definitions)}; "
            "name one target, and one platform with --set"
        )
    sys.stdout.buffer.write(encode(definitions[0].to_pb()))
    sys.stdout.buffer.flush()
