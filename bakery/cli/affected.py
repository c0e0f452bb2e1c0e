"""`bakery affected`: the targets that come out differently than they did in another state of the repository."""

from __future__ import annotations

import json
from typing import Any

import click

from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand

_EPILOG = """\b
Examples:
  bakery affected all                       what differs from the last commit
  bakery affected --base origin/main... all since the branch began
  bakery affected --base v1 --head v2 --format json all
  bakery build $(bakery affected --base origin/main all)"""


@click.command("affected", cls=SwitchCommand, epilog=_EPILOG)
@lower_options
@click.option(
    "--base", metavar="REF", default="HEAD", show_default=True, help="The earlier commit; `REF...`: where HEAD left it."
)
@click.option("--head", metavar="REF", help="The later commit; without it, the work tree as it is.")
@click.option("form", "--format", type=click.Choice(["text", "json"]), default="text", help="How to write it.")
def affected(base: str, head: str | None, form: str, **options: Any) -> None:
    """List targets that changed between two git states.

    Both states are followed as a build would, up to where work begins: through COPY, .dockerignore, includes, arguments
    and links. Files that git ignores are in neither.
    """
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    if request.remote:
        raise click.UsageError("`bakery affected` compares states of the repository here, not a remote definition")
    from bakery.cli.run import build_options
    from bakery.graph.affected import States, find_affected

    found = find_affected(request, build_options(options, frozenset(request.allow)), States(base, head))
    if form == "json":
        click.echo(json.dumps({name: cause.value for name, cause in found.items()}, indent=2))
    else:
        click.echo("".join(f"{name}\n" for name in found), nl=False)
