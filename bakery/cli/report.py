"""`bakery report`: a build as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from bakery.cli.history import complete_build, shelf_of

_EPILOG = """\b
Examples:
  bakery report                  the last build, as bakery-report-ID.html
  bakery report last~1 -o x.html the one before it
  bakery report -o - > x.html    to stdout

BUILD is an ID, its beginning or end, `last`, or `last~N`; see `bakery history ls`."""


@click.command("report", epilog=_EPILOG)
@click.argument("name", metavar="[BUILD]", default="last", shell_complete=complete_build)
@click.option("output", "-o", "--output", metavar="FILE", help="Where to; `-` is stdout.")
@click.option("against", "--against", metavar="BUILD", help="The build to compare with.", shell_complete=complete_build)
@click.option("root", "--root", metavar="DIR", envvar="BAKERY_ROOT", help="The state folder.")
def report(name: str, output: str | None, against: str | None, root: str | None) -> None:
    """Write a build as one HTML page: timeline, critical path, cache, sizes, logs.

    It is compared with the build before it of the same targets in the same folder, if there is one.
    """
    from bakery.diagnostics import BakeryError
    from bakery.history.comparison import compare
    from bakery.report.page import render

    shelf = shelf_of(root)
    build = shelf.open(name)
    before = against or shelf.before(build.id)
    text = render(build, compare(shelf.open(before), build) if before else None)
    if output == "-":
        click.echo(text, nl=False)
        return
    path = Path(output or f"bakery-report-{build.id}.html")
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BakeryError.of(f"{path}: {(error.strerror or 'cannot be written').lower()}") from None
    click.echo(str(path))
