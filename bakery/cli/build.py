"""`bakery build`: bake files to results. `--print` and `--list` stop before anything of the engine is imported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from bakery.cli import examples
from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import build_options, list_request, load_request
from bakery.cli.switches import SwitchCommand


@click.command("build", cls=SwitchCommand, epilog=examples.BUILD)
@build_options
@click.pass_obj
def build(debug_all: bool, /, debug: bool, **options: Any) -> int:
    """Build the targets of a bake file."""
    listing = list_request(options)
    request = load_request(options)
    from bakery import config
    from bakery.cli.complaints import report_warnings
    from bakery.config import printing

    if listing is not None:
        declared = config.list_declared(request)
        report_warnings(declared.warnings)
        show = getattr(printing, f"{listing.what}_{'json' if listing.json else 'table'}")
        click.echo(show(declared), nl=False)
        return 0
    if options["watch"]:
        from bakery.cli.watching import watch

        return watch(request, options)
    if options["only"]:
        request = replace(request, targets=options["only"])
    settings = apply_settings(options, remote=bool(request.remote))
    project = config.load(request)
    report_warnings(project.warnings)
    if options["print_only"]:
        click.echo(printing.print_json(project), nl=False)
        return 0
    if options["fingerprints"]:
        from bakery.cli.watching import print_fingerprints

        return print_fingerprints(project, request, options)
    if any(target.call for target in project.targets.values()):
        from bakery.cli.call import build_and_call

        return build_and_call(project, request, options, debug or debug_all, settings)
    from bakery.cli.run import run

    return run(project, request, options, debug or debug_all, settings)
