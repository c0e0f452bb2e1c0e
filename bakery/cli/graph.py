"""`bakery graph`: targets, or their stages and steps, as a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakery.cli import examples
from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.history import complete_build, shelf_of
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from bakery.config.request import LoadRequest
    from bakery.drawing.drawing import Drawing

FORMATS = ("html", "svg", "dot", "mermaid", "json")
_SUFFIXES = {".html": "html", ".htm": "html", ".svg": "svg", ".dot": "dot", ".gv": "dot", ".json": "json"}
_SUFFIXES |= {".mmd": "mermaid", ".mermaid": "mermaid"}
_PAGE = "bakery-graph.html"


@click.command("graph", cls=SwitchCommand, epilog=examples.GRAPH)
@lower_options
@click.option("steps", "--llb", is_flag=True, help="Draw stages and steps, not targets.")
@click.option("form", "--format", type=click.Choice(FORMATS), help="What to write; else what the file's name says.")
@click.option("output", "-o", "--output", metavar="FILE", help=f"Where to; `-` is stdout. An HTML page: {_PAGE}.")
@click.option(
    "build", "--build", metavar="BUILD", help="The build to take colours from.", shell_complete=complete_build
)
def graph(steps: bool, form: str | None, output: str | None, build: str | None, **options: Any) -> None:
    """Draw targets and what links them, or their stages and steps.

    Colours tell what was cached, ran or failed in the last build of these targets in this folder, and a line its
    critical path. What several targets share is there once, on a second sheet, with their number.
    """
    form = form or _format_of(output or _PAGE)
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    drawing = _coloured(_drawn(request, options, steps), request, options.get("root"), build)
    text = _writer(form)(drawing)
    output = output or (_PAGE if form == "html" else "-")
    if output == "-":
        click.echo(text, nl=False)
        return
    _write(Path(output), text)
    click.echo(output)


def _format_of(name: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix and suffix not in _SUFFIXES:
        raise click.UsageError(f"{name}: no format is known by {suffix!r}; say --format {'|'.join(FORMATS)}")
    return _SUFFIXES.get(suffix, "html")


def _drawn(request: LoadRequest, options: dict[str, Any], steps: bool) -> Drawing:
    from bakery import config
    from bakery.cli.complaints import report_warnings

    project = config.load(request)
    report_warnings(project.warnings)
    if not steps:
        from bakery.drawing.targets import draw_targets

        # Where targets are named, the group "default" only repeats them.
        return draw_targets(project, () if not request.targets or "default" in request.targets else ("default",))
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options
    from bakery.drawing.steps import draw_steps
    from bakery.graph.build import lower_project

    lowered = lower_project(project, build_options(options, check_grants(project, request)))
    return draw_steps({name: lowered[name] for name, target in project.targets.items() if target.requested})


def _coloured(drawing: Drawing, request: LoadRequest, root: str | None, build: str | None) -> Drawing:
    from bakery.drawing.outcomes import last_build, with_outcomes

    shelf = shelf_of(root)
    found = shelf.open(build) if build else last_build(shelf, request.cwd, drawing)
    return with_outcomes(drawing, found) if found else drawing


def _writer(form: str) -> Callable[[Drawing], str]:
    if form == "html":
        from bakery.drawing.page import as_page

        return as_page
    if form == "svg":
        from bakery.drawing.svg import as_svg

        return as_svg
    if form == "dot":
        from bakery.drawing.dot import as_dot

        return as_dot
    if form == "mermaid":
        from bakery.drawing.mermaid import as_mermaid

        return as_mermaid
    from bakery.drawing.data import as_json

    return as_json


def _write(path: Path, text: str) -> None:
    from bakery.diagnostics import BakeryError

    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BakeryError.of(f"{path}: {(error.strerror or 'cannot be written').lower()}") from None
