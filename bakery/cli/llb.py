"""`bakery llb`: what the targets come to, as LLB, without building anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bakery.cli import examples
from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from bakery.graph.lower import Lowered
    from engine.digests import Digest
    from engine.llb.definition import Edge, Vertex


@click.command("llb", cls=SwitchCommand, epilog=examples.LLB)
@lower_options
@click.option(
    "form", "--format", type=click.Choice(["json", "pb"]), default="json", help="JSON for people, or BuildKit's bytes."
)
def llb(form: str, **options: Any) -> None:
    """Print the graph of targets as LLB, without building.

    JSON is a list of vertices, each once, and a terminal vertex for each result. One target with several platforms is
    an object by platform. `--format pb` writes a definition as `buildctl debug dump-llb` reads it; that of one target
    with one platform can be built by `buildctl build`.
    """
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    from bakery import config
    from bakery.cli.complaints import report_warnings
    from bakery.cli.grants import check_grants
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
    """One target in the normal form, by platform if it has several; more targets as one merged graph."""
    from engine.llb.json_form import merged_form, normal_form, platform_forms

    if len(lowered) != 1:
        return merged_form(*_merged(lowered))
    platforms = next(iter(lowered.values())).result.platforms
    if len(platforms) == 1:
        return normal_form(platforms[0].definition)
    return platform_forms({platform.id: platform.definition for platform in platforms})


def _merged(lowered: Mapping[str, Lowered]) -> tuple[dict[Digest, Vertex], dict[str, Edge]]:
    """All vertices of all targets, and the results by target, with the platform where a target has several."""
    from bakery.graph.merge import merge

    roots = {}
    for name, one in lowered.items():
        for platform in one.result.platforms:
            if platform.edge:
                roots[f"{name} {platform.id}" if len(one.result.platforms) > 1 else name] = platform.edge
    return merge(p.definition for one in lowered.values() for p in one.result.platforms), roots


def _write_pb(lowered: Mapping[str, Lowered]) -> None:
    from engine.llb.definition import merged_pb
    from engine.llb.wire import encode

    vertices, roots = _merged(lowered)
    sys.stdout.buffer.write(encode(merged_pb(vertices, list(roots.values()))))
    sys.stdout.buffer.flush()
